//! Spans of calls and of requests to upstream, sent to a collector by OTLP over HTTP with JSON bodies (OpenTelemetry protocol 1.x).
//!
//! Spans are lost rather than waited for: the queue is bounded, and a collector that is away costs no call anything.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::HeaderMap;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::{ConfigError, Environment, Secret, caller::Correlation};

/// Spans that wait to be sent, and most of one request.
const QUEUE: usize = 4_096;
const BATCH: usize = 256;
/// How long a span waits for company.
const LINGER: Duration = Duration::from_secs(2);

tokio::task_local! {
    static CURRENT: Trace;
}

/// Where a trace comes from: the W3C Trace Context of the request, if it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Parent {
    trace: u128,
    span: u64,
    sampled: bool,
}

impl Parent {
    /// The request's `traceparent` (Trace Context, 3.2); what is malformed counts as absent.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Self {
        let text = headers.get("traceparent").and_then(|value| value.to_str().ok());
        text.and_then(Self::parse).unwrap_or_default()
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if (version.len(), trace.len(), span.len(), flags.len()) != (2, 32, 16, 2) || version == "ff" {
            return None;
        }
        let flags = u8::from_str_radix(flags, 16).ok()?;
        let parent = Self {
            trace: u128::from_str_radix(trace, 16).ok()?,
            span: u64::from_str_radix(span, 16).ok()?,
            sampled: flags & 1 == 1,
        };
        (parent.trace != 0 && parent.span != 0).then_some(parent)
    }
}

/// Sends spans where the environment says so.
#[derive(Clone, Default)]
pub struct Traces(Option<Arc<Sender>>);

struct Sender {
    queue: mpsc::Sender<Value>,
    lost: AtomicU64,
}

/// A span that has begun.
#[derive(Clone)]
pub(crate) struct Trace {
    sender: Option<Arc<Sender>>,
    name: Arc<str>,
    kind: u8,
    parent: Parent,
    trace: u128,
    span: u64,
}

/// `work` as a part of the call that asks for it now, for a task of its own that may outlast the call: under its correlation id, in its
/// trace and in its span of the log.
pub fn within_call<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let (id, trace) = (Correlation::current(), CURRENT.try_with(Clone::clone).ok());
    let traced = async move {
        match trace {
            Some(trace) => CURRENT.scope(trace, work).await,
            None => work.await,
        }
    };
    let found = async move {
        match id {
            Some(id) => id.scope(traced).await,
            None => traced.await,
        }
    };
    found.in_current_span()
}

impl Traces {
    /// To `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, or `/v1/traces` below `OTEL_EXPORTER_OTLP_ENDPOINT`, with the headers of
    /// `OTEL_EXPORTER_OTLP_HEADERS`, in the name of `OTEL_SERVICE_NAME` or `service`. Nothing is sent where neither is set.
    pub fn from_env(environment: &Environment<'_>, service: &str) -> Result<Self, ConfigError> {
        let (all, own) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let url = match (environment.text(own), environment.text(all)) {
            (Some(_), _) => environment.url(own, "")?,
            (None, Some(base)) => {
                environment.url(all, "")?;
                let url = format!("{}/v1/traces", base.trim_end_matches('/'));
                Url::parse(&url).map_err(|error| {
                    ConfigError::new(all, error.to_string(), "set the collector's address")
                })?
            }
            (None, None) => return Ok(Self::default()),
        };
        let headers = environment.optional_secret("OTEL_EXPORTER_OTLP_HEADERS")?;
        let service = environment.text("OTEL_SERVICE_NAME").unwrap_or_else(|| service.to_owned());
        let headers = headers.map(|text| parse_headers(&text)).transpose()?.unwrap_or_default();
        Ok(Self::to(url, headers, service))
    }

    fn to(url: Url, headers: HeaderMap, service: String) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let sender = Arc::new(Sender { queue, lost: AtomicU64::new(0) });
        tokio::spawn(export(waiting, Collector { url, headers, service, http: reqwest::Client::new() }));
        Self(Some(sender))
    }

    pub(crate) fn begin(&self, parent: Parent, name: String) -> Trace {
        let sender = self.0.clone().filter(|_| parent == Parent::default() || parent.sampled);
        let trace = if parent.trace == 0 { rand::random::<u128>().max(1) } else { parent.trace };
        Trace { sender, name: name.into(), kind: 2, parent, trace, span: rand::random::<u64>().max(1) }
    }

    /// Spans that could not be queued.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.as_ref().map_or(0, |sender| sender.lost.load(Ordering::Relaxed))
    }
}

