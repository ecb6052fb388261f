//! Through which endpoint a request came, and what it sees.

use std::sync::Arc;

use http::StatusCode;

use crate::auth::Principal;
use crate::catalog::{View, ViewName};
use crate::core::Core;
use crate::rpc::{RpcError, shortened};

/// One request's endpoint. All of the request sees the lists of one moment.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) core: Arc<Core>,
    pub(crate) name: ViewName,
    pub(crate) view: Arc<View>,
    /// A digest of who asks.
    pub(crate) principal: u128,
    /// The same in full.
    pub(crate) caller: Arc<Principal>,
}

impl Door {
    /// The endpoint of the view `name`, at which `caller` asks.
    pub(crate) fn open(core: &Arc<Core>, name: ViewName, caller: Principal) -> Result<Self, RpcError> {
        if !core.catalog.admits(&name, &caller.name) {
            return Err(closed(&name));
        }
        match core.catalog.load().view(&name) {
            Some(view) => {
                let (core, principal) = (Arc::clone(core), caller.id);
                Ok(Self { core, name, view, principal, caller: Arc::new(caller) })
            }
            None => Err(unknown(&name)),
        }
    }
}

/// A tool set that is not for who asks looks like one that does not exist.
fn closed(name: &ViewName) -> RpcError {
    match name {
        ViewName::Set(_) => unknown(name),
        ViewName::All | ViewName::Namespace(_) => {
            let message = "this endpoint is not for you; ask whoever runs the gateway for one of a tool set";
            RpcError::invalid_request(message).status(StatusCode::FORBIDDEN)
        }
    }
}

fn unknown(name: &ViewName) -> RpcError {
    let (ViewName::Set(name) | ViewName::Namespace(name)) = name else {
        return RpcError::invalid_request("there is nothing here");
    };
    let message = format!("no tool set `{}` is configured here", shortened(name));
    RpcError::invalid_request(message).status(StatusCode::NOT_FOUND)
}
