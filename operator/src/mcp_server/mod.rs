//! `McpServer`.
pub mod reference;
pub mod render;
pub mod status;
pub mod validate;
