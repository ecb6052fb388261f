//! REST beside MCP: `POST /tools/{name}` and a server's further paths, all of them other forms of its tools; the OpenAPI document that
//! says so; and its pages for hosts that are no MCP clients.

mod guard;
mod openapi;
pub(crate) mod problem;

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{ConnectInfo, Path, RawPathParams, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{MethodFilter, get, on, post},
};
use rmcp::model::JsonObject;
use serde_json::Value;

pub(crate) use guard::guarded;

use crate::{
    caller::{CORRELATION_ID, Correlation},
    calls::Calls,
    component::{LIFE_SECONDS, UNVERSIONED_SECONDS},
    host::Callers,
    server::{RestRoute, Server, ToolCall},
    tool::{Answer, ToolError},
    trace::Parent,
};

struct Rest<S> {
    calls: Arc<Calls<S>>,
    callers: Arc<Callers>,
    openapi: Bytes,
}

type Shared<S> = Arc<Rest<S>>;

/// The paths of a server.
pub(crate) fn router<S: Server>(calls: Arc<Calls<S>>, callers: Arc<Callers>) -> Router {
    let openapi = openapi::document(calls.server.as_ref());
    let routes = calls.server.rest();
    let rest = Arc::new(Rest { calls, callers, openapi: openapi.to_string().into() });
    let mut router = Router::new()
        .route("/tools/{name}", post(tool::<S>))
        .route("/openapi.json", get(document::<S>))
        .route("/ui/{page}", get(page::<S>));
    for route in routes {
        router = mount(router, route);
    }
    router.with_state(rest)
}

fn mount<S: Server>(router: Router<Shared<S>>, route: RestRoute) -> Router<Shared<S>> {
    let filter = MethodFilter::try_from(route.method.clone()).unwrap_or(MethodFilter::GET);
    let (path, route) = (route.path, Arc::new(route));
    let handle = move |state: State<Shared<S>>, parameters: RawPathParams, request: Request| {
        let route = Arc::clone(&route);
        async move { form(&state.0, &route, &parameters, request).await }
    };
    router.route(path, on(filter, handle))
}

async fn document<S: Server>(State(rest): State<Shared<S>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], rest.openapi.clone())
}

/// A page, to be kept for a week by whoever fetched this version of it (`?v=`), and for an hour by others.
async fn page<S: Server>(
    State(rest): State<Shared<S>>,
    Path(page): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let components = rest.calls.server.components();
    let name = page.strip_suffix(".html").unwrap_or_default();
    let Some(component) = components.iter().find(|component| component.name == name) else {
        return problem::absent("there is no such page");
    };
    let tag = format!("\"{}\"", component.digest());
    let known = headers.get(header::IF_NONE_MATCH).and_then(|given| given.to_str().ok());
    let version = uri.query().and_then(|query| query.strip_prefix("v="));
    let life = if version == Some(component.version()) { LIFE_SECONDS } else { UNVERSIONED_SECONDS };
    let keep = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, format!("public, max-age={life}"))];
    if known.is_some_and(|known| known.split(',').any(|given| given.trim().trim_start_matches("W/") == tag)) {
        return (StatusCode::NOT_MODIFIED, keep).into_response();
    }
    let images: String = component.resource_domains.iter().map(|domain| format!(" {domain}")).collect();
    let policy = format!(
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:{images}; \
         base-uri 'none'; form-action 'none'; frame-ancestors *"
    );
    let kind = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    (keep, kind, component.html).into_response()
}

/// `POST /tools/{name}` with the tool's arguments as the body.
async fn tool<S: Server>(
    State(rest): State<Shared<S>>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let (headers, address) = (request.headers().clone(), request.extensions().get().copied());
    match body(request).await {
        Ok(arguments) => rest.answer(name, arguments, &headers, address).await,
        Err(problem) => *problem,
    }
}

