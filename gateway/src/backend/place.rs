//! A place at an endpoint for something that is no call of MCP.

use std::sync::Arc;

use super::again::Tries;
use super::fault::Fault;
use super::{Backend, Endpoint, InFlight, breaker};
use crate::core::Core;
use crate::scaling::Load;

impl InFlight {
    /// Where it is.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Takes note of what came of it.
    pub(crate) fn note(&self, fault: Option<&Fault>) {
        self.endpoint.breaker.note(fault, breaker::now());
    }
}

impl Backend {
    /// A place at one of its endpoints; waits for one where the server was there a moment ago.
    pub(crate) async fn place(self: &Arc<Self>, core: &Arc<Core>, load: Load) -> Result<InFlight, Fault> {
        let most = core.options.max_server_calls;
        if self.in_flight() >= most {
            return Err(self.saturated(most));
        }
        let mut tries = Tries::new(core, self, (false, load));
        loop {
            match self.choose(&[]) {
                Ok((endpoint, _chosen)) => return Ok(endpoint.take_up()),
                Err(fault) => {
                    Box::pin(tries.again(fault, None)).await?;
                }
            }
        }
    }
}
