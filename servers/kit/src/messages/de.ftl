# Im Dativ: nach „in“ und nach „vor“.
span-seconds = { $count ->
    [one] einer Sekunde
   *[other] { $count } Sekunden
}
span-minutes = { $count ->
    [one] einer Minute
   *[other] { $count } Minuten
}
span-hours = { $count ->
    [one] einer Stunde
   *[other] { $count } Stunden
}
again-in = Versuch es in { $span } noch einmal.
again-shortly = Versuch es gleich noch einmal.

upstream-network = { $api } ist im Augenblick nicht zu erreichen. { $advice }
upstream-timeout = { $api } hat zu lange nicht geantwortet. { $advice }
upstream-rate-limit = { $api } bekommt im Augenblick zu viele Anfragen. { $advice }
upstream-server = { $api } hat im Augenblick selbst ein Problem. { $advice }
upstream-client = { $api } hat diesen Server nicht verstanden: { $reason }.
upstream-authentication = { $api } nimmt die Zugangsdaten dieses Servers nicht an. Wer ihn betreibt, muss sich darum kümmern.
upstream-authorization = { $api } erlaubt dies nicht: { $reason }.
upstream-validation = { $api } nimmt diese Werte nicht an: { $reason }.
upstream-not-found = { $api } hat dies nicht: { $reason }.
upstream-malformed = { $api } hat eine Antwort gegeben, die nicht zu verstehen war.
upstream-quota = Die Anfragen, die { $api } am Tag erlaubt, sind verbraucht. { $advice }
upstream-circuit-open = { $api } hat mehrmals hintereinander versagt und wird einen Augenblick nicht gefragt. { $advice }
upstream-unknown-outcome = { $api } hat nicht bestätigt, ob dies geschehen ist. Sieh nach, bevor du es noch einmal tust.

invalid-argument = Der Wert von „{ $field }“ passt nicht: { $problem }.
sign-in-needed = Dafür musst du dich anmelden.
sign-in-needed-at = Dafür musst du dich anmelden: { $url }
too-often = { $limit ->
    [one] Mehr als ein Aufruf in der Minute ist zu viel.
   *[other] Mehr als { $limit } Aufrufe in der Minute sind zu viele.
} { $advice }
internal-error = In diesem Server ist etwas schiefgegangen. Es wurde gemeldet.
data-away = Dieser Server erreicht seine Daten im Augenblick nicht. Versuch es gleich noch einmal; wenn du etwas geändert hast, sieh zuerst nach, ob es gespeichert ist.

stale-notice = Stand von vor { $span }: Die Quelle antwortet im Augenblick nicht.
not-lasting-notice = Was du hier aufhebst, geht verloren, wenn der Server neu startet.