/// A path that is another form of a tool: arguments come from the path, from what the path stands for, and from the body.
async fn form<S: Server>(
    rest: &Rest<S>,
    route: &RestRoute,
    parameters: &RawPathParams,
    request: Request,
) -> Response {
    let (headers, address) = (request.headers().clone(), request.extensions().get().copied());
    let mut arguments = if matches!(route.method, Method::GET | Method::DELETE) {
        let tool = rest.calls.tool(route.tool);
        query(request.uri().query().unwrap_or_default(), tool.map(|tool| tool.input_schema.as_ref()))
    } else {
        match body(request).await {
            Ok(arguments) => arguments,
            Err(problem) => return *problem,
        }
    };
    arguments.extend(route.fixed.clone());
    for (name, value) in parameters {
        arguments.insert(name.to_owned(), Value::String(value.to_owned()));
    }
    rest.answer(route.tool.to_owned(), arguments, &headers, address).await
}

type Address = Option<ConnectInfo<std::net::SocketAddr>>;

impl<S: Server> Rest<S> {
    async fn answer(
        &self,
        name: String,
        arguments: JsonObject,
        headers: &HeaderMap,
        address: Address,
    ) -> Response {
        let correlation = Correlation::of_headers(headers);
        let id = HeaderValue::from_str(correlation.as_str());
        let mut response = match self.callers.of(headers, address.map(|info| info.0.ip())).await {
            Ok(caller) => {
                self.call(ToolCall { name, arguments, caller, user: None, correlation }, headers).await
            }
            Err(refusal) => problem::unauthorised(&refusal.to_string()),
        };
        if let Ok(id) = id {
            response.headers_mut().insert(CORRELATION_ID, id);
        }
        response
    }

    async fn call(&self, call: ToolCall, headers: &HeaderMap) -> Response {
        if self.calls.tool(&call.name).is_none() {
            self.calls.metrics.call_of_nothing();
            return problem::absent("there is no such tool; /openapi.json names those there are");
        }
        let languages = call.caller.languages.clone();
        let (calls, parent) = (Arc::clone(&self.calls), Parent::of_headers(headers));
        // As over MCP, a call that has begun comes to its end, also where the client has gone: half of it might be done.
        let carried_out = tokio::spawn(async move { calls.call(call, parent).await });
        let ended = carried_out.await.unwrap_or_else(|error| Err(ToolError::Internal(error.to_string())));
        match ended {
            Ok(answer) => shown(answer, headers),
            Err(error) => problem::of(&error, &self.calls.said(&error, languages.as_deref())),
        }
    }
}

/// The data as JSON, or the text where the caller prefers that.
fn shown(answer: Answer, headers: &HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut response = if accept.starts_with("text/plain") {
        answer.text().to_owned().into_response()
    } else {
        Json(answer.into_data()).into_response()
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A JSON object. Boxed, since a response is large.
async fn body(request: Request) -> Result<JsonObject, Box<Response>> {
    let kind =
        request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_json =
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    let bytes = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    let bytes = bytes.map_err(|_| Box::new(problem::too_long()))?;
    if bytes.is_empty() {
        return Ok(JsonObject::new());
    }
    if !is_json {
        return Err(Box::new(problem::media_type()));
    }
    serde_json::from_slice(&bytes).map_err(|error| Box::new(problem::malformed(&error)))
}

/// Arguments of a query, of the types that the tool's schema gives them. What does not look like its type stays text, which is refused
/// under its name.
fn query(text: &str, schema: Option<&JsonObject>) -> JsonObject {
    let properties = schema.and_then(|schema| schema.get("properties"));
    let typed = |name: &str, value: &str| {
        let property = properties.and_then(|properties| properties.get(name));
        property.and_then(|property| read(property, value)).unwrap_or_else(|| Value::String(value.to_owned()))
    };
    let pairs = form_urlencoded::parse(text.as_bytes()).take(64);
    pairs.map(|(name, value)| (name.to_string(), typed(&name, &value))).collect()
}

/// A number or a flag, where the property is one.
fn read(property: &Value, value: &str) -> Option<Value> {
    let kinds = &property["type"];
    let is = |kind: &str| {
        kinds == kind || kinds.as_array().is_some_and(|kinds| kinds.iter().any(|one| one == kind))
    };
    if is("boolean") {
        value.parse::<bool>().ok().map(Value::Bool)
    } else if is("integer") {
        value.parse::<i64>().ok().map(Value::from)
    } else if is("number") {
        value.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number)
    } else {
        None
    }
}
