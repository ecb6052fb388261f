//! The operator's pure steps: validate, render, status.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod keyring;
mod kroger;
mod kroger_keys;
mod models;
mod reference;
mod render;
mod shop;
mod status;
mod validate;

use std::collections::BTreeMap;

use portico_crds::McpServer;
use portico_operator::kind::Refusal;
use portico_operator::mcp_server::reference::references;
use portico_operator::mcp_server::validate::{Settings, ValidatedServer, validate as validated};
use portico_operator::reference::{Content, Kind, References};
use serde_json::{Value, json};

/// A server as the API server gives it, generation 3.
fn server(spec: &Value) -> McpServer {
    serde_json::from_value(json!({
        "apiVersion": "portico.dev/v1alpha1", "kind": "McpServer",
        "metadata": {"name": "shop", "namespace": "store", "uid": "uid-1", "generation": 3},
        "spec": spec,
    }))
    .unwrap()
}

pub(crate) fn content(pairs: &[(&str, &str)]) -> Content {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
}

/// What the specs of these tests name.
fn cluster() -> BTreeMap<(Kind, String), Content> {
    BTreeMap::from([
        ((Kind::Secret, "keys".to_owned()), content(&[("api", "one"), ("other", "x")])),
        ((Kind::ConfigMap, "settings".to_owned()), content(&[("LEVEL", "info")])),
        ((Kind::Service, "there".to_owned()), content(&[("81", "")])),
        ((Kind::Volume, "models".to_owned()), Content::new()),
        ((Kind::Volume, "shop-data".to_owned()), Content::new()),
        ((Kind::ClaimTemplate, "gpu".to_owned()), Content::new()),
    ])
}

fn validate(spec: &Value) -> Result<ValidatedServer, Refusal> {
    let server = server(spec);
    validated(&server, &References::resolve(references(&server.spec), &cluster()), &settings())
}

fn settings() -> Settings {
    Settings {
        portico_image: "portico:test".into(),
        npm_image: "node:test".into(),
        pypi_image: "uv:test".into(),
        ..Settings::default()
    }
}
