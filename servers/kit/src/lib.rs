//! What Portico's MCP servers share.
