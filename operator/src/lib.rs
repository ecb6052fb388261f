//! Turns custom resources into Kubernetes objects.
//!
//! One folder a kind, one module a step: `resolve` reads the cluster, `validate`, `render` and `status` are pure,
//! `apply` writes. What kinds share stands beside them.

pub mod backoff;
pub mod child;
pub mod error;
pub mod health;
pub mod lease;
pub mod mcp_server;
pub mod metrics;
mod run;
mod watch;

pub use run::{Options, run};
