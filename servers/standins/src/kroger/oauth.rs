//! Application tokens: the client-credentials grant, and the check in front of every resource.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Form, Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::json;
use subtle::ConstantTimeEq;

use super::{Credentials, Shared, Standin, reply};

/// Tokens kept at once; the oldest goes first.
const MAX_TOKENS: usize = 1_000;
const SCOPES: [&str; 3] = ["product.compact", "cart.basic:write", "profile.compact"];

#[derive(Debug, Clone)]
struct Grant {
    scopes: Vec<String>,
    expires: Instant,
}

#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<String, Grant>>);

impl Tokens {
    fn issue(&self, scopes: Vec<String>, life: Duration) -> String {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_TOKENS
            && let Some(oldest) =
                tokens.iter().min_by_key(|(_, grant)| grant.expires).map(|(id, _)| id.clone())
        {
            tokens.remove(&oldest);
        }
        let token = format!("standin-{:032x}", rand::random::<u128>());
        tokens.insert(token.clone(), Grant { scopes, expires: Instant::now() + life });
        token
    }

    fn find(&self, token: &str) -> Option<Grant> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(token).filter(|grant| grant.expires > Instant::now()).cloned()
    }
}

#[derive(Deserialize)]
pub(crate) struct TokenRequest {
    #[serde(default)]
    grant_type: String,
    #[serde(default)]
    scope: String,
}

/// `POST /v1/connect/oauth2/token`.
pub(crate) async fn token(
    State(standin): State<Shared>,
    headers: HeaderMap,
    Form(request): Form<TokenRequest>,
) -> Response {
    if !is_client(&headers, &standin.credentials) {
        return reply::oauth(StatusCode::UNAUTHORIZED, "unauthorized", "invalid credentials");
    }
    let bad = |error: &str, description: &str| reply::oauth(StatusCode::BAD_REQUEST, error, description);
    match request.grant_type.as_str() {
        "client_credentials" => grant(&standin, &request.scope),
        // No customer can sign in here, so every code and refresh token is an unknown one.
        "authorization_code" => bad("invalid_request", "invalid code"),
        "refresh_token" => bad("invalid_request", "invalid refresh_token"),
        _ => bad("unsupported_grant_type", "invalid grant_type"),
    }
}

fn grant(standin: &Standin, scope: &str) -> Response {
    let scopes: Vec<String> = scope.split_whitespace().map(str::to_owned).collect();
    if let Some(unknown) = scopes.iter().find(|scope| !SCOPES.contains(&scope.as_str())) {
        let description = format!("invalid scope {unknown}");
        return reply::oauth(StatusCode::BAD_REQUEST, "invalid_scope", &description);
    }
    let seconds = standin.control.token_seconds();
    let token = standin.tokens.issue(scopes, Duration::from_secs(seconds));
    Json(json!({ "expires_in": seconds, "access_token": token, "token_type": "bearer" })).into_response()
}

fn is_client(headers: &HeaderMap, credentials: &Credentials) -> bool {
    let Some(given) = authorization(headers, "Basic ") else { return false };
    let Ok(given) = STANDARD.decode(given) else { return false };
    let expected = format!("{}:{}", credentials.id, credentials.secret);
    given.ct_eq(expected.as_bytes()).into()
}

fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (given, rest) = value.split_at_checked(scheme.len())?;
    given.eq_ignore_ascii_case(scheme).then_some(rest.trim())
}

/// Lets a request pass with a live token that has the scope.
pub(crate) async fn require_token(
    State((standin, scope)): State<(Arc<Standin>, Option<&'static str>)>,
    request: Request,
    next: Next,
) -> Response {
    let Some(token) = authorization(request.headers(), "Bearer ") else {
        return reply::oauth(StatusCode::UNAUTHORIZED, "invalid_request", "The access_token is missing");
    };
    let Some(grant) = standin.tokens.find(token) else { return reply::invalid_token() };
    if scope.is_some_and(|scope| !grant.scopes.iter().any(|granted| granted == scope)) {
        return reply::refused(StatusCode::FORBIDDEN, "Forbidden", "missing required scopes");
    }
    next.run(request).await
}

/// Cart and profile need a customer's token, which this stand-in never issues.
pub(crate) async fn customer_only() -> Response {
    reply::flat(StatusCode::FORBIDDEN, "AUTH-1007", "Invalid token on request")
}
