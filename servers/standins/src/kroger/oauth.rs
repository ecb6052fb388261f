//! The token endpoint, and the check in front of every resource.

use std::{sync::Arc, time::Duration};

use axum::{
    Form, Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    Credentials, Shared, Standin, faults, reply,
    tokens::{Code, Grant},
};

const SCOPES: [&str; 3] = ["product.compact", "cart.basic:write", "profile.compact"];
/// What a partner's application may ask for besides.
const PARTNER_SCOPES: [&str; 5] =
    ["cart.basic", "cart.basic:rw", "coupon.basic", "product.basic", "product.personalized"];

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct TokenRequest {
    grant_type: String,
    scope: String,
    code: String,
    redirect_uri: String,
    code_verifier: Option<String>,
    refresh_token: String,
    client_id: Option<String>,
}

/// `POST /v1/connect/oauth2/token`.
pub(crate) async fn token(
    State(standin): State<Shared>,
    headers: HeaderMap,
    Form(request): Form<TokenRequest>,
) -> Response {
    if !is_client(&headers, &standin.credentials) && !is_public_client(&standin, &headers, &request) {
        return reply::oauth(StatusCode::UNAUTHORIZED, "unauthorized", "invalid credentials");
    }
    match request.grant_type.as_str() {
        "client_credentials" => for_application(&standin, &request.scope),
        "authorization_code" => for_code(&standin, &request),
        "refresh_token" => for_refresh(&standin, &request.refresh_token),
        _ => bad("unsupported_grant_type", "invalid grant_type"),
    }
}

fn bad(error: &str, description: &str) -> Response {
    reply::oauth(StatusCode::BAD_REQUEST, error, description)
}

/// The first of the scopes that the application may not ask for.
pub(crate) fn unknown_scope(standin: &Standin, scopes: &str) -> Option<String> {
    let partner = standin.control.settings().partner;
    let known = |scope: &str| SCOPES.contains(&scope) || partner && PARTNER_SCOPES.contains(&scope);
    scopes.split_whitespace().find(|scope| !known(scope)).map(str::to_owned)
}

pub(crate) fn scopes(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn for_application(standin: &Standin, scope: &str) -> Response {
    if let Some(unknown) = unknown_scope(standin, scope) {
        return bad("invalid_scope", &format!("invalid scope {unknown}"));
    }
    let settings = standin.control.settings();
    let grant = Grant { scopes: scopes(scope), customer: None };
    let token = standin.tokens.access(grant, Duration::from_secs(settings.token_seconds()));
    Json(json!({ "expires_in": settings.told_seconds(), "access_token": token, "token_type": "bearer" }))
        .into_response()
}

fn for_code(standin: &Standin, request: &TokenRequest) -> Response {
    let Some(code) = standin.tokens.take_code(&request.code) else {
        return bad("invalid_request", "invalid code");
    };
    if code.redirect_uri != request.redirect_uri || !is_verified(&code, request.code_verifier.as_deref()) {
        return bad("invalid_request", "invalid code");
    }
    pair(standin, code.grant)
}

/// The old refresh token is spent, whether or not the client ever sees the new one.
fn for_refresh(standin: &Standin, refresh: &str) -> Response {
    let Some(grant) = standin.tokens.take_refresh(refresh) else {
        return bad("invalid_request", "invalid refresh_token");
    };
    let answer = pair(standin, grant);
    if standin.control.loses_refresh() { faults::dropped(&answer) } else { answer }
}

fn pair(standin: &Standin, grant: Grant) -> Response {
    let settings = standin.control.settings();
    let scope = grant.scopes.join(" ");
    let access = standin.tokens.access(grant.clone(), Duration::from_secs(settings.token_seconds()));
    let refresh = standin.tokens.refresh(grant, Duration::from_secs(settings.refresh_seconds()));
    Json(json!({
        "expires_in": settings.told_seconds(),
        "access_token": access,
        "token_type": "bearer",
        "refresh_token": refresh,
        "scope": scope,
    }))
    .into_response()
}

/// PKCE with S256 (RFC 7636, 4.6).
fn is_verified(code: &Code, verifier: Option<&str>) -> bool {
    match (&code.challenge, verifier) {
        (None, _) => true,
        (Some(challenge), Some(verifier)) if (43..=128).contains(&verifier.len()) => {
            *challenge == URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
        }
        _ => false,
    }
}

fn is_client(headers: &HeaderMap, credentials: &Credentials) -> bool {
    let Some(given) = authorization(headers, "Basic ") else { return false };
    let Ok(given) = STANDARD.decode(given) else { return false };
    let expected = format!("{}:{}", credentials.id, credentials.secret);
    given.ct_eq(expected.as_bytes()).into()
}

/// A client without a secret names itself in the body, for a code with PKCE and for what came of one.
fn is_public_client(standin: &Standin, headers: &HeaderMap, request: &TokenRequest) -> bool {
    let grant = match request.grant_type.as_str() {
        "authorization_code" => request.code_verifier.is_some(),
        "refresh_token" => true,
        _ => false,
    };
    grant
        && !headers.contains_key(header::AUTHORIZATION)
        && request.client_id.as_deref() == Some(standin.credentials.id.as_str())
}

fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (given, rest) = value.split_at_checked(scheme.len())?;
    given.eq_ignore_ascii_case(scheme).then_some(rest.trim())
}

