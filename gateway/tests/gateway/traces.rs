//! Traces of calls, as a collector gets them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use http::StatusCode;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Attribute;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use portico_gateway::Options;
use portico_gateway::trace::Settings;
use prost::Message as _;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::raw_server::{RawServer, Seen, events, json_response, nothing_special};
use crate::support::{TestGateway, answer, eventually, server};

const A: &str = r#"[{"name":"a","inputSchema":{}}]"#;
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What came to a collector.
#[derive(Default)]
struct Came {
    spans: Vec<Span>,
    resource: Vec<(String, String)>,
    headers: Vec<http::HeaderMap>,
}

struct Collector {
    url: String,
    came: Arc<Mutex<Came>>,
    _stop: DropGuard,
}

impl Collector {
    /// Answers each request with the next of `statuses`, and then with 200.
    async fn start(statuses: &[u16]) -> Self {
        let came = Arc::new(Mutex::new(Came::default()));
        let (taken, statuses) = (Arc::clone(&came), Arc::new(Mutex::new(statuses.to_vec())));
        let take = move |headers: http::HeaderMap, body: Bytes| {
            let mut statuses = statuses.lock().unwrap();
            if !statuses.is_empty() {
                return std::future::ready(StatusCode::from_u16(statuses.remove(0)).unwrap());
            }
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            let mut came = taken.lock().unwrap();
            came.headers.push(headers);
            for part in request.resource_spans {
                came.resource = part.resource.unwrap().attributes.iter().map(pair).collect();
                came.spans.extend(part.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
            std::future::ready(StatusCode::OK)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let (token, router) = (stop.clone(), Router::new().route("/v1/traces", post(take)));
        tokio::spawn(
            async move { token.run_until_cancelled(axum::serve(listener, router).into_future()).await },
        );
        Self { url, came, _stop: stop.drop_guard() }
    }

    /// The first so many spans, those of clients' requests before those within them.
    async fn spans(&self, count: usize) -> Vec<Span> {
        eventually("the spans have come", async || self.came.lock().unwrap().spans.len() >= count).await;
        self.came.lock().unwrap().spans.clone()
    }
}

fn pair(attribute: &opentelemetry_proto::tonic::common::v1::KeyValue) -> (String, String) {
    match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Attribute::StringValue(text)) => (attribute.key.clone(), text.clone()),
        other => panic!("{}: {other:?}", attribute.key),
    }
}

fn of<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Attribute::StringValue(text) => Some(text),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn settings(url: &str, more: &[(&str, &str)]) -> Settings {
    let usual = [("OTEL_EXPORTER_OTLP_ENDPOINT", url), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
    let read = |name: &str| {
        let said = more.iter().chain(&usual).find(|(known, _)| *known == name);
        said.map(|(_, value)| (*value).to_owned())
    };
    Settings::from_variables(read).unwrap().unwrap()
}

async fn traced(raw: &RawServer, collector: &Collector, more: &[(&str, &str)]) -> TestGateway {
    // Nobody waits for a server that is away.
    let options = Options { hold: Duration::ZERO, ..Options::default() };
    let gateway = TestGateway::with(options, vec![server("raw", &[&raw.url()])]).await;
    gateway.gateway.trace(settings(&collector.url, more));
    gateway.until_tools(&["a"]).await;
    gateway
}

#[tokio::test]
async fn a_call_is_told_in_two_spans_and_the_server_learns_of_the_inner_one() {
    let raw = RawServer::modern(A, nothing_special).await;
    let collector = Collector::start(&[]).await;
    let headers = [("OTEL_EXPORTER_OTLP_HEADERS", "x-key=k"), ("OTEL_SERVICE_NAME", "edge")];
    let gateway = traced(&raw, &collector, &headers).await;
    let meta = json!({ "traceparent": PARENT, "tracestate": "a=1", "baggage": "b=2" });
    let (status, _) = gateway.modern("tools/call", json!({ "name": "a", "_meta": meta })).await;
    assert_eq!(status, 200);
    let spans = collector.spans(2).await;
    let (asked, sent) = (&spans[0], &spans[1]);
    assert_eq!((hex(&asked.trace_id), hex(&sent.trace_id)), (TRACE.to_owned(), TRACE.to_owned()));
    assert_eq!(hex(&asked.parent_span_id), "00f067aa0ba902b7");
    assert_eq!(sent.parent_span_id, asked.span_id);
    assert_eq!((asked.kind(), sent.kind()), (SpanKind::Server, SpanKind::Client));
    assert_eq!((asked.name.as_str(), sent.name.as_str()), ("tools/call a", "tools/call a"));
    assert!(asked.start_time_unix_nano < asked.end_time_unix_nano && asked.status.is_none());
    for (key, value) in [
        ("mcp.method.name", "tools/call"),
        ("gen_ai.tool.name", "a"),
        ("gen_ai.operation.name", "execute_tool"),
        ("jsonrpc.request.id", "1"),
        ("mcp.protocol.version", "2026-07-28"),
        ("portico.server", "raw"),
        ("portico.namespace", "shop"),
    ] {
        assert_eq!(of(asked, key), Some(value), "{key}");
    }
    assert_eq!((of(asked, "error.type"), of(asked, "mcp.session.id")), (None, None));
    let seen = &raw.seen("tools/call")[0];
    let told = format!("00-{TRACE}-{}-01", hex(&sent.span_id));
    assert_eq!(seen.body["params"]["_meta"]["traceparent"], told);
    assert_eq!(seen.headers["traceparent"], told);
    assert_eq!(
        (&seen.body["params"]["_meta"]["tracestate"], &seen.headers["tracestate"]),
        (&json!("a=1"), &http::HeaderValue::from_static("a=1"))
    );
    assert_eq!(seen.body["params"]["_meta"]["baggage"], "b=2");
    {
        let came = collector.came.lock().unwrap();
        assert!(came.resource.contains(&("service.name".into(), "edge".into())), "{:?}", came.resource);
        assert_eq!(came.headers[0]["x-key"], "k");
        assert_eq!(came.headers[0]["content-type"], "application/x-protobuf");
    }
    let (_, metrics) = gateway.get("/metrics").await;
    assert!(metrics.contains(&format!("# {{trace_id=\"{TRACE}\"}}")), "{metrics}");
    let counted = async || gateway.get("/metrics").await.1.contains(r#"trace_spans_total{outcome="sent"} 2"#);
    eventually("both are counted", counted).await;
}

#[tokio::test]
async fn a_client_with_a_session_is_traced_by_its_headers_and_a_call_without_a_trace_begins_one() {
    let raw = RawServer::legacy(A, nothing_special).await;
    let collector = Collector::start(&[]).await;
    let gateway = traced(&raw, &collector, &[]).await;
    let client = gateway.legacy("2025-11-25").await;
    let body = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"a"}}"#;
    let (status, _) = answer(client.request(body).header("traceparent", PARENT).send().await.unwrap()).await;
    assert_eq!(status, 200);
    let spans = collector.spans(2).await;
    assert_eq!(hex(&spans[0].trace_id), TRACE);
    assert_eq!(of(&spans[0], "mcp.session.id").map(str::len), Some(32));
    let id = of(&spans[0], "mcp.session.id").unwrap();
    assert!(!client.session.contains(id), "no credential");
    let seen = &raw.seen("tools/call")[0];
    let told = format!("00-{TRACE}-{}-01", hex(&spans[1].span_id));
    assert_eq!(seen.body["params"]["_meta"]["traceparent"], told);
    client.call("tools/call", json!({ "name": "a" })).await;
    let spans = collector.spans(4).await;
    assert!(spans[2].parent_span_id.is_empty() && spans[2].trace_id != spans[0].trace_id);
    assert_eq!(spans[3].trace_id, spans[2].trace_id);
}

/// Answers calls with an error of JSON-RPC, then with a failed tool.
fn failing(seen: Seen) -> futures::future::BoxFuture<'static, Option<axum::response::Response>> {
    Box::pin(async move {
        let said = seen.body["params"]["arguments"]["fails"].as_str()?;
        Some(if said == "tool" {
            seen.result(r#"{"resultType":"complete","content":[],"isError":true}"#)
        } else {
            let error = r#"{"code":-32603,"message":"no"}"#;
            json_response(200, format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, seen.body["id"]))
        })
    })
}

