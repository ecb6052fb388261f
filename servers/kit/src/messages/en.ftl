# Spans of time, as they stand after "in", and before "ago".
span-seconds = { $count ->
    [one] one second
   *[other] { $count } seconds
}
span-minutes = { $count ->
    [one] one minute
   *[other] { $count } minutes
}
span-hours = { $count ->
    [one] one hour
   *[other] { $count } hours
}
again-in = Try again in { $span }.
again-shortly = Try again shortly.

# The API behind a server failed. $advice is one of the two above, or empty.
upstream-network = { $api } cannot be reached at the moment. { $advice }
upstream-timeout = { $api } took too long to answer. { $advice }
upstream-rate-limit = { $api } is getting too many requests at the moment. { $advice }
upstream-server = { $api } has a problem of its own at the moment. { $advice }
upstream-client = { $api } did not understand this server: { $reason }.
upstream-authentication = { $api } does not accept this server's credentials. Whoever runs it has to look after that.
upstream-authorization = { $api } does not allow this: { $reason }.
upstream-validation = { $api } does not accept these values: { $reason }.
upstream-not-found = { $api } does not have this: { $reason }.
upstream-malformed = { $api } gave an answer that could not be understood.
upstream-quota = The requests that { $api } allows in a day are used up. { $advice }
upstream-circuit-open = { $api } has failed several times in a row and is left alone for a moment. { $advice }
upstream-unknown-outcome = { $api } did not say whether this was done. Look before you do it again.

# What any tool may answer.
invalid-argument = The value of "{ $field }" does not fit: { $problem }.
sign-in-needed = You have to sign in for this.
sign-in-needed-at = You have to sign in for this: { $url }
too-often = { $limit ->
    [one] More than one call a minute is too many.
   *[other] More than { $limit } calls a minute are too many.
} { $advice }
internal-error = Something went wrong in this server. It was reported.
data-away = This server cannot reach its data for now. Try again shortly; if you changed something, look first whether it was saved.

# What may stand beside an answer.
stale-notice = As of { $span } ago: the source does not answer at the moment.
not-lasting-notice = What you keep here is lost when the server restarts.
