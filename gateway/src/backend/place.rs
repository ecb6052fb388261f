//! A place at an endpoint for something that is no call of MCP.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::again::Tries;
use super::fault::Fault;
use super::{Backend, Endpoint, breaker};
use crate::core::Core;

/// Counted among what the endpoint has open for as long as it lives.
#[derive(Debug)]
pub(crate) struct Place(Arc<Endpoint>);

impl Place {
    /// Where it is.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.0
    }

    /// Takes note of what came of it.
    pub(crate) fn note(&self, fault: Option<&Fault>) {
        self.0.breaker.note(fault, breaker::now());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Backend {
    /// A place at one of its endpoints; waits for one where the server was there a moment ago.
    pub(crate) async fn place(&self, core: &Core) -> Result<Place, Fault> {
        let most = core.options.max_server_calls;
        if self.in_flight() >= most {
            return Err(Fault::Saturated(most));
        }
        let mut tries = Tries::new(core, self, false);
        loop {
            match self.pick(&[]) {
                Ok(endpoint) => {
                    endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
                    return Ok(Place(endpoint));
                }
                Err(fault) => tries.again(fault, None).await?,
            }
        }
    }
}
