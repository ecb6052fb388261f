span-seconds = { $count ->
    [one] { $count } seconde
   *[other] { $count } secondes
}
span-minutes = { $count ->
    [one] { $count } minute
   *[other] { $count } minutes
}
span-hours = { $count ->
    [one] { $count } heure
   *[other] { $count } heures
}
again-in = Réessayez dans { $span }.
again-shortly = Réessayez dans un instant.

upstream-network = { $api } est injoignable pour le moment. { $advice }
upstream-timeout = { $api } a mis trop de temps à répondre. { $advice }
upstream-rate-limit = { $api } reçoit trop de requêtes pour le moment. { $advice }
upstream-server = { $api } rencontre un problème de son côté. { $advice }
upstream-client = { $api } n’a pas compris ce serveur : { $reason }.
upstream-authentication = { $api } n’accepte pas les identifiants de ce serveur. La personne qui l’administre doit s’en occuper.
upstream-authorization = { $api } n’autorise pas ceci : { $reason }.
upstream-validation = { $api } n’accepte pas ces valeurs : { $reason }.
upstream-not-found = { $api } n’a pas ceci : { $reason }.
upstream-malformed = { $api } a donné une réponse incompréhensible.
upstream-quota = Les requêtes que { $api } autorise par jour sont épuisées. { $advice }
upstream-circuit-open = { $api } a échoué plusieurs fois de suite et n’est plus interrogé pour un instant. { $advice }
upstream-unknown-outcome = { $api } n’a pas confirmé si cela a été fait. Vérifiez avant de recommencer.

invalid-argument = La valeur de « { $field } » ne convient pas : { $problem }.
sign-in-needed = Vous devez vous connecter pour cela.
sign-in-needed-at = Vous devez vous connecter pour cela : { $url }
too-often = { $limit ->
    [one] Plus de { $limit } appel par minute, c’est trop.
   *[other] Plus de { $limit } appels par minute, c’est trop.
} { $advice }
internal-error = Une erreur s’est produite dans ce serveur. Elle a été signalée.
data-away = Ce serveur n’atteint pas ses données pour le moment. Réessayez sous peu ; si vous avez modifié quelque chose, vérifiez d’abord si c’est enregistré.

stale-notice = Données d’il y a { $span } : la source ne répond pas pour le moment.
not-lasting-notice = Ce que vous conservez ici est perdu quand le serveur redémarre.
