//! Of several operators one acts.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use portico_cluster::{Level, wait_for, wanted};
use portico_operator::lease;

use crate::world::{SOON, World, image};

const LEASE: &str = "portico-operator";

async fn spec(world: &World) -> Option<LeaseSpec> {
    world.api::<Lease>().get_opt(LEASE).await.unwrap()?.spec
}

async fn holder(world: &World) -> Option<String> {
    spec(world).await?.holder_identity
}

/// How often the Lease has changed hands; nobody is a hand, too.
async fn transitions(world: &World) -> i32 {
    spec(world).await.unwrap().lease_transitions.unwrap()
}

async fn until_held_by(world: &World, who: &str, deadline: Duration) {
    wait_for(&format!("{who} as the holder"), deadline, async || {
        let holder = holder(world).await;
        if holder.as_deref() == Some(who) { Ok(Some(())) } else { Err(format!("{holder:?}")) }
    })
    .await
    .unwrap();
}

/// The operators that wrote anything but the Lease since the beginning.
async fn served_by(world: &World, server: &str, mark: portico_cluster::AuditMark) -> Vec<&'static str> {
    world.apply(server, image("1", "0s")).await;
    world.until_ready(server).await;
    ["one", "two", "three"].into_iter().filter(|account| !world.writes(mark, account).is_empty()).collect()
}

#[tokio::test]
async fn one_of_several_operators_acts_and_another_takes_over_when_it_dies_or_goes() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::empty().await;
    let mark = || world.cluster.audit_mark().unwrap();
    let one = world.operator("one", Some(LEASE)).await;
    until_held_by(&world, "one", SOON).await;
    let two = world.operator("two", Some(LEASE)).await;
    assert_eq!(served_by(&world, "a", mark()).await, ["one"]);
    let of_one = transitions(&world).await;
    // Dropped is killed: nobody lets go of the Lease, so it must run out.
    drop(one);
    until_held_by(&world, "two", lease::DURATION + SOON).await;
    assert_eq!(transitions(&world).await, of_one + 1, "from one to two");
    let three = world.operator("three", Some(LEASE)).await;
    assert_eq!(served_by(&world, "b", mark()).await, ["two"]);
    // One that is asked to end lets go, and nobody waits for the Lease to run out.
    two.stop().await;
    let free = Timestamp::now();
    until_held_by(&world, "three", SOON).await;
    assert_eq!(transitions(&world).await, of_one + 3, "from two to nobody, and from nobody to three");
    // By the Lease's own account: a busy test may be late to look. A second for what lies between the write and `free`.
    let waited = spec(&world).await.unwrap().acquire_time.unwrap().0.duration_since(free);
    let least = SignedDuration::try_from(lease::DURATION).unwrap();
    assert!(waited + SignedDuration::from_secs(1) < least, "a free Lease was taken after {waited:#}");
    assert_eq!(served_by(&world, "c", mark()).await, ["three"]);
    three.stop().await;
    assert_eq!(holder(&world).await.unwrap_or_default(), "");
}
