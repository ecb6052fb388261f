//! Looks at every server about once a second and has done what is to be done, while this replica of the gateway is the one that
//! decides. To wake a server at zero needs none: any replica does that (see `wake`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Peers;
use super::demand::{Load, Told};
use super::gather::Gathered;
use super::member::{Member, Moment};
use super::peers::Others;
use crate::backend::Backend;
use crate::core::Core;
use crate::source::{Kind, ServerKey};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// The same while replicas drain: a call that comes meanwhile may wait for what becomes of it.
const SOON: Duration = Duration::from_millis(100);
/// Servers that are looked at together: what is done takes a request each.
const TOGETHER: usize = 16;

/// Until when this replica of the gateway decides; the past if it does not.
pub type Leads = watch::Receiver<Instant>;

type Key = (Kind, ServerKey);

/// Looks and acts, for ever.
pub(crate) async fn run(core: Arc<Core>, mut leads: Leads, peers: Peers) {
    loop {
        if leads.wait_for(|until| Instant::now() < *until).await.is_err() {
            return;
        }
        decide(&core, &leads, &peers).await;
    }
}

/// Looks and acts while this replica decides. While replicas of some servers drain, these alone are looked at in between.
async fn decide(core: &Arc<Core>, leads: &Leads, peers: &Peers) {
    let (mut members, mut others) = (HashMap::<Key, Member>::new(), Others::default());
    let mut all_due = Instant::now();
    while Instant::now() < *leads.borrow() {
        let (mut told, unknown) = others.ask(core, peers).await;
        told.push(Told::by(core));
        let mut scaled = core.scaled();
        if Instant::now() >= all_due {
            all_due = Instant::now() + EVERY;
            let keys: HashSet<Key> = scaled.iter().map(|backend| key_of(backend)).collect();
            members.retain(|key, _| keys.contains(key));
        } else {
            scaled.retain(|backend| members.get(&key_of(backend)).is_some_and(Member::is_draining));
        }
        let until = *leads.borrow();
        look(core, (&scaled, &mut members), (&told, unknown.as_deref()), until).await;
        let is_draining = members.values().any(Member::is_draining);
        let soon = Instant::now() + SOON;
        sleep_until(if is_draining { all_due.min(soon) } else { all_due }).await;
    }
    for backend in core.scaled() {
        core.report_scaling(&backend, None);
    }
}

async fn look(
    core: &Arc<Core>,
    (scaled, members): (&[Arc<Backend>], &mut HashMap<Key, Member>),
    (told, unknown): (&[Told], Option<&str>),
    until: Instant,
) {
    let index: Vec<HashMap<(Kind, &ServerKey), &Load>> = told
        .iter()
        .map(|told| told.servers.iter().map(|load| ((load.kind, &load.key), load)).collect())
        .collect();
    let moment = Moment { now: Duration::from_nanos(core.running_for(Instant::now())), unknown };
    // Boxed here: a closure over borrowed futures is not general enough for a task.
    let mut looks: Vec<BoxFuture<'_, (Key, Member)>> = Vec::with_capacity(scaled.len());
    for backend in scaled {
        let key = key_of(backend);
        let loads = told
            .iter()
            .zip(&index)
            .map(|(told, index)| (told.process, told.at, index.get(&(key.0, &key.1)).copied()));
        let gathered = Gathered { loads: loads.collect() };
        let mut member = members.remove(&key).unwrap_or_else(|| Member::new(backend));
        looks.push(Box::pin(async move {
            // No write leaves a replica that may have lost the Lease.
            if Instant::now() < until {
                member.look(core, backend, (gathered, moment)).await;
            }
            (key, member)
        }));
    }
    let looked: Vec<(Key, Member)> = stream::iter(looks).buffer_unordered(TOGETHER).collect().await;
    members.extend(looked);
}

fn key_of(backend: &Backend) -> Key {
    (backend.live().server.kind(), backend.key().clone())
}
