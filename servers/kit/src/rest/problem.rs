//! Errors of the REST interface as problem details (RFC 9457).

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    tool::{AWAY_SECONDS, ToolError},
    upstream::Class,
};

/// The response to a call that failed, in words that the caller understands.
pub(crate) fn of(error: &ToolError, said: &str) -> Response {
    let (status, wait) = match error {
        ToolError::Invalid { .. } => (StatusCode::BAD_REQUEST, None),
        ToolError::Refused(_) => (StatusCode::UNPROCESSABLE_ENTITY, None),
        ToolError::NotFound(_) => (StatusCode::NOT_FOUND, None),
        ToolError::SignIn { .. } => (StatusCode::UNAUTHORIZED, None),
        ToolError::TooOften { wait, .. } => (StatusCode::TOO_MANY_REQUESTS, Some(wait.as_secs() + 1)),
        ToolError::Away(_) => (StatusCode::SERVICE_UNAVAILABLE, Some(AWAY_SECONDS)),
        ToolError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, None),
        ToolError::Upstream(error) => (status(error.class()), error.wait().map(|wait| wait.as_secs().max(1))),
    };
    let mut response = problem(status, said, error.data());
    if let Some(seconds) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// What failed behind us is no fault of the caller, and none of ours.
fn status(class: Class) -> StatusCode {
    match class {
        Class::RateLimited | Class::Quota | Class::CircuitOpen => StatusCode::SERVICE_UNAVAILABLE,
        Class::Timeout | Class::UnknownOutcome => StatusCode::GATEWAY_TIMEOUT,
        Class::NotFound => StatusCode::NOT_FOUND,
        _ => StatusCode::BAD_GATEWAY,
    }
}

fn problem(status: StatusCode, detail: &str, data: Value) -> Response {
    let mut body = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "detail": detail,
    });
    if let (Some(body), Value::Object(data)) = (body.as_object_mut(), data) {
        body.extend(data);
    }
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

pub(super) fn absent(detail: &str) -> Response {
    problem(StatusCode::NOT_FOUND, detail, json!({ "class": "not_found" }))
}

pub(super) fn unauthorised(detail: &str) -> Response {
    problem(StatusCode::UNAUTHORIZED, detail, json!({ "class": "authentication", "code": -32002 }))
}

pub(super) fn foreign() -> Response {
    let detail = "a page of another site must not call this server through its reader's browser";
    problem(StatusCode::FORBIDDEN, detail, json!({ "class": "authorization" }))
}

pub(super) fn too_long() -> Response {
    problem(
        StatusCode::PAYLOAD_TOO_LARGE,
        "the body is longer than this server takes",
        json!({ "class": "validation" }),
    )
}

pub(super) fn media_type() -> Response {
    let detail = "the body must be JSON with Content-Type: application/json";
    problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail, json!({ "class": "validation" }))
}

pub(super) fn malformed(error: &serde_json::Error) -> Response {
    let detail = format!("the body is not a JSON object: {error}");
    problem(StatusCode::BAD_REQUEST, &detail, json!({ "class": "validation", "code": -32602 }))
}
