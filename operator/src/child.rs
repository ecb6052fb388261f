//! Children of custom resources: read from a cache, written by server-side apply, only when something differs.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions},
    core::NamespaceResourceScope,
    runtime::reflector::{ObjectRef, Store},
};
use portico_crds::labels;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    error::{Class, Error},
    metrics::{Metrics, Why},
    reference::hex,
    watch::Filled,
};

/// Field manager of everything the operator writes below its own resources.
pub const FIELD_MANAGER: &str = "portico-operator";
/// Longest an API call may take, retries within the client included.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// What a kind of child must be able to do.
pub trait Child:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
}

impl<K> Child for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync
        + 'static
{
}

/// What our last write of one child was, and what came of it.
struct Written<K> {
    desired: String,
    content: String,
    live: Arc<K>,
}

/// All children of one kind.
pub struct Children<K: Child> {
    client: Client,
    cache: Store<K>,
    filled: Filled,
    metrics: Metrics,
    written: Mutex<HashMap<ObjectRef<K>, Written<K>>>,
}

impl<K: Child> Children<K> {
    /// Children of kind `K`, read from `cache`.
    #[must_use]
    pub fn new(client: Client, (cache, filled): (Store<K>, Filled), metrics: Metrics) -> Self {
        Self { client, cache, filled, metrics, written: Mutex::default() }
    }

    /// Waits until the cache has been filled once.
    pub async fn filled(&self) -> Result<(), Error> {
        let stopped = || Error::Fatal(format!("the watch of {}s has stopped", K::kind(&())));
        self.filled.wait().await.then_some(()).ok_or_else(stopped)
    }

    /// The child as we know it: from the cache, or from our own last write where the cache has not caught up.
    pub fn current(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let key = ObjectRef::new(name).within(namespace);
        let cached = self.cache.get(&key)?;
        let written = self.lock();
        match written.get(&key) {
            Some(own) if is_newer(&*own.live, &*cached) => {
                self.metrics.behind(&K::kind(&()));
                Some(Arc::clone(&own.live))
            }
            _ => Some(cached),
        }
    }

    /// Makes the child be `desired`; writes nothing when neither side has changed since the last write, be it of this
    /// process or of one before it.
    pub async fn apply(&self, desired: &K) -> Result<Arc<K>, Error> {
        self.apply_for(desired, controller(desired), false).await
    }

    /// The same for a child of the resource `owner` that may outlive it: whether or not `desired` names its owner, one
    /// of the operator's that has none is taken over, and one of the owner's may lose it.
    pub async fn apply_lasting(&self, desired: &K, owner: &str) -> Result<Arc<K>, Error> {
        self.apply_for(desired, Some(owner), true).await
    }

    async fn apply_for(&self, desired: &K, owner: Option<&str>, lasting: bool) -> Result<Arc<K>, Error> {
        let (key, digest) = (ObjectRef::from_obj(desired), digest(desired));
        let current = self.current(&desired.namespace().unwrap_or_default(), &desired.name_any());
        if let Some(live) = current.as_ref().filter(|live| self.is_settled(&key, (desired, &digest), live)) {
            return Ok(Arc::clone(live));
        }
        if let Some(live) =
            current.as_ref().filter(|live| self.is_known_from_before(&key, desired, &digest, live))
        {
            self.remember(key, (desired, digest), Arc::clone(live));
            return Ok(Arc::clone(live));
        }
        let why = self.why(&key, &digest, current.as_deref());
        self.check_owner(desired, current.clone(), (owner, lasting)).await?;
        let live = match self.write(desired, &digest).await {
            Err(error) if error.class() == Class::Invalid && current.is_some() => {
                self.repair(desired, &digest, error).await?
            }
            written => written?,
        };
        let live = Arc::new(live);
        self.metrics.wrote("apply", &K::kind(&()), why);
        self.remember(key, (desired, digest), Arc::clone(&live));
        Ok(live)
    }

    fn remember(&self, key: ObjectRef<K>, (desired, digest): (&K, String), live: Arc<K>) {
        let (content, desired) = (content(&*live, leaves_replicas(desired)), digest);
        self.lock().insert(key, Written { desired, content, live });
    }

