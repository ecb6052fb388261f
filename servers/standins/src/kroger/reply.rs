//! The forms that the API's answers and errors come in.

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use serde_json::{Value, json};

use super::Shared;

/// Fixed, so that equal requests get equal answers.
const TIMESTAMP: u64 = 1_569_851_999_383;

/// A list or an object under `data`.
#[expect(clippy::needless_pass_by_value, reason = "the macro that builds the answer only borrows")]
pub(crate) fn data(data: Value, meta: Value) -> Response {
    Json(json!({ "data": data, "meta": meta })).into_response()
}

/// The error form of products and locations.
pub(crate) fn refused(status: StatusCode, code: &str, reason: &str) -> Response {
    let body = json!({ "errors": { "timestamp": TIMESTAMP, "code": code, "reason": reason } });
    (status, Json(body)).into_response()
}

/// A refused parameter.
pub(crate) fn bad(code: &str, reason: &str) -> Response {
    refused(StatusCode::BAD_REQUEST, code, reason)
}

/// The flat error form of the cart.
pub(crate) fn flat(status: StatusCode, code: &str, reason: &str) -> Response {
    (status, Json(json!({ "timestamp": TIMESTAMP, "code": code, "reason": reason }))).into_response()
}

/// The error form of the token endpoint.
pub(crate) fn oauth(status: StatusCode, error: &str, description: &str) -> Response {
    (status, Json(json!({ "error": error, "error_description": description }))).into_response()
}

/// A token without the scope.
pub(crate) fn missing_scopes() -> Response {
    refused(StatusCode::FORBIDDEN, "Forbidden", "missing required scopes")
}

/// An expired or unknown token.
pub(crate) fn invalid_token() -> Response {
    let body = json!({ "errors": {
        "error": "invalid_token",
        "error_description": "The access token is invalid or has expired",
    }});
    (StatusCode::UNAUTHORIZED, Json(body)).into_response()
}

/// The gateway in front of the API, refusing by itself.
pub(crate) fn gateway_unauthorised() -> Response {
    let challenge = r#"Bearer realm="api.kroger.com", error="invalid_token""#;
    let headers = [(header::WWW_AUTHENTICATE, challenge)];
    (StatusCode::UNAUTHORIZED, headers, Json(json!({ "message": "Unauthorized" }))).into_response()
}

/// A page of the CDN in place of JSON.
pub(crate) fn html(status: StatusCode) -> Response {
    let page = "<html><head><title>Service Unavailable</title></head><body>Reference #18.2d</body></html>";
    (status, [(header::CONTENT_TYPE, "text/html")], page).into_response()
}

/// A request limit reached.
pub(crate) fn too_many(retry_after: Option<u64>) -> Response {
    let mut response =
        refused(StatusCode::TOO_MANY_REQUESTS, "QUOTA-429", "The request quota has been exceeded");
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A status without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    status.into_response()
}

/// Marks every answer as a stand-in's, gives it a correlation id, and a wrong time where a switch says so.
pub(crate) async fn mark(State(standin): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert("x-portico-standin", HeaderValue::from_static("kroger"));
    if let Ok(id) = HeaderValue::from_str(&format!("{:032x}", rand::random::<u128>())) {
        headers.insert("x-correlation-id", id);
    }
    if let Some(date) = wrong_date(standin.control.settings().date_skew_seconds) {
        headers.insert(header::DATE, date);
    }
    response
}

/// `Date` that is off by so many seconds; none where it is not off.
fn wrong_date(skew: i64) -> Option<HeaderValue> {
    let at = Timestamp::now().saturating_add(SignedDuration::from_secs(skew)).ok().filter(|_| skew != 0)?;
    HeaderValue::from_str(&rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()?).ok()
}
