//! One MCP endpoint in front of many MCP servers.
//!
//! A [`Gateway`] follows a list of [`source::Server`]s and serves their tools, resources and prompts under `/mcp`, to
//! clients of the session-based revisions of the Model Context Protocol and of the stateless one alike. Messages pass
//! through as bytes: only names, URIs, ids, progress tokens and the `_meta` keys of the revision are rewritten.
//!
//! [`bridge`] serves one local stdio server as streamable HTTP, so that the gateway can reach it.

mod admin;
mod assertion;
mod audit;
mod auth;
mod backend;
pub mod bridge;
mod catalog;
mod cause;
mod certificate;
mod client;
pub mod config;
mod core;
mod envelope;
mod frontend;
#[cfg(test)]
mod fuzz;
mod gateway;
mod header_text;
mod health;
pub mod keep;
pub mod kubernetes;
mod limits;
mod meta;
mod method;
mod metrics;
mod options;
pub mod policy;
mod rpc;
pub mod scaling;
pub mod secret;
mod serve;
pub mod source;
mod subscriptions;
pub mod trace;
mod version;

pub use admin::LogFilter;
pub use backend::{Failure, PinReport, ServerReport, ServerState, TlsError};
pub use gateway::{Error, Gateway};
pub use options::Options;