impl Trace {
    /// A request to somewhere else that the current call makes; `None` outside of a call.
    pub(crate) fn child(name: String) -> Option<Self> {
        let of = CURRENT.try_with(Clone::clone).ok().filter(|trace| trace.sender.is_some())?;
        let parent = Parent { trace: of.trace, span: of.span, sampled: true };
        Some(Self { name: name.into(), kind: 3, parent, span: rand::random::<u64>().max(1), ..of })
    }

    pub(crate) async fn scope<T>(&self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self.clone(), work).await
    }

    pub(crate) fn end(&self, since: SystemTime, class: Option<&str>, attributes: &[(&str, &str)]) {
        let Some(sender) = &self.sender else { return };
        let text = |(key, value): &(&str, &str)| json!({ "key": key, "value": { "stringValue": value } });
        let mut attributes: Vec<Value> = attributes.iter().map(text).collect();
        attributes.extend(class.map(|class| text(&("error.type", class))));
        let mut span = json!({
            "traceId": format!("{:032x}", self.trace),
            "spanId": format!("{:016x}", self.span),
            "name": &*self.name,
            "kind": self.kind,
            "startTimeUnixNano": nanoseconds(since),
            "endTimeUnixNano": nanoseconds(SystemTime::now()),
            "attributes": attributes,
            "status": if class.is_some() { json!({ "code": 2 }) } else { json!({}) },
        });
        if self.parent.span != 0 {
            span["parentSpanId"] = format!("{:016x}", self.parent.span).into();
        }
        if sender.queue.try_send(span).is_err() {
            sender.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn nanoseconds(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos()).to_string()
}

struct Collector {
    url: Url,
    headers: HeaderMap,
    service: String,
    http: reqwest::Client,
}

async fn export(mut waiting: mpsc::Receiver<Value>, collector: Collector) {
    let mut told = false;
    while let Some(first) = waiting.recv().await {
        let mut batch = vec![first];
        let _ = tokio::time::timeout(LINGER, fill(&mut batch, &mut waiting)).await;
        match collector.send(batch).await {
            Ok(()) => told = false,
            Err(problem) if !told => {
                told = true;
                tracing::warn!(%problem, "spans cannot be sent and are lost");
            }
            Err(_) => {}
        }
    }
}

async fn fill(batch: &mut Vec<Value>, waiting: &mut mpsc::Receiver<Value>) {
    while batch.len() < BATCH
        && let Some(span) = waiting.recv().await
    {
        batch.push(span);
    }
}

impl Collector {
    async fn send(&self, spans: Vec<Value>) -> Result<(), String> {
        let body = json!({ "resourceSpans": [{
            "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": self.service } }] },
            "scopeSpans": [{ "scope": { "name": "portico", "version": env!("CARGO_PKG_VERSION") }, "spans": spans }],
        }]});
        let request =
            self.http.post(self.url.clone()).headers(self.headers.clone()).timeout(Duration::from_secs(5));
        let answer = request.json(&body).send().await.and_then(reqwest::Response::error_for_status);
        answer.map(drop).map_err(|error| error.without_url().to_string())
    }
}

/// `key=value,key=value`, as the variable has them.
fn parse_headers(text: &Secret) -> Result<HeaderMap, ConfigError> {
    let wrong = || {
        ConfigError::new(
            "OTEL_EXPORTER_OTLP_HEADERS",
            "is not a list of headers",
            "set name=value,name=value",
        )
    };
    let mut headers = HeaderMap::new();
    for pair in text.expose().split(',').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        let name = http::HeaderName::try_from(name.trim()).map_err(|_| wrong())?;
        let mut value = http::HeaderValue::try_from(value.trim()).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_goes_on_where_its_parent_is_well_formed_and_begins_anew_otherwise() {
        let parent = Parent::parse(PARENT).unwrap();
        assert_eq!((parent.span, parent.sampled), (0x00f0_67aa_0ba9_02b7, true));
        for text in [
            "",
            "00-0-0-0",
            &PARENT.replace("00-", "ff-"),
            &PARENT.replace('4', "g"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Parent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn headers_that_are_none_are_refused_without_their_value() {
        let error = parse_headers(&Secret::new("api-key".to_owned())).unwrap_err().to_string();
        assert!(error.contains("name=value") && !error.contains("api-key"), "{error}");
    }
}