    /// Whether a process before this one wrote `desired`, and it still stands. A new operator that finds everything so
    /// writes nothing at all.
    fn is_known_from_before(&self, key: &ObjectRef<K>, desired: &K, digest: &str, live: &K) -> bool {
        !self.lock().contains_key(key)
            && live.annotations().get(labels::APPLIED).is_some_and(|applied| applied == digest)
            && controller(live) == controller(desired)
            && is_within(&json(desired), &json(live))
    }

    /// Creates a child whose content is not to be made twice; `None` where one of that name exists already.
    pub async fn create(&self, desired: &K) -> Result<Option<K>, Error> {
        let (namespace, name) = (desired.namespace().unwrap_or_default(), desired.name_any());
        let (api, params) = (self.api(&namespace), written());
        self.unless_raced(("create", Why::Create), &name, api.create(&params, desired)).await
    }

    /// Replaces a child as it was read; `None` where somebody else has written it since, or deleted it.
    pub async fn replace(&self, changed: &K, why: Why) -> Result<Option<K>, Error> {
        let (namespace, name) = (changed.namespace().unwrap_or_default(), changed.name_any());
        let (api, params) = (self.api(&namespace), written());
        self.unless_raced(("update", why), &name, api.replace(&name, &params, changed)).await
    }

    /// The child as the API server has it now.
    pub async fn read(&self, namespace: &str, name: &str) -> Result<Option<K>, Error> {
        self.call("get", name, self.api(namespace).get_opt(name)).await
    }

