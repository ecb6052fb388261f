//! What Portico's MCP servers share: configuration, serving, tools, metrics and the upstream HTTP client.
//!
//! A server is an [`rmcp::ServerHandler`]; [`serve()`] puts it behind streamable HTTP or stdio with health
//! checks, metrics and an orderly end. [`tool`] turns typed arguments and answers into MCP tools,
//! [`upstream`] calls the API that a server stands in front of.

pub mod cache;
pub mod checks;
pub mod config;
pub mod metrics;
pub mod seal;
pub mod secret;
pub mod serve;
pub mod store;
pub mod tool;
pub mod upstream;

mod audit;
mod digest;
mod metered;

pub use cache::Cache;
pub use checks::{Check, Checks};
pub use config::{ConfigError, Environment};
pub use metrics::Metrics;
/// The URL type that configuration and file addresses use.
pub use reqwest::Url;
pub use seal::Sealer;
pub use secret::Secret;
pub use serve::{Error, Serving, Transport, serve, serve_on};
pub use store::{Store, StoreConfig};
