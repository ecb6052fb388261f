//! The audit log: who called what, when, by which rule, and how it ended; one JSON object a line.

mod redact;
mod writer;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use globset::GlobSet;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::config::audit::{self, Arguments};
use crate::metrics::{Metrics, Outcome};
use crate::source::ServerKey;
use writer::Writer;

/// Writes what a configuration wants written.
#[derive(Debug)]
pub(crate) struct Audit {
    config: audit::Audit,
    redacted: GlobSet,
    writer: Writer,
}

/// One line.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    time: String,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    #[serde(flatten)]
    call: Option<&'a Called>,
    #[serde(flatten)]
    ended: Option<Ended>,
    /// Why somebody was not let in.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// How a call ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Ended {
    outcome: &'static str,
    duration_ms: u64,
}

/// A call, as far as it is written down.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Called {
    /// The client's session as a digest, which tells calls of one session from those of others and opens nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<String>,
    pub(crate) method: &'static str,
    pub(crate) server: String,
    /// The tool's or prompt's name before any prefix, or the resource's URI.
    pub(crate) name: String,
    /// The rule that decided, and what.
    pub(crate) rule: String,
    pub(crate) decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) arguments: Option<Box<RawValue>>,
}

/// A call that is going on; written when this is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    audit: Arc<Audit>,
    began: Instant,
    principal: Arc<str>,
    address: Option<IpAddr>,
    called: Called,
    outcome: Outcome,
}

impl Audit {
    /// As `config` says.
    pub(crate) fn new(config: &audit::Audit, metrics: &Arc<Metrics>) -> Self {
        let writer = Writer::start(&config.file, Arc::clone(metrics));
        Self { config: config.clone(), redacted: config.redacted(), writer }
    }

    /// What it was made by.
    pub(crate) fn config(&self) -> &audit::Audit {
        &self.config
    }

    /// What is written of the arguments `raw`.
    pub(crate) fn arguments(&self, raw: Option<&str>) -> Option<Box<RawValue>> {
        match self.config.arguments {
            Arguments::Off => None,
            Arguments::Names => redact::names(raw?),
            Arguments::Values => redact::values(raw?, &self.redacted),
        }
    }

    /// A call begins.
    pub(crate) fn begin(
        self: &Arc<Self>,
        (principal, address): (&Arc<str>, Option<IpAddr>),
        called: Called,
    ) -> Entry {
        let (audit, principal) = (Arc::clone(self), Arc::clone(principal));
        Entry { audit, began: Instant::now(), principal, address, called, outcome: Outcome::Cancelled }
    }

    /// Somebody was not let in.
    pub(crate) fn refused(&self, address: Option<IpAddr>, reason: &str) {
        self.write(&Line {
            time: now(),
            event: "authentication",
            principal: None,
            address,
            call: None,
            ended: None,
            reason: Some(reason),
        });
    }

    fn write(&self, line: &Line<'_>) {
        match serde_json::to_string(line) {
            Ok(text) => self.writer.write(text),
            Err(error) => tracing::error!(%error, "a line of the audit log cannot be made"),
        }
    }

    /// Waits until all that was written lies in the file.
    pub(crate) async fn flush(&self) {
        self.writer.flush().await;
    }
}

impl Entry {
    /// How the call ended; without this it counts as cancelled.
    pub(crate) fn set(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let ended = Ended { outcome: self.outcome.as_str(), duration_ms };
        self.audit.write(&Line {
            time: now(),
            event: "call",
            principal: Some(&self.principal),
            address: self.address,
            call: Some(&self.called),
            ended: Some(ended),
            reason: None,
        });
    }
}

/// `namespace/name`.
pub(crate) fn server(key: &ServerKey) -> String {
    key.to_string()
}

fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}
