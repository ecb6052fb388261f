//! MCP server for the Kroger API.
