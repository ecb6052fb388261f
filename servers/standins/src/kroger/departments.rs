//! `/v1/departments` and `/v1/chains`: short lists that change rarely.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use serde_json::{Value, json};

use super::{Shared, catalogue::text, reply};

fn find<'a>(list: &'a [Value], field: &str, wanted: &str) -> Option<&'a Value> {
    list.iter().find(|entry| text(entry, field) == wanted)
}

fn existence(entry: Option<&Value>) -> StatusCode {
    if entry.is_some() { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

fn all(list: &[Value]) -> Response {
    reply::data(Value::Array(list.to_vec()), json!({}))
}

/// `GET /v1/departments`.
pub(crate) async fn list(State(standin): State<Shared>) -> Response {
    all(&standin.catalogue.departments)
}

/// `GET /v1/departments/{id}`.
pub(crate) async fn detail(State(standin): State<Shared>, Path(id): Path<String>) -> Response {
    if id.len() != 2 {
        return reply::bad("LOCATION-2119", "Invalid department ID");
    }
    find(&standin.catalogue.departments, "departmentId", &id).map_or_else(
        || reply::empty(StatusCode::NOT_FOUND),
        |department| reply::data(department.clone(), json!({})),
    )
}

/// `HEAD /v1/departments/{id}`.
pub(crate) async fn exists(State(standin): State<Shared>, Path(id): Path<String>) -> StatusCode {
    existence(find(&standin.catalogue.departments, "departmentId", &id))
}

/// `GET /v1/chains`.
pub(crate) async fn chains(State(standin): State<Shared>) -> Response {
    all(&standin.catalogue.chains)
}

/// `GET /v1/chains/{name}`.
pub(crate) async fn chain(State(standin): State<Shared>, Path(name): Path<String>) -> Response {
    find(&standin.catalogue.chains, "name", &name)
        .map_or_else(|| reply::empty(StatusCode::NOT_FOUND), |chain| reply::data(chain.clone(), json!({})))
}

/// `HEAD /v1/chains/{name}`.
pub(crate) async fn chain_exists(State(standin): State<Shared>, Path(name): Path<String>) -> StatusCode {
    existence(find(&standin.catalogue.chains, "name", &name))
}