#[tokio::test]
async fn what_went_wrong_stands_in_the_spans() {
    let raw = RawServer::modern(A, failing).await;
    let collector = Collector::start(&[]).await;
    let gateway = traced(&raw, &collector, &[]).await;
    for (number, (fails, error)) in [("tool", "tool_error"), ("rpc", "-32603")].into_iter().enumerate() {
        gateway.modern("tools/call", json!({ "name": "a", "arguments": { "fails": fails } })).await;
        let spans = collector.spans(2 * number + 2).await;
        let last = &spans[2 * number..];
        assert!(last.iter().all(|span| of(span, "error.type") == Some(error)), "{last:?}");
        assert!(last.iter().all(|span| span.status.as_ref().is_some_and(|status| status.code == 2)));
    }
    drop(raw);
    gateway.modern("tools/call", json!({ "name": "a" })).await;
    let spans = collector.spans(6).await;
    assert_eq!(of(&spans[4], "error.type"), Some("unreachable"));
}

#[tokio::test]
async fn what_nobody_wants_to_keep_is_not_sent_and_the_server_learns_that_too() {
    let raw = RawServer::modern(A, nothing_special).await;
    let collector = Collector::start(&[]).await;
    let gateway = traced(&raw, &collector, &[]).await;
    let parent = PARENT.replace("-01", "-00");
    gateway.modern("tools/call", json!({ "name": "a", "_meta": { "traceparent": parent } })).await;
    gateway.modern("tools/call", json!({ "name": "a", "_meta": { "traceparent": PARENT } })).await;
    let spans = collector.spans(2).await;
    assert_eq!(spans.len(), 2, "those of the second call");
    let told = raw.seen("tools/call")[0].body["params"]["_meta"]["traceparent"].as_str().unwrap().to_owned();
    assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-00") && told != parent, "{told}");
}

