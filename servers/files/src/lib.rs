//! MCP server for the files of allowed directories.
