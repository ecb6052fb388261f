//! `McpServer`.

pub mod apply;
mod publish;
pub mod reference;
mod referrers;
pub mod render;
pub mod resolve;
pub mod status;
pub mod validate;
mod watches;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, Client, Resource as _, ResourceExt as _,
    api::ListParams,
    core::DeserializeGuard,
    runtime::{controller::Action, reflector::ObjectRef},
};
use portico_crds::{McpServer, labels};
use tokio::time::{Instant, timeout};

use crate::{
    backoff::Failures,
    child::CALL_TIMEOUT,
    error::{Class, Error},
    metrics::Metrics,
};

use apply::Owned;
use publish::Publisher;
use referrers::Referrers;
use status::Outcome;
use validate::Settings;

pub use watches::{Scope, run};

/// A resource as the watch brings it: one that this version cannot read harms nobody but itself.
pub type Guarded = DeserializeGuard<McpServer>;

/// Everything is looked at again after this time, should a watch have missed something.
const RECHECK: Duration = Duration::from_mins(10);

/// What one pass works with.
pub struct Context {
    client: Client,
    settings: Settings,
    owned: Owned,
    referrers: Arc<Referrers>,
    publisher: Publisher,
    failures: Failures<ObjectRef<Guarded>>,
    metrics: Metrics,
}

/// One pass over one server.
async fn reconcile(guarded: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Error> {
    let started = Instant::now();
    let key = ObjectRef::from_obj(&*guarded);
    let pass = AssertUnwindSafe(step(&guarded, &context)).catch_unwind();
    let result = pass.await.unwrap_or_else(|panic| Err(Error::Panic(words(&*panic))));
    context.metrics.pass("McpServer", result.as_ref().err().map(Error::class), started.elapsed());
    if result.is_ok() {
        context.failures.clear(&key);
    }
    result
}

/// What a panic said; the cause is in the log.
fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no message").to_owned()
}

async fn step(guarded: &Guarded, context: &Context) -> Result<Action, Error> {
    let server = guarded.0.as_ref().map_err(|invalid| Error::Undecodable(invalid.error.clone()))?;
    let namespace = server.namespace().unwrap_or_default();
    if server.meta().deletion_timestamp.is_some() {
        context.forget(&namespace, &server.name_any());
        return Ok(Action::await_change());
    }
    context.owned.filled().await?;
    let deployment = context.owned.deployments.current(&namespace, &render::child_name(&server.name_any()));
    let deployment = deployment.as_deref();
    match context.act(server, deployment).await {
        Err(error) if error.is_lasting() => {
            context.publisher.publish(server, &Outcome::Failed { error: &error, deployment }).await?;
            Err(error)
        }
        result => result,
    }
}

impl Context {
    async fn act(&self, server: &McpServer, deployment: Option<&Deployment>) -> Result<Action, Error> {
        let namespace = server.namespace().unwrap_or_default();
        if validate::is_paused(server) {
            self.publisher.publish(server, &Outcome::Paused { deployment }).await?;
            return Ok(Action::await_change());
        }
        // Noted before they are read, so that no change between the two goes unseen.
        self.referrers.note(&namespace, &server.name_any(), reference::objects(&server.spec));
        let references = resolve::resolve(&self.client, &namespace, &server.spec).await?;
        match validate::validate(server, &references, &self.settings) {
            Err(error) => {
                self.publisher.publish(server, &Outcome::Refused { error: &error, deployment }).await?;
            }
            Ok(validated) => self.deploy(server, &validated).await?,
        }
        Ok(Action::requeue(RECHECK))
    }

    async fn deploy(&self, server: &McpServer, validated: &validate::ValidatedServer) -> Result<(), Error> {
        let deployment = self.owned.apply(validated, render::render(validated)).await?;
        let unsettled = deployment.as_ref().is_some_and(|deployment| !status::rolled_out(deployment));
        let pods = if unsettled { self.pods(validated).await? } else { Vec::new() };
        let outcome = Outcome::Applied { server: validated, deployment: deployment.as_deref(), pods: &pods };
        self.publisher.publish(server, &outcome).await
    }

    /// The pods of a server that is not rolled out: they say why. Nothing of them is cached.
    async fn pods(&self, server: &validate::ValidatedServer) -> Result<Vec<Pod>, Error> {
        let params =
            ListParams::default().labels(&format!("{}={}", labels::MCP_SERVER, server.name)).limit(100);
        let object = || format!("pods of '{}'", server.name);
        let api = Api::<Pod>::namespaced(self.client.clone(), &server.namespace);
        match timeout(CALL_TIMEOUT, api.list(&params)).await {
            Ok(Ok(list)) => Ok(list.items),
            Ok(Err(source)) => Err(Error::Api { verb: "list", object: object(), source: Box::new(source) }),
            Err(_) => Err(Error::Timeout { verb: "list", object: object() }),
        }
    }

    fn forget(&self, namespace: &str, name: &str) {
        self.owned.forget(namespace, name);
        self.referrers.forget(namespace, name);
        self.publisher.forget(namespace, name);
        self.failures.clear(&ObjectRef::new(name).within(namespace));
    }
}

/// When a failed pass is tried again. A fault of the object itself waits for an edit.
#[expect(clippy::needless_pass_by_value, reason = "the controller gives them away")]
fn retry(guarded: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Action {
    let key = ObjectRef::from_obj(&*guarded);
    let wait = context.failures.wait(key.clone());
    tracing::warn!(resource = %key, class = error.class().as_str(), %error, ?wait, "a pass failed");
    match error.class() {
        Class::Invalid if matches!(error, Error::Undecodable(_)) => Action::await_change(),
        _ => Action::requeue(wait),
    }
}
