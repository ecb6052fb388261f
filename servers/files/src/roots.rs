//! What the client's roots leave of the allowed directories.
#![expect(deprecated, reason = "revision 2026-07-28 keeps roots, marked as deprecated, for another year")]

use std::{path::PathBuf, time::Duration};

use portico_kit::Url;
use rmcp::{
    RoleServer,
    model::{
        InputRequest, InputRequests, InputRequiredResult, InputResponses, ListRootsRequest, ListRootsResult,
    },
    service::RequestContext,
};

use crate::area::Place;

/// The key of our question in a result that needs input.
const KEY: &str = "roots";
/// Time that a client gets to name its roots.
const WAIT: Duration = Duration::from_secs(10);
const MAX_ROOTS: usize = 256;

/// What is known about a client's roots.
pub(crate) enum Roots {
    /// It shares none, or an empty list.
    None,
    /// Only these directories.
    Only(Vec<PathBuf>),
    /// It has to be asked first.
    Ask(InputRequiredResult),
    /// It says that it shares roots, and does not say which.
    Unknown(String),
}

/// Asks the client, in the way of its revision: a request of our own, or a result that needs input.
pub(crate) async fn of_client(
    context: &RequestContext<RoleServer>,
    responses: Option<&InputResponses>,
) -> Roots {
    if !shares(context) {
        return Roots::None;
    }
    if is_modern(context) {
        return answered(responses);
    }
    match tokio::time::timeout(WAIT, context.peer.list_roots()).await {
        Ok(Ok(list)) => only(&list),
        Ok(Err(error)) => Roots::Unknown(error.to_string()),
        Err(_) => Roots::Unknown("no answer in time".to_owned()),
    }
}

/// Whether the client says that it shares roots.
pub(crate) fn shares(context: &RequestContext<RoleServer>) -> bool {
    context.client_capabilities().is_some_and(|capabilities| capabilities.roots.is_some())
}

/// Whether the client speaks a revision in which servers send no requests.
pub(crate) fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| !version.has_initialize())
}

fn answered(responses: Option<&InputResponses>) -> Roots {
    let Some(answer) = responses.and_then(|responses| responses.get(KEY)) else {
        let question = InputRequest::ListRoots(ListRootsRequest::default());
        return Roots::Ask(InputRequiredResult::from_input_requests(InputRequests::from([(
            KEY.to_owned(),
            question,
        )])));
    };
    match serde_json::from_value::<ListRootsResult>(answer.clone()) {
        Ok(list) => only(&list),
        Err(error) => Roots::Unknown(error.to_string()),
    }
}

fn only(list: &ListRootsResult) -> Roots {
    if list.roots.is_empty() {
        return Roots::None;
    }
    Roots::Only(list.roots.iter().take(MAX_ROOTS).filter_map(|root| directory(&root.uri)).collect())
}

/// The real path of a root; one that is no file address or does not exist allows nothing.
fn directory(uri: &str) -> Option<PathBuf> {
    Url::parse(uri).ok()?.to_file_path().ok()?.canonicalize().ok()
}

/// The parts of `places` that lie in one of `roots`, none of them twice.
pub(crate) fn narrow(places: &[Place], roots: &[PathBuf]) -> Vec<Place> {
    let mut narrowed: Vec<Place> = Vec::new();
    for place in places {
        for inside in roots.iter().filter_map(|root| place.narrowed_to(root)) {
            if narrowed.iter().all(|known| known.real != inside.real) {
                narrowed.push(inside);
            }
        }
    }
    narrowed
}
