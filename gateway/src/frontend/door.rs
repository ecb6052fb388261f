//! Through which endpoint a request came, and what it sees.

use std::net::IpAddr;
use std::sync::Arc;

use http::StatusCode;

use crate::auth::Principal;
use crate::catalog::{View, ViewName};
use crate::core::Core;
use crate::policy::Policy;
use crate::rpc::{RpcError, shortened};

/// One request's endpoint. All of the request sees the lists of one moment.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) core: Arc<Core>,
    pub(crate) name: ViewName,
    pub(crate) view: Arc<View>,
    /// Who asks.
    pub(crate) principal: Arc<Principal>,
    /// Whence.
    pub(crate) address: Option<IpAddr>,
    /// What they may do.
    pub(crate) policy: Arc<Policy>,
    /// Whether headers must say what stands in the body, for routers between (2026-07-28, streamable HTTP).
    pub(crate) repeats_in_headers: bool,
}

impl Door {
    /// The endpoint of the view `name`, at which `principal` asks from `address`.
    pub(crate) fn open(
        core: &Arc<Core>,
        name: ViewName,
        (principal, address): (Principal, Option<IpAddr>),
    ) -> Result<Self, RpcError> {
        let policy = core.policy.load_full();
        if !policy.config().admits(&name, &principal.name) {
            return Err(closed(&name));
        }
        match core.catalog.load().view(&name) {
            Some(view) => {
                let (core, principal) = (Arc::clone(core), Arc::new(principal));
                Ok(Self { core, name, view, principal, address, policy, repeats_in_headers: true })
            }
            None => Err(unknown(&name)),
        }
    }

    /// The part of the view that who asks may see.
    pub(crate) fn seen(&self) -> Arc<View> {
        self.policy.seen(&self.principal, &self.name, &self.view)
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
