//! Through which endpoint a request came, and what it sees.

use std::sync::Arc;

use http::StatusCode;

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
}

impl Door {
    /// The endpoint of the view `name`, at which `principal` asks.
    pub(crate) fn open(core: &Arc<Core>, name: ViewName, principal: u128) -> Result<Self, RpcError> {
        match core.catalog.load().view(&name) {
            Some(view) => Ok(Self { core: Arc::clone(core), name, view, principal }),
            None => Err(unknown(&name)),
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
