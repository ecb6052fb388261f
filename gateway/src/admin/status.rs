//! What `/status` tells. Fields are added, and none is renamed or taken away within a version of Portico.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::backend::{Backend, Endpoint, ServerReport, ServerState};
use crate::core::Core;
use crate::version::Era;

/// Milliseconds since 1970, seconds and counts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    version: &'static str,
    uptime_seconds: u64,
    /// `starting`, `ready` or `stopping`.
    state: &'static str,
    tls: bool,
    /// Whether the servers are those that were kept before the start.
    servers_stale: bool,
    servers: Vec<Server>,
    open: Open,
    quotas: Vec<Quota>,
    configuration: Configuration,
}

/// A quota of the configuration.
#[derive(Debug, Serialize)]
struct Quota {
    name: String,
    /// How much of it there is, such as `60 in 60 s` or `1000 each day`.
    amount: String,
    /// Calls and requests that found it used up here since the configuration was taken.
    refused: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Server {
    namespace: String,
    name: String,
    state: &'static str,
    /// Why it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Whether its lists come from itself, and not from what was kept.
    confirmed: bool,
    /// `legacy`: with sessions; `modern`: without.
    #[serde(skip_serializing_if = "Option::is_none")]
    era: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_version: Option<String>,
    tools: usize,
    resources: usize,
    prompts: usize,
    tool_bytes: usize,
    unapproved_tools: Vec<String>,
    /// Sessions that the gateway has with it.
    sessions: usize,
    calls_in_flight: usize,
    pods: Vec<Pod>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Pod {
    url: String,
    remote: bool,
    /// `closed`: it is used; `open`: it failed of late, and others are preferred.
    breaker: &'static str,
    calls_in_flight: usize,
}

/// What is open over all clients, beside the most that may be.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Open {
    requests: Bounded,
    streams: Bounded,
    sessions_with_servers: Bounded,
    questions: Bounded,
    waiting_calls: Bounded,
    approvals: Bounded,
}

#[derive(Debug, Serialize)]
struct Bounded {
    now: usize,
    most: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Configuration {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// When it was taken last, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    loaded_unix_seconds: Option<u64>,
    /// Why it was not taken when it changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Why the certificate was not taken when it changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_error: Option<String>,
}

pub(super) fn of(core: &Core) -> Status {
    let sessions = core.sessions.by_backend();
    let backends = core.backends.load();
    let reports = core.reports().borrow().clone();
    let servers =
        reports.iter().map(|report| server(report, backends.get(&report.key).map(|b| &**b), &sessions));
    Status {
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: core.started.elapsed().as_secs(),
        state: state(core),
        tls: core.certificate.current().is_some(),
        servers_stale: core.metrics.is_stale(),
        servers: servers.collect(),
        open: open(core),
        quotas: quotas(core),
        configuration: configuration(core),
    }
}

fn state(core: &Core) -> &'static str {
    match (core.leaving.is_cancelled(), core.is_ready()) {
        (true, _) => "stopping",
        (false, true) => "ready",
        (false, false) => "starting",
    }
}

fn server(report: &ServerReport, backend: Option<&Backend>, sessions: &HashMap<u64, usize>) -> Server {
    let reason = match &report.state {
        ServerState::Failing { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    let known = report.protocol_version.is_some();
    let pin = report.pin.as_ref();
    Server {
        namespace: report.key.namespace.clone(),
        name: report.key.name.clone(),
        state: report.state.as_str(),
        reason,
        confirmed: report.confirmed,
        era: backend.filter(|_| known).map(|backend| era(backend.era())),
        protocol_version: report.protocol_version.clone(),
        server_name: report.server_name.clone(),
        server_version: report.server_version.clone(),
        tools: report.tools,
        resources: report.resources,
        prompts: report.prompts,
        tool_bytes: report.tool_bytes,
        unapproved_tools: pin.map(|pin| pin.unapproved.clone()).unwrap_or_default(),
        sessions: backend.and_then(|backend| sessions.get(&backend.id()).copied()).unwrap_or_default(),
        calls_in_flight: backend.map_or(0, Backend::in_flight),
        pods: backend
            .map(|backend| backend.live().endpoints.iter().map(|one| pod(one)).collect())
            .unwrap_or_default(),
    }
}

fn era(era: Era) -> &'static str {
    match era {
        Era::Modern => "modern",
        Era::Legacy => "legacy",
    }
}

fn pod(endpoint: &Endpoint) -> Pod {
    Pod {
        url: endpoint.shown(),
        remote: endpoint.remote,
        breaker: if endpoint.breaker.is_open() { "open" } else { "closed" },
        calls_in_flight: endpoint.in_flight.load(std::sync::atomic::Ordering::Relaxed),
    }
}

fn open(core: &Core) -> Open {
    let options = &core.options;
    let used = |semaphore: &tokio::sync::Semaphore, most: usize| Bounded {
        now: most.saturating_sub(semaphore.available_permits()),
        most,
    };
    Open {
        requests: used(&core.requests, options.max_requests),
        streams: used(&core.streams, options.max_streams),
        sessions_with_servers: Bounded { now: core.sessions.len(), most: options.max_backend_sessions },
        questions: Bounded { now: core.questions.len(), most: options.max_questions },
        waiting_calls: Bounded { now: core.parking.len(), most: options.max_questions },
        approvals: Bounded { now: core.approvals.len(), most: options.max_questions },
    }
}

fn quotas(core: &Core) -> Vec<Quota> {
    let policy = core.policy.load();
    let quotas = policy.config().limits.quotas.iter();
    let told = quotas.map(|quota| Quota {
        name: quota.name.clone(),
        amount: quota.amount(),
        refused: core.metrics.policy.refused(&quota.name),
    });
    told.collect()
}

fn configuration(core: &Core) -> Configuration {
    let load = core.load.get();
    let seconds = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Configuration {
        file: load.file.map(|file| file.display().to_string()),
        loaded_unix_seconds: load.taken.map(seconds),
        error: load.error,
        certificate_error: core.certificate.error(),
    }
}
