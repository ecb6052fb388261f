//! Turns custom resources into Kubernetes objects.
//!
//! One folder a kind, one module a step: `resolve` reads the cluster, `validate`, `render` and `status` are pure,
//! `apply` writes. What kinds share stands beside them.

pub mod backoff;
pub mod checks;
pub mod child;
pub mod client;
pub mod composite;
pub mod condition;
pub mod error;
pub mod health;
pub mod inference_model;
pub mod kind;
pub mod kroger_integration;
pub mod lease;
pub mod marks;
pub mod mcp_server;
pub mod metrics;
pub mod pod;
pub mod publish;
pub mod quantity;
pub mod reference;
pub mod referrers;
pub mod rendered;
pub mod replicas;
pub mod resolve;
pub mod rights;
mod run;
pub mod sent;
pub mod shop_connector;
mod watch;
pub mod watches;
pub mod workload;

pub use run::{KindName, Options, run};
