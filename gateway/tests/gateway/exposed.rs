//! HTTP paths of a server beside MCP, through the gateway.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{any, get};
use futures::StreamExt as _;
use portico_crds::mcp_server::{Exposed, HttpMethod, PathType};
use portico_gateway::Options;
use portico_gateway::source::{Exposure, Server};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::support::{TestGateway, eventually, server};

/// A server of HTTP: tells what it got, sends back what it gets as it comes, or says nothing after its head.
async fn rest() -> SocketAddr {
    let tell = |request: Request| async move {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let headers: Vec<String> = parts
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        let text = format!(
            "{} {}\n{}\n\n{}",
            parts.method,
            parts.uri,
            headers.join("\n"),
            String::from_utf8_lossy(&body)
        );
        Response::builder()
            .status(207)
            .header("set-cookie", "a=b")
            .header("connection", "x-own")
            .header("x-own", "1")
            .body(Body::from(text))
            .unwrap()
    };
    let back = |request: Request| async move { Response::new(request.into_body()) };
    let silent = || async {
        let first = futures::stream::once(async { Ok::<_, std::io::Error>("first") });
        Response::new(Body::from_stream(first.chain(futures::stream::pending())))
    };
    let router = Router::new().route("/back", any(back)).route("/silent", get(silent)).fallback(tell);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

fn exposed(path: &str, kind: PathType, methods: &[HttpMethod]) -> Exposed {
    Exposed { path: path.into(), kind, methods: methods.to_vec() }
}

async fn gateway() -> TestGateway {
    gateway_with(Options::default(), Duration::from_mins(1)).await
}

/// The same where a call may take so long.
async fn gateway_with(options: Options, call: Duration) -> TestGateway {
    let address = rest().await;
    let paths = vec![
        exposed("/auth/callback", PathType::Exact, &[HttpMethod::Get]),
        exposed("/api", PathType::Prefix, &[]),
        exposed("/mcp", PathType::Prefix, &[]),
        exposed("/back", PathType::Exact, &[]),
        exposed("/silent", PathType::Exact, &[]),
    ];
    let mut kroger = Server {
        exposure: Exposure { paths, mcp: "/mcp".into() },
        ..server("kroger", &[&format!("http://{address}/mcp")])
    };
    kroger.timeouts.call = call;
    TestGateway::with(options, vec![kroger, server("closed", &[&format!("http://{address}/mcp")])]).await
}

fn url(gateway: &TestGateway, path: &str) -> String {
    format!("http://{}{path}", gateway.address)
}

#[tokio::test]
async fn an_exposed_path_is_forwarded_with_its_query_body_and_headers() {
    let gateway = gateway().await;
    let request = gateway.http.patch(url(&gateway, "/servers/shop/kroger/api/carts/7?code=a%2Fb&x="));
    let request =
        request.header("authorization", "Bearer mine").header("x-forwarded-host", "forged").body("{}");
    let response = request.send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["set-cookie"]),
        (207, &"a=b".parse().unwrap())
    );
    assert!(!response.headers().contains_key("x-own"), "a header of the connection");
    let text = response.text().await.unwrap();
    assert!(text.starts_with("PATCH /api/carts/7?code=a%2Fb&x=\n"), "{text}");
    for part in [
        "authorization: Bearer mine",
        &format!("x-forwarded-host: {}", gateway.address),
        "x-forwarded-prefix: /servers/shop/kroger",
        "\n\n{}",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("forged"), "{text}");
}

#[tokio::test]
async fn nothing_but_the_exposed_paths_and_methods_is_reached() {
    let gateway = gateway().await;
    let status = async |method: http::Method, path: &str| {
        gateway.http.request(method, url(&gateway, path)).send().await.unwrap().status().as_u16()
    };
    assert_eq!(status(http::Method::GET, "/servers/shop/kroger/auth/callback?code=1").await, 207);
    assert_eq!(status(http::Method::POST, "/servers/shop/kroger/auth/callback").await, 405);
    let others = [
        "/servers/shop/kroger/auth/callback/more",
        "/servers/shop/kroger/apis",
        "/servers/shop/kroger/mcp",
        "/servers/shop/kroger/mcp/x",
        "/servers/shop/kroger/api//x",
        "/servers/shop/kroger/api/%2e%2e/metrics",
        "/servers/shop/kroger/",
        "/servers/shop/closed/api",
        "/servers/shop/none/api",
        "/servers/other/kroger/api",
    ];
    for path in others {
        assert_eq!(status(http::Method::GET, path).await, 404, "{path}");
    }
    let foreign =
        gateway.http.get(url(&gateway, "/servers/shop/kroger/api")).header("origin", "https://evil.example");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn bodies_pass_as_they_come_in_both_directions() {
    let gateway = gateway().await;
    let (sender, receiver) = mpsc::channel::<&'static str>(1);
    let body = futures::stream::unfold(receiver, |mut receiver| async move {
        let next = receiver.recv().await?;
        Some((Ok::<_, std::io::Error>(next), receiver))
    });
    sender.send("one").await.unwrap();
    let request =
        gateway.http.post(url(&gateway, "/servers/shop/kroger/back")).body(reqwest::Body::wrap_stream(body));
    let mut response = request.send().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "one", "before the request has ended");
    sender.send("two").await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "two");
    drop(sender);
    assert!(response.chunk().await.unwrap().is_none());
}

#[tokio::test]
async fn a_body_that_is_too_large_and_an_answer_that_stands_still_are_cut() {
    let options = Options { max_body_bytes: 1000, ..Options::default() };
    let gateway = gateway_with(options, Duration::from_secs(2)).await;
    let large =
        gateway.http.post(url(&gateway, "/servers/shop/kroger/api")).body("x".repeat(5000)).send().await;
    assert_ne!(large.unwrap().status().as_u16(), 207);
    let mut silent = gateway.http.get(url(&gateway, "/servers/shop/kroger/silent")).send().await.unwrap();
    assert_eq!(silent.chunk().await.unwrap().unwrap(), "first");
    assert!(silent.chunk().await.is_err(), "cut after the server's time for a call");
    let busy = async || gateway.get("/metrics").await.1.contains("method=\"http\",outcome=\"answered\"");
    eventually("it is counted", busy).await;
}

#[tokio::test]
async fn a_server_without_a_pod_answers_503_and_an_unreachable_one_502() {
    let gateway = gateway().await;
    let of = |endpoints: &[&str]| Server {
        exposure: Exposure { paths: vec![exposed("/api", PathType::Prefix, &[])], mcp: "/mcp".into() },
        ..server("kroger", endpoints)
    };
    for (endpoints, wanted) in [(&[][..], 503), (&["http://127.0.0.1:9/mcp"][..], 502)] {
        gateway.servers.send(Arc::new(vec![of(endpoints)])).unwrap();
        eventually(&format!("{wanted}"), async || gateway.get("/servers/shop/kroger/api").await.0 == wanted)
            .await;
    }
}
