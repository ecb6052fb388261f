//! Servers whose number of replicas follows their load: how much is asked of them, what is decided, and who carries it out.

mod demand;
mod drain;
mod gather;
mod hold;
mod learnt;
mod member;
mod meter;
pub(crate) mod peers;
mod report;
mod run;
mod telling;
mod wake;

use std::fmt;

use futures::future::BoxFuture;

use portico_scaling::Policy;
pub use portico_scaling::Reason;

use crate::source::{Bounds, Server};

pub(crate) use hold::{Hold, Load};
pub(crate) use learnt::Learnt;
pub(crate) use meter::{Meter, Open, Reading, Waiting};
pub use peers::Peers;
pub use report::{Activity, HISTORY, Record, ScalingReport};
pub use run::Leads;
pub(crate) use run::run;
pub(crate) use telling::Telling;
pub(crate) use wake::{wake, warm_up};

/// Gives workloads another number of replicas: a cluster's Deployments, or processes of this machine.
pub trait Scaler: fmt::Debug + Send + Sync + 'static {
    /// Asks for another number of replicas of `server`'s workload.
    fn scale<'a>(&'a self, server: &'a Server, change: Change) -> BoxFuture<'a, Result<(), Error>>;

    /// Has nothing new sent to the replicas at `urls`, which are the first to go; or lets them stay after all.
    fn drain<'a>(
        &'a self,
        server: &'a Server,
        urls: &'a [String],
        draining: bool,
    ) -> BoxFuture<'a, Result<(), Error>>;
}

/// Another number of replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The number that it was decided for.
    pub from: u32,
    /// The number that there should be.
    pub to: u32,
}

/// Why a number of replicas was not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else changed it meanwhile: what was decided was decided for another.
    #[error("somebody else has changed the number of replicas meanwhile")]
    Changed,
    /// It could not be done now.
    #[error("{0}")]
    Failed(String),
}

/// The bounds as the decider wants them, with the minimum that holds now.
fn policy(bounds: &Bounds, min: u32) -> Policy {
    Policy {
        min,
        max: bounds.max,
        target: f64::from(bounds.target),
        window: bounds.window,
        scale_in_after: bounds.scale_in_after,
        idle: bounds.idle,
        start_within: bounds.start_within,
        // A server that may go after a short silence may go as soon after its start.
        dwell: Policy::default().dwell.min(bounds.idle),
        ..Policy::default()
    }
}
