//! Writes what the gateway knows of each server into its status: under a field manager of its own, by one of all
//! gateways, and only what changed.

mod election;
mod scaling;
mod status;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client, ResourceExt};
use portico_crds::lease::Claim;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Found;
use super::lists::ConfigMaps;
use super::scaler::Deployments;
use crate::cause;
use crate::gateway::Gateway;
use crate::keep::Recalled;
use crate::scaling::Peers;
use crate::source::ServerKey;
use election::take_part;
pub(super) use election::{Held, is_held};
use status::{Own, Reported};

/// Field manager of the gateway's part of a status.
pub const FIELD_MANAGER: &str = "portico-gateway-status";
/// By which name events are told.
const CONTROLLER: &str = "portico-gateway";
/// What their action is, and the reason that is a warning.
const ACTION: &str = "Scaling";
const FAILED: &str = "StartFailed";
/// Changes within this time are taken as one.
const SETTLE: Duration = Duration::from_millis(500);
/// Time until what could not be written is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// Everything is compared again after this time.
const RECHECK: Duration = Duration::from_mins(10);
/// Time for one write.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Writes at the same time.
const CONCURRENCY: usize = 8;

type Reports<K> = watch::Receiver<Arc<Vec<<K as Reported>::Report>>>;

/// What one of several gateways does for all.
pub struct Duties {
    /// By which Lease it is found.
    pub claim: Claim,
    /// Lists are kept in ConfigMaps, where these lie already; none if they are not kept there.
    pub lists: Option<Recalled>,
    /// Where the other replicas of the gateway are, whose load counts when servers are scaled.
    pub peers: Peers,
}

/// Writes what `gateway` knows of what was `found` into its status, keeps its lists beside it and scales it, while this process
/// holds the Lease, until `stop`. What is at zero it wakes without.
///
/// The future is boxed, so that it is compiled here once and not in every program that awaits it.
#[must_use]
pub fn report(
    client: Client,
    found: &Found,
    gateway: &Gateway,
    duties: Duties,
    stop: CancellationToken,
) -> BoxFuture<'static, ()> {
    let reporter = Reporter { controller: CONTROLLER.into(), instance: Some(duties.claim.identity.clone()) };
    let (held, election) = take_part(client.clone(), duties.claim, stop.clone());
    let place =
        ConfigMaps { client: client.clone(), resources: found.caches.servers.clone(), held: held.clone() };
    if let Some(lists) = &duties.lists {
        gateway.keep_lists(Arc::new(place), lists);
    }
    gateway.scale(Arc::new(Deployments::new(client.clone(), found)), held.clone(), duties.peers);
    let recorder = Recorder::new(client.clone(), reporter);
    let servers = Writer::new((&client, &recorder), found.caches.servers.clone(), held.clone());
    let models = Writer::new((&client, &recorder), found.caches.models.clone(), held);
    drop(client);
    let (of_servers, of_models) = (gateway.reports(), gateway.model_reports());
    let changes = found.changes.clone();
    Box::pin(async move {
        let writing =
            async { tokio::join!(servers.run(of_servers, changes.clone()), models.run(of_models, changes)) };
        stop.run_until_cancelled(writing).await;
        election.await.ok();
    })
}

/// What was written last, and the version it got: the cache may not have seen it yet.
type Sent = HashMap<ServerKey, (Option<u64>, Own)>;

struct Writer<K: Reported> {
    client: Client,
    recorder: Recorder,
    resources: Store<K>,
    held: Held,
    sent: Mutex<Sent>,
}

impl<K: Reported> Writer<K> {
    fn new((client, recorder): (&Client, &Recorder), resources: Store<K>, held: Held) -> Self {
        Self { client: client.clone(), recorder: recorder.clone(), resources, held, sent: Mutex::default() }
    }

