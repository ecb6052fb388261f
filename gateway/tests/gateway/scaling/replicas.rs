//! Several replicas of the gateway, of which one decides.

use std::sync::Arc;
use std::time::Duration;

use portico_gateway::source::Bounds;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::support::{TestGateway, eventually};
use super::decisions;
use super::machine::{Machine, Ways, who};

struct Pair {
    gateways: Vec<TestGateway>,
    machine: Arc<Machine>,
    leads: Vec<watch::Sender<Instant>>,
}

impl Pair {
    /// Two gateways in front of one server, which has one replica; the first decides.
    async fn start(ways: Ways) -> Self {
        let gateways = vec![TestGateway::replica(Vec::new()).await, TestGateway::replica(Vec::new()).await];
        let sources = gateways.iter().map(|gateway| gateway.servers.clone()).collect();
        let machine = Machine::new(&[("one", ways)], sources);
        machine.edit("one", |_, desired| *desired = 1);
        for gateway in &gateways {
            gateway.until_connected("one").await;
        }
        let urls: Vec<String> =
            gateways.iter().map(|gateway| format!("http://{}", gateway.address)).collect();
        let drive = |(at, gateway): (usize, &TestGateway)| {
            machine.drive_among(&gateway.gateway, urls.clone(), at == 0)
        };
        let leads = gateways.iter().enumerate().map(drive).collect();
        Self { gateways, machine, leads }
    }
}

fn ways() -> Ways {
    let bounds = Bounds { max: 8, ..Ways::default().bounds };
    Ways { call: Duration::from_millis(400), ready: Duration::from_millis(50), bounds, ..Ways::default() }
}

/// Calls the second gateway from so many clients until `stop`.
async fn load(gateway: &TestGateway, clients: usize, stop: &CancellationToken) {
    let call = || async {
        while !stop.is_cancelled() {
            let (_, answered) = gateway.modern("tools/call", json!({ "name": "a", "arguments": {} })).await;
            who(&answered);
        }
    };
    futures::future::join_all((0..clients).map(|_| call())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_replica_that_decides_counts_what_the_others_have_and_another_goes_on_when_it_dies() {
    let mut pair = Pair::start(ways()).await;
    let stop = CancellationToken::new();
    let second = pair.gateways.pop().unwrap();
    let first = pair.gateways.pop().unwrap();
    let watch = async {
        eventually("the load of the other replica is seen", async || pair.machine.desired("one") >= 4).await;
        // The one that decides dies in the middle of that; what it held goes to the other.
        drop(first);
        pair.leads[0].send_replace(Instant::now());
        pair.leads[1].send_replace(Instant::now() + Duration::from_hours(1));
        let before = pair.machine.desired("one");
        eventually("the new one has decided a few times", async || decisions(&second, "").await >= 3).await;
        assert!(
            pair.machine.desired("one") >= before,
            "a new decider takes nothing away before it has watched"
        );
        stop.cancel();
    };
    tokio::join!(load(&second, 32, &stop), watch);
    // The dead one is named among the replicas still, so that nothing is taken away.
    let report = second
        .until_report("one", |report| {
            report
                .scaling
                .as_ref()
                .is_some_and(|scaling| format!("{:?}", scaling.activity).contains("DemandUnknown"))
        })
        .await;
    println!("{:?}", report.scaling.unwrap().activity);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_replica_starts_a_server_for_the_calls_that_wait_in_it() {
    let pair = Pair::start(Ways { start: Duration::from_millis(200), ..ways() }).await;
    eventually("the server is at zero", async || pair.machine.desired("one") == 0).await;
    let (_, answered) = pair.gateways[1].modern("tools/call", json!({ "name": "a", "arguments": {} })).await;
    who(&answered);
    eventually("the server is at zero again", async || pair.machine.desired("one") == 0).await;
}

#[tokio::test]
async fn marks_of_a_decider_that_died_are_taken_off_by_the_next() {
    let mut bounds = ways().bounds;
    bounds.spec.min = 2;
    let pair = Pair::start(Ways { bounds, ..ways() }).await;
    eventually("two replicas serve", async || pair.machine.serving("one").len() == 2).await;
    pair.leads[0].send_replace(Instant::now());
    let marked = pair.machine.serving("one").remove(0);
    pair.machine.mark("one", &marked);
    assert_eq!(pair.machine.serving("one").len(), 1);
    pair.leads[1].send_replace(Instant::now() + Duration::from_hours(1));
    eventually("both serve again", async || pair.machine.serving("one").len() == 2).await;
}

#[tokio::test]
async fn only_who_has_the_keys_of_the_replicas_is_told_the_load() {
    let gateway = TestGateway::replica(Vec::new()).await;
    let ask = |sealed: &str| {
        let url = format!("http://{}/peer/load", gateway.address);
        gateway.http.get(url).header("portico-peer", sealed).send()
    };
    for sealed in ["", "x", &"A".repeat(300)] {
        assert_eq!(ask(sealed).await.unwrap().status(), 403);
    }
    let session = gateway.legacy("2025-11-25").await.session;
    assert_eq!(ask(&session).await.unwrap().status(), 403, "another sealed text of ours");
}
