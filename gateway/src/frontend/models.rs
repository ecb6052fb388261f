//! Language models under one address: `/v1`, as `OpenAI` has it. The member `model` of a request names the `InferenceModel`;
//! everything else passes as it is, in both directions as it comes. A model without a replica is started, and the request waits.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::exposed::{self, Open, To};
use super::{Front, answer, http as transport, judged, quotas};
use crate::backend::{Backend, Fault};
use crate::envelope::{Edits, Object, check_depth, quoted, text};
use crate::frontend::address;
use crate::metrics::Outcome;
use crate::rpc::{RpcError, shortened};
use crate::scaling::Load;
use crate::source::Model;

/// Where models are.
const PREFIX: &str = "/v1/";
/// What is served there: what of an engine is for whoever may use it, and not for whoever runs it.
const PATHS: [&str; 4] = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"];
/// The headers that an engine gets. No credential is among them: it is the gateway's.
const PASSED: [HeaderName; 4] = [ACCEPT, CONTENT_TYPE, USER_AGENT, HeaderName::from_static("traceparent")];
/// How often a request is sent that reached no engine.
const MAX_TRIES: u32 = 3;
/// What a name says that several namespaces have.
const AMBIGUOUS: &str = "several namespaces have a model of this name; write it as NAMESPACE/NAME";

/// Answers a request about a model.
pub(super) async fn serve(State(front): State<Front>, request: Request<Body>) -> Response {
    let core = &front.core;
    let Ok(permit) = Arc::clone(&core.requests).try_acquire_owned() else {
        return refused(&answer::busy("too many requests are being answered; try again later"));
    };
    if let Err(error) = front.hosts.check(&request) {
        return refused(&error);
    }
    let address = address::of(&request, &core.policy.load().config().trusted_proxies);
    let principal = judged(core, request.headers(), address).await;
    if let Err(error) = quotas::request(core, principal.as_ref().ok(), address).await {
        return refused(&error);
    }
    if let Err(denied) = principal {
        return denied.answer(refused);
    }
    if request.method() == Method::GET && request.uri().path() == "/v1/models" {
        return list(&front);
    }
    forward(&front, request, permit).await.unwrap_or_else(|error| refused(&error))
}

/// The models that there are.
fn list(front: &Front) -> Response {
    let models = front.core.models.load();
    let mut all: Vec<&Arc<Backend>> = models.values().collect();
    all.sort_by_key(|backend| backend.key().clone());
    let model = |backend: &&Arc<Backend>| {
        let key = backend.key();
        json!({ "id": name(front, backend), "object": "model", "created": 0, "owned_by": key.namespace })
    };
    let data: Vec<_> = all.iter().map(model).collect();
    axum::Json(json!({ "object": "list", "data": data })).into_response()
}

/// The name of a model, with its namespace where another has one of the same name.
fn name(front: &Front, backend: &Backend) -> String {
    let (models, key) = (front.core.models.load(), backend.key());
    let is_same = |other: &&crate::source::ServerKey| other.name == key.name;
    if models.keys().filter(is_same).count() > 1 { key.to_string() } else { key.name.clone() }
}

async fn forward(
    front: &Front,
    request: Request<Body>,
    permit: OwnedSemaphorePermit,
) -> Result<Response, RpcError> {
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST || !PATHS.contains(&parts.uri.path()) {
        let message = format!("nothing is served there; POST to one of {}", PATHS.join(", "));
        return Err(invalid(&message).status(StatusCode::NOT_FOUND));
    }
    let (bytes, depth) = limits(front);
    let body = transport::read(body, bytes).await?;
    let said = std::str::from_utf8(&body).map_err(|_| invalid("the body is not UTF-8"))?;
    check_depth(said, depth).map_err(|error| invalid(&error.to_string()))?;
    let object =
        Object::parse(said).map_err(|error| invalid(&format!("the body is no JSON object: {error}")))?;
    let named = object.get("model").and_then(|raw| Some((raw, text(raw)?)));
    let (raw, wanted) = named.ok_or_else(|| invalid("the body must name its `model`"))?;
    let backend = find(front, &wanted)?;
    let live = backend.live();
    let known_as = live.server.model.as_ref().and_then(|model: &Model| model.known_as.as_deref());
    let mut edits = Edits::of(said);
    edits.replace(raw, quoted(known_as.unwrap_or(&backend.key().name)));
    let asked = Asked {
        path: parts.uri.path().to_owned(),
        headers: passed(&parts.headers),
        body: edits.finish(),
        patience: transport::patience(&parts.headers),
    };
    pass(front, &backend, (asked, permit), live.server.timeouts.call).await
}

