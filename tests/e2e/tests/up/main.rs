//! `portico up` as a person or a program runs it: the real program, real servers, real clients.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

mod client;
mod credentials;
mod edits;
mod ends;
mod inspector;
mod kroger;
mod quickstart;
mod running;
mod scaling;
mod starts;
mod websocket;

use std::path::{Path, PathBuf};

/// The folder of the workspace.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Whether Node.js is here; where it is not, what needs it is left out.
fn has_node() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("npx").is_file())
}

/// A server of one file, `text`, in the directory /docs.
fn files_server(name: &str, text: &str) -> String {
    format!(
        "apiVersion: portico.dev/v1alpha1\nkind: McpServer\nmetadata:\n  name: {name}\nspec:\n  source:\n    builtin:\n      \
         name: files\n  env:\n    - name: FILES_ALLOWED_DIRS\n      value: /docs\n  configFiles:\n    - path: /docs/note.md\n      \
         content: {text}\n"
    )
}

/// A stdio server behind the bridge: the shipped files server, which every machine with Portico has.
fn stdio_server(name: &str, text: &str) -> String {
    serde_json::json!({
        "apiVersion": "portico.dev/v1alpha1", "kind": "McpServer", "metadata": { "name": name },
        "spec": {
            "transport": "Stdio",
            "source": { "image": {
                "name": "any", "command": [portico_e2e::program(), "serve", "files", "--stdio"],
            } },
            "env": [{ "name": "FILES_ALLOWED_DIRS", "value": "/docs" }],
            "configFiles": [{ "path": "/docs/note.md", "content": text }],
        },
    })
    .to_string()
}
