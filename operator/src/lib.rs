//! Turns custom resources into Kubernetes objects.
pub mod mcp_server;
