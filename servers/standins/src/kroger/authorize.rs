//! `/v1/connect/oauth2/authorize`: the customer's consent, given or refused at once as the settings say.

use axum::{
    extract::{Query, State},
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{
    Shared, Standin, oauth, reply,
    tokens::{Code, Grant},
};

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct AuthorizeRequest {
    response_type: String,
    client_id: String,
    redirect_uri: String,
    scope: String,
    state: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

/// `GET /v1/connect/oauth2/authorize`. What is wrong with the application or its address is told here; what is wrong
/// with the rest goes back to that address (RFC 6749, 4.1.2.1).
pub(crate) async fn authorize(
    State(standin): State<Shared>,
    Query(request): Query<AuthorizeRequest>,
) -> Response {
    let bad = |description| reply::oauth(StatusCode::BAD_REQUEST, "invalid_request", description);
    if request.client_id != standin.credentials.id {
        return bad("The client_id is unknown");
    }
    if !is_registered(&standin, &request.redirect_uri) {
        return bad("The redirect_uri did not match the registered redirect_uri for this application");
    }
    match decide(&standin, &request) {
        Ok(code) => back(&request, &[("code", &code)]),
        Err((error, description)) => back(&request, &[("error", error), ("error_description", &description)]),
    }
}

fn decide(standin: &Standin, request: &AuthorizeRequest) -> Result<String, (&'static str, String)> {
    if request.response_type != "code" {
        return Err(("unsupported_response_type", "The response_type must be code".to_owned()));
    }
    if request.code_challenge_method.as_deref().is_some_and(|method| method != "S256") {
        return Err(("invalid_request", "The code_challenge_method must be S256".to_owned()));
    }
    if request.scope.trim().is_empty() {
        return Err(("invalid_scope", "The scope is missing".to_owned()));
    }
    if let Some(unknown) = oauth::unknown_scope(standin, &request.scope) {
        return Err(("invalid_scope", format!("invalid scope {unknown}")));
    }
    let settings = standin.control.settings();
    if settings.deny {
        return Err(("access_denied", "The resource owner denied the request".to_owned()));
    }
    let customer = Some(settings.customer().to_owned());
    Ok(standin.tokens.code(Code {
        grant: Grant { scopes: oauth::scopes(&request.scope), customer },
        redirect_uri: request.redirect_uri.clone(),
        challenge: request.code_challenge.clone(),
    }))
}

/// Exactly a registered address; any loopback one where none is registered.
fn is_registered(standin: &Standin, uri: &str) -> bool {
    let registered = standin.control.settings().redirect_uris;
    if registered.is_empty() { is_loopback(uri) } else { registered.iter().any(|known| known == uri) }
}

fn is_loopback(uri: &str) -> bool {
    let Ok(uri) = uri.parse::<Uri>() else { return false };
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    web && matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

fn back(request: &AuthorizeRequest, answer: &[(&str, &str)]) -> Response {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(answer);
    if let Some(state) = &request.state {
        query.append_pair("state", state);
    }
    let join = if request.redirect_uri.contains('?') { '&' } else { '?' };
    let location = format!("{}{join}{}", request.redirect_uri, query.finish());
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}