    async fn unless_raced(
        &self,
        (verb, why): (&'static str, Why),
        name: &str,
        call: impl Future<Output = Result<K, kube::Error>>,
    ) -> Result<Option<K>, Error> {
        match self.call(verb, name, call).await {
            Ok(live) => {
                self.metrics.wrote(verb, &K::kind(&()), why);
                Ok(Some(live))
            }
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes the child of that name if `owner` controls it. The uid goes along, so that an old cache can never
    /// delete a new object.
    pub async fn remove(&self, namespace: &str, name: &str, owner: &str) -> Result<(), Error> {
        self.forget(namespace, name);
        let Some(live) = self.cache.get(&ObjectRef::new(name).within(namespace)) else { return Ok(()) };
        if controller(&*live) != Some(owner) || live.meta().deletion_timestamp.is_some() {
            return Ok(());
        }
        let preconditions = Preconditions { uid: live.uid(), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        match self.call("delete", name, self.api(namespace).delete(name, &params)).await {
            Ok(_) => {
                self.metrics.wrote("delete", &K::kind(&()), Why::Prune);
                Ok(())
            }
            // Refused under the precondition, or for another cause: what is there now tells which.
            Err(error) if error.is_gone() => match self.read(namespace, name).await? {
                Some(now) if now.uid() == live.uid() && now.meta().deletion_timestamp.is_none() => Err(error),
                _ => Ok(()),
            },
            Err(error) => Err(error),
        }
    }

    /// Drops what is remembered of a child.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.lock().remove(&ObjectRef::new(name).within(namespace));
    }

    /// Drops what is remembered of the children of a namespace whose name is `one` of those of a resource that is gone.
    pub fn forget_those(&self, namespace: &str, one: impl Fn(&str) -> bool) {
        self.lock().retain(|key, _| key.namespace.as_deref() != Some(namespace) || !one(&key.name));
    }

    /// Whether `desired` is what we last wrote, and nobody has changed it since.
    pub fn is_as_written(&self, desired: &K) -> bool {
        let live = self.current(&desired.namespace().unwrap_or_default(), &desired.name_any());
        live.is_some_and(|live| {
            self.is_settled(&ObjectRef::from_obj(desired), (desired, &digest(desired)), &live)
        })
    }

    /// The children in a namespace that `owner` controls, as the cache has them.
    pub fn of(&self, namespace: &str, owner: &str) -> Vec<Arc<K>> {
        let own =
            |child: &K| child.namespace().as_deref() == Some(namespace) && controller(child) == Some(owner);
        self.cache.state().into_iter().filter(|child| own(child)).collect()
    }

    fn why(&self, key: &ObjectRef<K>, desired: &str, current: Option<&K>) -> Why {
        match (self.lock().get(key), current) {
            (Some(own), _) if own.desired == desired => Why::Drift,
            (Some(_), _) => Why::Change,
            (None, Some(_)) => Why::Restart,
            (None, None) => Why::Create,
        }
    }

    fn is_settled(&self, key: &ObjectRef<K>, (desired, digest): (&K, &str), live: &K) -> bool {
        let leaves_replicas = leaves_replicas(desired);
        let written = self.lock();
        written
            .get(key)
            .is_some_and(|own| own.desired == digest && own.content == content(live, leaves_replicas))
    }

    /// An object that somebody else made under our name is left alone. The cache holds only what carries our
    /// label, so a child that seems absent is looked for once more.
    async fn check_owner(
        &self,
        desired: &K,
        current: Option<Arc<K>>,
        (owner, lasting): (Option<&str>, bool),
    ) -> Result<(), Error> {
        let (namespace, name) = (desired.namespace().unwrap_or_default(), desired.name_any());
        let found = match current {
            Some(live) => Some(live),
            None => self.read(&namespace, &name).await?.map(Arc::new),
        };
        let is_ours = |live: &K| match controller(live) {
            None if lasting => is_of_operator(live, desired),
            found => found == owner,
        };
        match found {
            Some(live) if !is_ours(&live) => Err(Error::Conflict { kind: K::kind(&()).into_owned(), name }),
            _ => Ok(()),
        }
    }

    async fn write(&self, desired: &K, digest: &str) -> Result<K, Error> {
        let (namespace, name) = (desired.namespace().unwrap_or_default(), desired.name_any());
        let mut desired = desired.clone();
        desired.annotations_mut().insert(labels::APPLIED.to_owned(), digest.to_owned());
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let mut live = self
            .call("apply", &name, self.api(&namespace).patch(&name, &params, &Patch::Apply(&desired)))
            .await?;
        live.managed_fields_mut().clear();
        Ok(live)
    }

    /// Puts right what server-side apply cannot: an item that somebody has put into one of our lists under another key
    /// stays there, and may make the whole object invalid, such as a second port of a Service with the first one's
    /// name. A merge patch replaces lists as a whole; after it nobody owns a field, so that the next apply owns all of
    /// ours and nothing lingers when we drop one. Answers `refused` where that is not it.
    async fn repair(&self, desired: &K, digest: &str, refused: Error) -> Result<K, Error> {
        let (namespace, name) = (desired.namespace().unwrap_or_default(), desired.name_any());
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        let api = self.api(&namespace);
        if self.call("repair", &name, api.patch(&name, &params, &Patch::Merge(json(desired)))).await.is_err()
        {
            return Err(refused);
        }
        let nobody = serde_json::json!({"metadata": {"managedFields": [{}]}});
        self.call("repair", &name, api.patch(&name, &params, &Patch::Merge(nobody))).await?;
        self.write(desired, digest).await
    }

    async fn call<T>(
        &self,
        verb: &'static str,
        name: &str,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Error> {
        let object = || format!("{} '{name}'", K::kind(&()));
        match tokio::time::timeout(CALL_TIMEOUT, call).await {
            Ok(answer) => {
                answer.map_err(|source| Error::Api { verb, object: object(), source: Box::new(source) })
            }
            Err(_) => Err(Error::Timeout { verb, object: object() }),
        }
    }

    fn api(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ObjectRef<K>, Written<K>>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A whole object is written in the operator's name, by which it is known again.
fn written() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

/// Resource versions of one cluster can be compared as numbers (KEP-5504).
fn is_newer<K: Resource>(one: &K, other: &K) -> bool {
    let version =
        |object: &K| object.meta().resource_version.as_ref().and_then(|text| text.parse::<u64>().ok());
    one.meta().uid == other.meta().uid && version(one) > version(other)
}

/// Whether an object that nobody controls is one that the operator left under this name: it says so by its labels,
/// or, should somebody have removed those, by who has written it.
pub fn is_of_operator<K: Resource>(live: &K, desired: &K) -> bool {
    let own = [labels::MANAGED_BY, labels::COMPONENT];
    let labelled = own.iter().all(|key| live.labels().get(*key) == desired.labels().get(*key))
        && instance(live) == instance(desired);
    let written = live.managed_fields().iter().any(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER));
    labelled || written
}

/// Name of the resource that an object belongs to. One that older versions left carries the label of those with an owner.
fn instance<K: Resource>(object: &K) -> Option<&String> {
    let labels = object.labels();
    labels.get(labels::LASTING_INSTANCE).or_else(|| labels.get(labels::INSTANCE))
}

/// Makes the metadata of a child that goes with its owner be that of one that outlives it. Nothing that tools that follow Git
/// know their objects by stands on it: they would take it for one of theirs that is no longer in Git, and delete it.
pub fn outlive(metadata: &mut ObjectMeta) {
    metadata.owner_references = None;
    let labels = metadata.labels.get_or_insert_default();
    if let Some(name) = labels.remove(labels::INSTANCE) {
        labels.insert(labels::LASTING_INSTANCE.to_owned(), name);
    }
    let keeps = (labels::ARGO_CD_SYNC_OPTIONS.to_owned(), labels::ARGO_CD_KEEPS.to_owned());
    metadata.annotations.get_or_insert_default().extend([keeps]);
}

/// Uid of the resource that an object belongs to.
pub fn controller<K: Resource>(object: &K) -> Option<&str> {
    object
        .owner_references()
        .iter()
        .find(|owner| owner.controller == Some(true))
        .map(|owner| owner.uid.as_str())
}

fn json<K: Serialize>(object: &K) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

fn digest<K: Serialize>(object: &K) -> String {
    hash(&json(object))
}

/// Whether a child that is written leaves the number of its pods to others.
fn leaves_replicas<K: Serialize>(desired: &K) -> bool {
    json(desired)["spec"]["replicas"].is_null()
}

/// Digest of what a person or program could have edited: all but the status, the server's own bookkeeping, and the number
/// of pods where that is left to others.
fn content<K: Serialize>(object: &K, leaves_replicas: bool) -> String {
    let mut value = json(object);
    if let Some(fields) = value.as_object_mut() {
        fields.remove("status");
    }
    if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut).filter(|_| leaves_replicas) {
        spec.remove("replicas");
    }
    if let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["managedFields", "resourceVersion", "generation"] {
            meta.remove(field);
        }
    }
    hash(&value)
}

/// The same in every process: an annotation of the child keeps it.
fn hash(value: &Value) -> String {
    hex(&Sha256::digest(value.to_string())[..16])
}

/// Whether every field of `part` stands in `whole` with the same value; the API server only adds fields.
pub(crate) fn is_within(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => part
            .iter()
            .all(|(field, value)| value.is_null() || whole.get(field).is_some_and(|w| is_within(value, w))),
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len() && part.iter().zip(whole).all(|(part, whole)| is_within(part, whole))
        }
        (part, whole) => part == whole,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{content, is_within};

    #[test]
    fn a_number_of_pods_that_is_left_to_others_is_no_edit_and_one_that_we_name_is() {
        let scaled = |replicas: i32| json!({"spec": {"replicas": replicas, "template": {}}, "status": {}});
        assert_eq!(content(&scaled(1), true), content(&scaled(3), true));
        assert_ne!(content(&scaled(1), false), content(&scaled(3), false));
    }

    #[test]
    fn what_the_api_server_adds_does_not_count_and_what_somebody_changed_does() {
        let part = json!({"a": 1, "b": {"c": ["x"]}, "d": null});
        assert!(is_within(&part, &json!({"a": 1, "b": {"c": ["x"], "e": 2}, "f": 3})));
        assert!(!is_within(&part, &json!({"a": 2, "b": {"c": ["x"]}})));
        assert!(!is_within(&part, &json!({"a": 1, "b": {"c": ["x", "y"]}})));
        assert!(!is_within(&part, &json!({"a": 1})));
    }
}
