//! A real Kubernetes control plane for the tests, as plain processes.
//!
//! Etcd, the API server, the controllers and the scheduler are the real programs, built from their published
//! modules into one executable (`kubebox/`). Nothing needs root, a container runtime or a network beyond
//! loopback; at [`Level::Processes`] pods are local processes in a [`network`] of the tests' own. A test asks for
//! what it needs and gets a client:
//!
//! ```no_run
//! # async fn example() -> Result<(), portico_cluster::Error> {
//! use portico_cluster::{Cluster, Level};
//!
//! let cluster = Cluster::shared(Level::Kwok).await?;
//! let namespace = cluster.namespace("shop").await?;
//! let client = cluster.client()?;
//! # drop((client, namespace)); Ok(())
//! # }
//! ```
//!
//! Every process dies with the one that started it, however that one ends; its folder goes too.

mod audit;
mod child;
mod cluster;
mod control;
mod diagnose;
mod error;
mod folder;
mod identity;
mod kwok;
mod level;
mod namespace;
pub mod network;
pub mod node;
mod pki;
pub mod programs;
mod services;
mod shared;
mod wait;
mod wanted;
mod way;

pub use audit::{AuditEvent, AuditMark};
pub use cluster::Cluster;
pub use error::Error;
pub use kwok::fake_node;
pub use level::Level;
pub use namespace::Namespace;
pub use node::NodeOptions;
pub use shared::JOIN_VARIABLE;
pub use wait::{wait_for, wait_until};
pub use wanted::{WANTED_VARIABLE, wanted};
pub use way::Way;