#[tokio::test]
async fn without_a_collector_a_trace_passes_as_it_was_written() {
    let raw = RawServer::modern(A, nothing_special).await;
    let gateway = TestGateway::start(vec![server("raw", &[&raw.url()])]).await;
    gateway.until_tools(&["a"]).await;
    let request =
        gateway.modern_request("tools/call", json!({ "name": "a", "_meta": { "traceparent": PARENT } }));
    assert_eq!(answer(request.header("traceparent", PARENT).send().await.unwrap()).await.0, 200);
    gateway.modern("tools/call", json!({ "name": "a" })).await;
    let seen = raw.seen("tools/call");
    assert_eq!(seen[0].body["params"]["_meta"]["traceparent"], PARENT);
    assert!(seen[1].body["params"]["_meta"]["traceparent"].is_null());
    assert!(!seen[0].headers.contains_key("traceparent"));
}

#[tokio::test]
async fn a_collector_that_is_away_costs_calls_nothing_and_what_is_dropped_is_counted() {
    let raw = RawServer::modern(A, nothing_special).await;
    let collector = Collector::start(&[503, 400]).await;
    let small = [("OTEL_BSP_MAX_QUEUE_SIZE", "1"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")];
    let gateway = traced(&raw, &collector, &small).await;
    for _ in 0..20 {
        assert_eq!(gateway.modern("tools/call", json!({ "name": "a" })).await.0, 200);
    }
    let dropped = async || {
        let (_, metrics) = gateway.get("/metrics").await;
        metrics.contains(r#"trace_spans_total{outcome="dropped"}"#)
    };
    eventually("what found no room is counted", dropped).await;
    let call = async || {
        gateway.modern("tools/call", json!({ "name": "a" })).await;
        !collector.came.lock().unwrap().spans.is_empty()
    };
    eventually("spans come once the collector takes them", call).await;
}

#[tokio::test]
async fn the_last_spans_are_sent_before_the_gateway_ends() {
    let raw = RawServer::modern(A, nothing_special).await;
    let collector = Collector::start(&[]).await;
    let mut gateway = traced(&raw, &collector, &[("OTEL_BSP_SCHEDULE_DELAY", "600000")]).await;
    gateway.modern("tools/call", json!({ "name": "a" })).await;
    gateway.stop();
    assert_eq!(collector.spans(2).await.len(), 2);
}

#[tokio::test]
async fn an_answer_at_the_end_of_a_stream_counts_as_one_and_what_went_wrong_in_it_is_told() {
    let raw = RawServer::legacy(A, |seen| {
        Box::pin(async move {
            let note =
                r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}"#;
            let result = r#"{"content":[],"isError":true}"#;
            let last = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, seen.body["id"]);
            (seen.method() == "tools/call").then(|| events(format!("data: {note}\n\ndata: {last}\n\n")))
        })
    })
    .await;
    let collector = Collector::start(&[]).await;
    let gateway = traced(&raw, &collector, &[]).await;
    let client = gateway.legacy("2025-11-25").await;
    let (_, answered) = client.call("tools/call", json!({ "name": "a" })).await;
    assert_eq!(answered["result"]["isError"], true);
    assert_eq!(of(&collector.spans(2).await[0], "error.type"), Some("tool_error"));
    let counted = r#"calls_total{namespace="shop",server="raw",method="tools/call",outcome="answered"} 1"#;
    eventually("it is counted as answered", async || gateway.get("/metrics").await.1.contains(counted)).await;
}
