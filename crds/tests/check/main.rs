//! What `check` takes and what it refuses, and with which words.

mod inference_model;
mod kroger_integration;
mod mcp_server;
mod scaling;
mod shop_connector;
mod verdict;
