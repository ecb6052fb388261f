//! What Portico's MCP servers share: configuration, serving, tools, metrics and the upstream HTTP client.
//!
//! A server is a [`Server`]: its tools, what they answer, its pages. [`host()`] gives it MCP in both eras over streamable HTTP and
//! stdio, REST with an OpenAPI document, limits, health checks, metrics, logs, traces, reports and an orderly end. One that needs more
//! of MCP than that is an [`rmcp::ServerHandler`], which [`serve()`] serves. [`tool`] turns typed arguments and answers into MCP
//! tools, [`upstream`] calls the API that a server stands in front of.

pub mod audit_log;
pub mod cache;
pub mod caller;
pub mod checks;
pub mod component;
pub mod config;
pub mod documents;
pub mod flags;
pub mod host;
pub mod identity;
pub mod limit;
pub mod messages;
pub mod metrics;
pub mod person;
pub mod redact;
pub mod report;
pub mod seal;
pub mod secret;
pub mod serve;
pub mod server;
mod sessions;
pub mod store;
pub mod tool;
pub mod trace;
pub mod upstream;

mod audit;
mod calls;
mod digest;
mod mcp;
mod metered;
mod rest;
mod watched;

pub use audit_log::AuditLog;
pub use cache::Cache;
pub use caller::{Caller, Correlation};
pub use checks::{Check, Checks};
pub use component::Component;
pub use config::{ConfigError, Environment};
pub use digest::hex as digest;
pub use flags::FeatureFlags;
pub use host::{Hosting, host, host_on};
pub use messages::{Locale, Messages};
pub use metrics::Metrics;
pub use person::Person;
/// A counter of [`Metrics::counter`].
pub use prometheus_client::metrics::counter::Counter;
/// The URL type that configuration and file addresses use.
pub use reqwest::Url;
pub use seal::Sealer;
pub use secret::{Secret, SecretSource};
pub use serve::{Error, Serving, Transport, serve, serve_on};
pub use server::{About, RestRoute, Server, ToolCall};
pub use store::{Store, StoreConfig};
