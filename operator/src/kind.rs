//! What a kind of resource gives, and the pass over a resource that all kinds share.

use std::{fmt::Debug, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Resource, ResourceExt as _,
    core::{DeserializeGuard, NamespaceResourceScope, object::HasStatus},
    runtime::{controller::Action, reflector::ObjectRef},
};
use portico_crds::{condition::Type, labels};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error as ThisError;
use tokio::time::timeout;

use crate::{
    backoff::Failures,
    error::{Class, Error},
    metrics::Metrics,
    publish::Publisher,
    reference::Missing,
};

/// Everything is looked at again after this time, should a watch have missed something.
pub const RECHECK: Duration = Duration::from_mins(10);
/// Longest that one pass may take; each of its calls has a limit of its own.
const PASS_TIMEOUT: Duration = Duration::from_mins(2);

/// A custom resource of Portico.
pub trait Custom:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + HasStatus<Status: Reported>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Custom for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + HasStatus<Status: Reported>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// The status of a resource.
pub trait Reported: Serialize + Clone + Default + PartialEq + Debug + Send + Sync + 'static {
    /// The conditions that this kind always has, in the order they are written.
    const CONDITIONS: &'static [Type];

    /// The conditions as they stand.
    fn conditions(&self) -> &[Condition];

    /// The status without what others write of it, under field managers of their own.
    #[must_use]
    fn own(self) -> Self {
        self
    }

    /// Takes over what others write of it from `seen`.
    fn adopt(&mut self, _seen: &Self) {}

    /// What others write of it and the operator acts on, in a form that can be compared.
    fn heard(&self) -> Option<(&str, &str)> {
        None
    }
}

/// A resource as the watch brings it: one that this version cannot read harms nobody but itself.
pub type Guarded<R> = DeserializeGuard<R>;

/// Why a spec is not applied.
#[derive(Debug, ThisError)]
pub enum Refusal {
    /// The spec is wrong; nothing but an edit can help.
    #[error("{}", .0.join("; "))]
    Invalid(Vec<String>),
    /// The spec asks for a part that this version does not contain.
    #[error("{0}")]
    NotIncluded(String),
    /// The fallbacks lead back to where they start.
    #[error("{0}")]
    Loop(String),
    /// The spec names objects that are not there (yet).
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Missing(Vec<Missing>),
}

/// What one pass found; `A` is what the kind tells of a spec that was applied.
#[derive(Debug)]
pub enum Outcome<'a, A> {
    /// The children are as the spec wants them.
    Applied(&'a A),
    /// The spec was not applied; what ran before runs on.
    Refused(&'a Refusal),
    /// The cluster did not take what the spec leads to; it is tried again, more and more seldom.
    Failed(&'a Error),
    /// An annotation asks the operator not to act.
    Paused,
}

/// The steps of one kind.
pub trait Kind: Send + Sync + 'static {
    /// The resource.
    type Resource: Custom;
    /// What the status needs to know once the spec is applied.
    type Applied: Send + Sync;
    /// What the caches show of the children, whether or not the spec could be applied.
    type Seen: Send + Sync;

    /// Waits until every cache has been filled once: an empty cache says nothing.
    fn filled(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Looks at the children.
    fn see(&self, resource: &Self::Resource) -> Self::Seen;

    /// Makes the cluster hold what the resource wants, or says why not.
    fn apply(
        &self,
        resource: &Self::Resource,
    ) -> impl Future<Output = Result<Result<Self::Applied, Refusal>, Error>> + Send;

    /// The status that follows. Pure; `now` is used only for conditions whose status flips.
    fn status(
        resource: &Self::Resource,
        seen: &Self::Seen,
        outcome: &Outcome<'_, Self::Applied>,
        now: Timestamp,
    ) -> <Self::Resource as HasStatus>::Status;

    /// When to look again although nothing has changed.
    fn again(_applied: &Self::Applied) -> Duration {
        RECHECK
    }

    /// Drops what is remembered of a resource that is gone.
    fn forget(&self, namespace: &str, name: &str);
}

/// What the passes over one kind work with.
pub struct Context<K: Kind> {
    /// The kind's own steps.
    pub kind: K,
    /// Writes statuses and events.
    pub publisher: Publisher<K::Resource>,
    /// Failures in a row, by resource.
    pub failures: Failures<ObjectRef<Guarded<K::Resource>>>,
    /// What is counted.
    pub metrics: Metrics,
}

/// One pass over one resource.
pub async fn reconcile<K: Kind>(
    guarded: Arc<Guarded<K::Resource>>,
    context: Arc<Context<K>>,
) -> Result<Action, Error> {
    let key = ObjectRef::from_obj(&*guarded);
    let pass = context.metrics.pass(&K::Resource::kind(&()));
    let caught = AssertUnwindSafe(timeout(PASS_TIMEOUT, step(&guarded, &context))).catch_unwind().await;
    let result = match caught {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Error::Timeout { verb: "finish the pass over", object: key.to_string() }),
        Err(panic) => Err(Error::Panic(words(&*panic))),
    };
    pass.end(&result);
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

async fn step<K: Kind>(guarded: &Guarded<K::Resource>, context: &Context<K>) -> Result<Action, Error> {
    let resource = match &guarded.0 {
        Ok(resource) => resource,
        Err(invalid) => {
            let error = Error::Undecodable(invalid.error.clone());
            context.publisher.tell_undecodable(&invalid.metadata, &error).await;
            return Err(error);
        }
    };
    if resource.meta().deletion_timestamp.is_some() {
        let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
        context.kind.forget(&namespace, &name);
        context.publisher.forget(&namespace, &name);
        context.failures.clear(&ObjectRef::new(&name).within(&namespace));
        return Ok(Action::await_change());
    }
    context.kind.filled().await?;
    act(resource, context).await
}

async fn act<K: Kind>(resource: &K::Resource, context: &Context<K>) -> Result<Action, Error> {
    let publish = async |outcome: Outcome<'_, K::Applied>| {
        let seen = context.kind.see(resource);
        context.publisher.publish(resource, |previous, now| K::status(previous, &seen, &outcome, now)).await
    };
    if is_paused(resource) {
        publish(Outcome::Paused).await?;
        return Ok(Action::await_change());
    }
    match context.kind.apply(resource).await {
        Ok(Ok(applied)) => {
            publish(Outcome::Applied(&applied)).await?;
            Ok(Action::requeue(K::again(&applied)))
        }
        Ok(Err(refusal)) => {
            publish(Outcome::Refused(&refusal)).await?;
            Ok(Action::requeue(RECHECK))
        }
        Err(error) => {
            if error.is_lasting() {
                publish(Outcome::Failed(&error)).await?;
            }
            Err(error)
        }
    }
}

/// Whether the resource's annotations ask the operator not to act.
#[must_use]
pub fn is_paused<R: Resource>(resource: &R) -> bool {
    resource.annotations().get(labels::PAUSED).is_some_and(|value| value == "true")
}

/// When a failed pass is tried again. A fault of the object itself waits for an edit.
#[expect(clippy::needless_pass_by_value, reason = "the controller gives them away")]
pub fn retry<K: Kind>(guarded: Arc<Guarded<K::Resource>>, error: &Error, context: Arc<Context<K>>) -> Action {
    let key = ObjectRef::from_obj(&*guarded);
    let wait = context.failures.wait(key.clone());
    tracing::warn!(resource = %key, class = error.class().as_str(), %error, ?wait, "a pass failed");
    match error.class() {
        Class::Invalid if matches!(error, Error::Undecodable(_)) => Action::await_change(),
        _ => Action::requeue(wait),
    }
}
