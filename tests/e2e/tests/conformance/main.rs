//! The official conformance suite of MCP, run through the gateway: the frozen requirements of 2025-11-25 (clients with
//! sessions) and of 2026-07-28 (clients without), each with a server of each kind.

mod suite;

use portico_conformance::{Era, Fixture};
use portico_e2e::gateway::InProcess;
use portico_gateway::source::{Endpoint, Server, ServerKey};

use crate::suite::{LEGACY, MODERN, Reason, check, check_tasks, run};

/// A gateway in front of a fixture.
struct Pair {
    url: String,
    _fixture: Fixture,
    _gateway: InProcess,
}

async fn in_front_of(era: Era) -> Pair {
    let fixture = Fixture::start(era).await.unwrap();
    let key = ServerKey { namespace: "tests".into(), name: "fixture".into() };
    let server = Server::new(key, vec![Endpoint::pod(fixture.url())]);
    let gateway = InProcess::connected(server).await.unwrap();
    Pair { url: gateway.url.clone(), _fixture: fixture, _gateway: gateway }
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
