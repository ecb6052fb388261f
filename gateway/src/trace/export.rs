//! Sends spans to a collector (OTLP 1 over HTTP, as protobuf), many at a time and beside the calls.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Outcome;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::span::{About, Finished};
use super::{Settings, Tracer};
use crate::core::Core;

/// Name of what makes the spans.
const SCOPE: &str = "portico.gateway";
/// Version of the semantic conventions whose names are used.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.42.0";
/// Waits before a request is made again that the collector could not take.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// How long calls in flight may go on after the shutdown, where nobody says that they have ended.
const LINGER: Duration = Duration::from_secs(30);

/// Sends what comes from `queue` until the last call has ended, and then what is left in it.
pub(crate) async fn run(
    core: &Arc<Core>,
    settings: Settings,
    tracer: Arc<Tracer>,
    mut queue: mpsc::Receiver<Finished>,
) {
    let mut batch = Vec::with_capacity(settings.batch);
    let mut complaint = Complaint::default();
    let mut ends = false;
    let end = ended(core, &tracer);
    tokio::pin!(end);
    while !ends {
        ends = tokio::select! {
            biased;
            () = &mut end => true,
            () = fill(&mut batch, &mut queue, &settings) => false,
        };
        if ends {
            queue.close();
            while let Ok(finished) = queue.try_recv() {
                batch.push(finished);
            }
        }
        for part in batch.chunks(settings.batch) {
            let sent = send(core, &settings, part, ends).await;
            complaint.note(sent.as_ref().err());
            tracer.metrics.spans(sent.is_ok(), 2 * part.len() as u64);
        }
        batch.clear();
    }
    tracer.flushed.cancel();
}

async fn ended(core: &Core, tracer: &Tracer) {
    core.shutdown.cancelled().await;
    timeout(LINGER, tracer.stop.cancelled()).await.ok();
}

/// Waits for a batch: until it is full, or for the delay after its first.
async fn fill(batch: &mut Vec<Finished>, queue: &mut mpsc::Receiver<Finished>, settings: &Settings) {
    if batch.is_empty() && queue.recv_many(batch, settings.batch).await == 0 {
        return std::future::pending().await;
    }
    let until = sleep(settings.delay);
    tokio::pin!(until);
    while batch.len() < settings.batch {
        let room = settings.batch - batch.len();
        tokio::select! {
            () = &mut until => return,
            _ = queue.recv_many(batch, room) => {}
        }
    }
}

/// Tells once that spans do not arrive, and once that they do again.
#[derive(Default)]
struct Complaint(bool);

impl Complaint {
    fn note(&mut self, reason: Option<&String>) {
        match reason {
            Some(reason) if !std::mem::replace(&mut self.0, true) => {
                tracing::warn!(reason, "traces do not reach the collector and are dropped until they do");
            }
            None if std::mem::take(&mut self.0) => tracing::info!("traces reach the collector again"),
            _ => {}
        }
    }
}

/// Sends one batch; at the end there is no time to try again.
async fn send(core: &Core, settings: &Settings, batch: &[Finished], ends: bool) -> Result<(), String> {
    let body = bytes::Bytes::from(request(settings, batch).encode_to_vec());
    let waits = if ends { &[] } else { &AGAIN[..] };
    let mut waits = waits.iter();
    loop {
        let answer = core.control.http.export(&settings.endpoint, &settings.headers, body.clone());
        let reason = match timeout(settings.timeout, answer).await {
            Ok(Ok(status)) if status.is_success() => return Ok(()),
            Ok(Ok(status)) if !may_pass(status) => return Err(format!("the collector answers {status}")),
            Ok(Ok(status)) => format!("the collector answers {status}"),
            Ok(Err(fault)) => fault,
            Err(_) => "the collector does not answer in time".to_owned(),
        };
        let Some(wait) = waits.next() else { return Err(reason) };
        if core.shutdown.run_until_cancelled(sleep(*wait)).await.is_none() {
            return Err(reason);
        }
    }
}

/// Whether it is worth trying again (OTLP, retryable responses).
fn may_pass(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

fn request(settings: &Settings, batch: &[Finished]) -> ExportTraceServiceRequest {
    let attributes = settings.resource.iter().map(|(key, value)| text(key, value)).collect();
    let scope = InstrumentationScope {
        name: SCOPE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let scope_spans = ScopeSpans {
        scope: Some(scope),
        spans: batch.iter().flat_map(spans).collect(),
        schema_url: SCHEMA.to_owned(),
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: vec![scope_spans],
            schema_url: String::new(),
        }],
    }
}

/// What the client asked, and within it what the server was asked.
fn spans(finished: &Finished) -> [Span; 2] {
    let Finished { trail, about, error, .. } = finished;
    let asked = span(finished, (trail.asked.span, trail.parent), (SpanKind::Server, &about.exposed));
    let sent = span(finished, (trail.sent, Some(trail.asked.span)), (SpanKind::Client, &about.original));
    debug_assert_eq!(asked.status.is_some(), error.is_some());
    [asked, sent]
}

fn span(finished: &Finished, (id, parent): (u64, Option<u64>), (kind, called): (SpanKind, &str)) -> Span {
    let Finished { trail, about, began, ended, error } = finished;
    let mut attributes = attributes(about, called);
    attributes.extend(error.as_deref().map(|error| text("error.type", error)));
    // URIs are too many to stand in the name of a span.
    let names_it = !called.is_empty() && about.named_by != Some("mcp.resource.uri");
    Span {
        trace_id: trail.asked.trace.to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        trace_state: trail.state.clone().unwrap_or_default(),
        parent_span_id: parent.map(|parent| parent.to_be_bytes().to_vec()).unwrap_or_default(),
        flags: 1,
        name: if names_it { format!("{} {called}", about.method) } else { about.method.to_owned() },
        kind: kind.into(),
        start_time_unix_nano: nanoseconds(*began),
        end_time_unix_nano: nanoseconds(*ended),
        attributes,
        status: error.is_some().then(|| Status { code: Outcome::Error.into(), message: String::new() }),
        ..Span::default()
    }
}

fn attributes(about: &About, called: &str) -> Vec<KeyValue> {
    let operation = (about.method == "tools/call").then_some("execute_tool");
    let optional = [
        (about.named_by.unwrap_or_default(), about.named_by.map(|_| called)),
        ("gen_ai.operation.name", operation),
        ("mcp.session.id", about.session.as_deref()),
        ("mcp.protocol.version", about.revision),
    ];
    let mut all = vec![
        text("mcp.method.name", about.method),
        text("jsonrpc.request.id", &about.id),
        text("network.protocol.name", "http"),
        text("network.transport", "tcp"),
        text("portico.namespace", &about.server.namespace),
        text("portico.server", &about.server.name),
    ];
    all.extend(optional.into_iter().filter_map(|(key, value)| Some(text(key, value?))));
    all
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn nanoseconds(at: SystemTime) -> u64 {
    u64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}