/// Bytes and levels that a body may have.
fn limits(front: &Front) -> (usize, usize) {
    let (policy, options) = (front.core.policy.load(), &front.core.options);
    let limits = &policy.config().limits;
    (limits.body_bytes.unwrap_or(options.max_body_bytes), limits.depth.unwrap_or(options.max_depth))
}

/// A request as an engine gets it.
struct Asked {
    path: String,
    headers: HeaderMap,
    body: Bytes,
    patience: Option<Duration>,
}

impl Asked {
    fn to(&self) -> To {
        let mut request = Request::new(Body::from(self.body.clone()));
        *request.method_mut() = Method::POST;
        request.headers_mut().clone_from(&self.headers);
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        let load = Load { bytes: self.body.len() as u64, patience: self.patience };
        To { request, path: self.path.clone(), load, prefix: None }
    }
}

fn passed(headers: &HeaderMap) -> HeaderMap {
    let given = PASSED.into_iter().filter_map(|name| Some((name.clone(), headers.get(&name)?.clone())));
    given.collect()
}

async fn pass(
    front: &Front,
    backend: &Arc<Backend>,
    (asked, permit): (Asked, OwnedSemaphorePermit),
    limit: Duration,
) -> Result<Response, RpcError> {
    let mut timing = front.core.metrics.begin(backend.key(), "model");
    let mut tries = 1;
    loop {
        match exposed::send(front, backend, asked.to(), limit).await {
            Ok((response, place)) => {
                timing.set(Outcome::Answered);
                return Ok(exposed::answered(response, Open::new(place, timing, permit), limit));
            }
            Err(Fault::Unreachable { .. }) if tries < MAX_TRIES => tries += 1,
            Err(fault) => {
                timing.set(Outcome::Fault(fault.class().as_str()));
                let error = fault.to_rpc_of(("model", backend.key()));
                let known = error.seconds_to_wait().is_some();
                return Err(if known { error } else { error.status(exposed::status(&fault)) });
            }
        }
    }
}

/// The model that a request means by `wanted`: a name, or a namespace and a name.
fn find(front: &Front, wanted: &str) -> Result<Arc<Backend>, RpcError> {
    let models = front.core.models.load();
    let is_meant = |backend: &&Arc<Backend>| {
        let key = backend.key();
        key.name == wanted || wanted.split_once('/') == Some((key.namespace.as_str(), key.name.as_str()))
    };
    let mut found = models.values().filter(is_meant);
    match (found.next(), found.next()) {
        (Some(backend), None) => Ok(Arc::clone(backend)),
        (Some(_), Some(_)) => Err(invalid(AMBIGUOUS)),
        (None, _) => {
            let message = format!(
                "there is no model `{}`; GET {PREFIX}models lists those that there are",
                shortened(wanted)
            );
            Err(invalid(&message).status(StatusCode::NOT_FOUND))
        }
    }
}

fn invalid(message: &str) -> RpcError {
    RpcError::invalid_params(message).status(StatusCode::BAD_REQUEST)
}

/// An error as clients of this API read it.
fn refused(error: &RpcError) -> Response {
    let kind = match error.http_status() {
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "server_error",
    };
    let body = json!({ "error": { "message": error.message(), "type": kind, "code": null, "param": null } });
    let mut response = (error.http_status(), axum::Json(body)).into_response();
    let seconds = error.seconds_to_wait().map(HeaderValue::from);
    response.headers_mut().extend(seconds.map(|seconds| (RETRY_AFTER, seconds)));
    response
}
