//! The official conformance suite of MCP, run through the gateway: the frozen requirements of 2025-11-25 (clients with
//! sessions) and of 2026-07-28 (clients without), each with a server of each kind.

mod suite;

use std::sync::Arc;
use std::time::Duration;

use portico_conformance::{Era, Fixture};
use portico_gateway::source::{Endpoint, Server, ServerKey, Servers};
use portico_gateway::{Gateway, Options, ServerState};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::suite::{LEGACY, MODERN, Reason, check, check_tasks, run};

const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway in front of a fixture.
struct Pair {
    url: String,
    _fixture: Fixture,
    _gateway: Arc<Gateway>,
    _servers: watch::Sender<Servers>,
    _stop: DropGuard,
}

async fn in_front_of(era: Era) -> Pair {
    rustls::crypto::ring::default_provider().install_default().ok();
    let fixture = Fixture::start(era).await.unwrap();
    let server = Server::new(
        ServerKey { namespace: "tests".into(), name: "fixture".into() },
        vec![Endpoint::pod(fixture.url())],
    );
    let (servers, receiver) = watch::channel(Servers::from(Arc::new(vec![server])));
    let gateway = Arc::new(Gateway::new(Options::default(), receiver).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let (stop, serving) = (CancellationToken::new(), Arc::clone(&gateway));
    let token = stop.clone();
    tokio::spawn(async move { serving.serve(listener, token).await });
    let mut reports = gateway.reports();
    let connected =
        reports.wait_for(|reports| reports.iter().any(|report| report.state == ServerState::Connected));
    let connected = tokio::time::timeout(PATIENCE, connected).await;
    assert!(matches!(connected, Ok(Ok(_))), "the gateway connects to the fixture");
    drop(connected);
    Pair { url, _fixture: fixture, _gateway: gateway, _servers: servers, _stop: stop.drop_guard() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fixture_itself_passes() {
    for (era, requirements) in [(Era::Legacy, LEGACY), (Era::Modern, MODERN)] {
        let fixture = Fixture::start(era).await.unwrap();
        check(&run(&fixture.url(), requirements, "the fixture").await, &[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_with_sessions_pass_with_a_server_with_sessions() {
    let pair = in_front_of(Era::Legacy).await;
    check(&run(&pair.url, LEGACY, "a server with sessions").await, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_without_sessions_pass_with_a_server_without() {
    let pair = in_front_of(Era::Modern).await;
    let outcome = run(&pair.url, MODERN, "a server without sessions").await;
    check(&outcome, &[]);
    check_tasks(&outcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_with_sessions_pass_with_a_server_without() {
    let pair = in_front_of(Era::Modern).await;
    check(&run(&pair.url, LEGACY, "a server without sessions").await, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_without_sessions_pass_with_a_server_with_sessions_but_for_what_such_a_server_cannot_say() {
    let pair = in_front_of(Era::Legacy).await;
    check(&run(&pair.url, MODERN, "a server with sessions").await, &UNSAID);
}

/// A server with sessions asks under ids that its SDK counts up, not under keys of its own choice.
const UNSAID: [Reason; 1] = [Reason {
    scenario: "input-required-result-basic-elicitation",
    why: "the suite wants the question under the key `user_name`; a request of a server with sessions has no name",
}];