    async fn run(mut self, mut reports: Reports<K>, mut changes: watch::Receiver<u64>) {
        loop {
            if self.held.wait_for(|until| is_held(*until)).await.is_err() {
                return;
            }
            changes.borrow_and_update();
            let now = Arc::clone(&reports.borrow_and_update());
            let pause = if self.pass(&now).await { RECHECK } else { RETRY };
            tokio::select! {
                gone = reports.changed() => if gone.is_err() { return },
                gone = changes.changed() => if gone.is_err() { return },
                () = sleep(pause) => {}
            }
            sleep(SETTLE).await;
        }
    }

    /// Writes what differs; whether all of it could be written.
    async fn pass(&self, reports: &[K::Report]) -> bool {
        self.lock().retain(|key, _| reports.iter().any(|report| K::key(report) == key));
        let writes: Vec<BoxFuture<'_, bool>> =
            reports.iter().map(|report| Box::pin(self.write(report)) as BoxFuture<'_, bool>).collect();
        stream::iter(writes)
            .buffer_unordered(CONCURRENCY)
            .fold(true, |all, one| async move { all && one })
            .await
    }

    async fn write(&self, report: &K::Report) -> bool {
        let key = K::key(report);
        let reference = ObjectRef::new(&key.name).within(&key.namespace);
        let Some(resource) = self.resources.get(&reference) else { return true };
        let before = self.before(&resource, key);
        let Some(own) = K::desired(report, &resource, &before, Timestamp::now()) else { return true };
        let until = *self.held.borrow();
        if own == before || !is_held(until) {
            return true;
        }
        match self.send(&resource, &own, until).await {
            Ok(version) => {
                self.lock().insert(key.clone(), (version, own.clone()));
                self.tell(&resource, &before, &own).await;
                true
            }
            Err(error) => {
                tracing::debug!(server = %key, %error, "a status could not be written and is tried again");
                false
            }
        }
    }

    /// Tells of the last decision about the number of pods, if it is new. An event that is lost is not sent again.
    async fn tell(&self, resource: &K, before: &Own, own: &Own) {
        let Some(decision) = own.newest().filter(|newest| before.newest() != Some(newest)) else { return };
        let event = Event {
            type_: if decision.reason == FAILED { EventType::Warning } else { EventType::Normal },
            reason: decision.reason.clone(),
            note: Some(format!("{} to {} pods: {}", decision.from, decision.to, decision.message)),
            action: ACTION.into(),
            secondary: None,
        };
        let told = timeout(CALL_TIMEOUT, self.recorder.publish(&event, &resource.object_ref(&()))).await;
        if !matches!(told, Ok(Ok(()))) {
            tracing::debug!(server = resource.name_any(), "an event could not be sent");
        }
    }

    /// The gateway's part of the status, as the cache has it or as it was written since.
    fn before(&self, resource: &K, key: &ServerKey) -> Own {
        match self.lock().get(key) {
            Some((written, own)) if *written > version(resource) => own.clone(),
            _ => resource.part(),
        }
    }

    async fn send(&self, resource: &K, own: &Own, until: Instant) -> Result<Option<u64>, String> {
        let (name, namespace) = (resource.name_any(), resource.namespace().unwrap_or_default());
        // For what was read and nothing else: not for a new resource of the same name, nor for another edit.
        let known = self
            .lock()
            .get(&ServerKey { namespace: namespace.clone(), name: name.clone() })
            .map(|sent| sent.0);
        let newest = known.flatten().max(version(resource)).map(|version| version.to_string());
        let body = json!({
            "apiVersion": K::api_version(&()), "kind": K::kind(&()),
            "metadata": { "name": name, "resourceVersion": newest }, "status": own,
        });
        let api: Api<K> = Api::namespaced(self.client.clone(), &namespace);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(&body);
        let call = timeout(CALL_TIMEOUT, api.patch_status(&name, &params, &patch));
        match timeout_at(until, call).await {
            Ok(Ok(Ok(written))) => Ok(version(&written)),
            Ok(Ok(Err(error))) => Err(cause::innermost(&error)),
            _ => Err("no answer in time".to_owned()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resource versions of one cluster can be compared as numbers (KEP-5504).
fn version(resource: &impl ResourceExt) -> Option<u64> {
    resource.resource_version().and_then(|text| text.parse().ok())
}