/// Why a token does not open a path.
#[derive(Clone, Copy)]
enum Closed {
    NoToken,
    NotLive,
    NoCustomer,
    NoScope,
}

impl IntoResponse for Closed {
    fn into_response(self) -> Response {
        match self {
            Self::NoToken => {
                reply::oauth(StatusCode::UNAUTHORIZED, "invalid_request", "The access_token is missing")
            }
            Self::NotLive => reply::invalid_token(),
            Self::NoCustomer => reply::flat(StatusCode::FORBIDDEN, "AUTH-1007", "Invalid token on request"),
            Self::NoScope => reply::missing_scopes(),
        }
    }
}

/// The grant of a request's token.
fn granted(standin: &Standin, request: &Request) -> Result<Grant, Closed> {
    let token = authorization(request.headers(), "Bearer ").ok_or(Closed::NoToken)?;
    standin.tokens.find(token).ok_or(Closed::NotLive)
}

fn require_scope(grant: &Grant, scope: &str) -> Result<(), Closed> {
    let has = scope.is_empty() || grant.scopes.iter().any(|granted| granted == scope);
    has.then_some(()).ok_or(Closed::NoScope)
}

/// Lets a request pass with a live token that has the scope; an empty scope asks for none.
pub(crate) async fn require_token(
    State((standin, scope)): State<(Arc<Standin>, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    match granted(&standin, &request).and_then(|grant| require_scope(&grant, scope)) {
        Ok(()) => next.run(request).await,
        Err(closed) => closed.into_response(),
    }
}

/// The customer in whose name a request comes.
#[derive(Debug, Clone)]
pub(crate) struct Customer(pub(crate) String);

/// Lets a request pass with a customer's live token that has the scope, and tells the handler whose it is.
pub(crate) async fn require_customer(
    State((standin, scope)): State<(Arc<Standin>, &'static str)>,
    mut request: Request,
    next: Next,
) -> Response {
    match customer_with(&standin, &request, scope) {
        Ok(customer) => {
            request.extensions_mut().insert(customer);
            next.run(request).await
        }
        Err(closed) => closed.into_response(),
    }
}

/// An application's token is told before a missing scope, as upstream does.
fn customer_with(standin: &Standin, request: &Request, scope: &str) -> Result<Customer, Closed> {
    let grant = granted(standin, request)?;
    let customer = grant.customer.clone().ok_or(Closed::NoCustomer)?;
    require_scope(&grant, scope)?;
    Ok(Customer(customer))
}

/// Partner paths exist for a partner's application alone.
pub(crate) async fn require_partner(State(standin): State<Shared>, request: Request, next: Next) -> Response {
    if standin.control.settings().partner { next.run(request).await } else { reply::missing_scopes() }
}
