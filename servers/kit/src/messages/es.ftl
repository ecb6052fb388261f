span-seconds = { $count ->
    [one] un segundo
   *[other] { $count } segundos
}
span-minutes = { $count ->
    [one] un minuto
   *[other] { $count } minutos
}
span-hours = { $count ->
    [one] una hora
   *[other] { $count } horas
}
again-in = Inténtelo de nuevo en { $span }.
again-shortly = Inténtelo de nuevo en un momento.

upstream-network = No se puede establecer contacto con { $api } en este momento. { $advice }
upstream-timeout = { $api } ha tardado demasiado en responder. { $advice }
upstream-rate-limit = { $api } recibe demasiadas peticiones en este momento. { $advice }
upstream-server = { $api } tiene un problema propio en este momento. { $advice }
upstream-client = { $api } no ha entendido a este servidor: { $reason }.
upstream-authentication = { $api } no acepta las credenciales de este servidor. Debe ocuparse de ello quien lo administra.
upstream-authorization = { $api } no permite esto: { $reason }.
upstream-validation = { $api } no acepta estos valores: { $reason }.
upstream-not-found = { $api } no tiene esto: { $reason }.
upstream-malformed = { $api } ha dado una respuesta que no se ha podido entender.
upstream-quota = Se han agotado las peticiones que { $api } permite al día. { $advice }
upstream-circuit-open = { $api } ha fallado varias veces seguidas y no se le pregunta por un momento. { $advice }
upstream-unknown-outcome = { $api } no ha confirmado si esto se ha hecho. Compruébelo antes de repetirlo.

invalid-argument = El valor de «{ $field }» no es válido: { $problem }.
sign-in-needed = Para esto tiene que iniciar sesión.
sign-in-needed-at = Para esto tiene que iniciar sesión: { $url }
too-often = { $limit ->
    [one] Más de una llamada por minuto son demasiadas.
   *[other] Más de { $limit } llamadas por minuto son demasiadas.
} { $advice }
internal-error = Algo ha fallado en este servidor. Se ha dado aviso.
data-away = Este servidor no alcanza sus datos en este momento. Inténtelo de nuevo en breve; si cambió algo, mire antes si se guardó.

stale-notice = Datos de hace { $span }: la fuente no responde en este momento.
not-lasting-notice = Lo que guarde aquí se pierde cuando el servidor se reinicia.
