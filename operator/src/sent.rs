//! The statuses as they were last sent: to know them again when the watch brings them back.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::{Resource, ResourceExt as _};

use crate::kind::{Custom, Guarded, Reported as _};

/// The last status that was sent for each resource of one kind.
#[derive(Clone)]
pub struct Sent<R: Custom>(Arc<Mutex<Statuses<R::Status>>>);

/// By namespace and name.
type Statuses<S> = HashMap<(String, String), Entry<S>>;

struct Entry<S> {
    uid: Option<String>,
    /// What the status was made of.
    seen: u64,
    status: S,
    /// The version that it got, once that is known.
    version: Option<u64>,
}

impl<R: Custom> Default for Sent<R> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<R: Custom> Sent<R> {
    /// Notes what is about to be sent.
    pub fn begin(&self, resource: &R, status: &R::Status) -> Attempt<'_, R> {
        let (uid, seen) = (resource.uid(), by_people(resource));
        let entry = Entry { uid, seen, status: status.clone(), version: None };
        self.lock().insert(key(resource), entry);
        Attempt { sent: self, key: key(resource), answered: false }
    }

    /// `resource` with our last status, where it comes from a cache that has not seen that.
    #[must_use]
    pub fn brought_up_to_date(&self, mut resource: R) -> R {
        if let Some(entry) = self.lock().get(&key(&resource))
            && entry.uid == resource.uid()
            && entry.version > version(&resource)
        {
            resource.meta_mut().resource_version = entry.version.map(|version| version.to_string());
            let mut status = entry.status.clone();
            if let Some(seen) = resource.status() {
                status.adopt(seen);
            }
            *resource.status_mut() = Some(status);
        }
        resource
    }

    /// Whether the watch brings nothing but our own status. One that somebody else wrote, or that came after all when no
    /// answer had told of it, is looked at.
    #[must_use]
    pub fn is_echo(&self, guarded: &Guarded<R>) -> bool {
        let Ok(resource) = &guarded.0 else { return false };
        let sent = self.lock();
        let Some(entry) = sent.get(&key(resource)) else { return false };
        let same = (&entry.uid, entry.seen) == (&resource.uid(), by_people(resource));
        same && resource.status().map(|status| status.clone().own()).as_ref() == Some(&entry.status)
    }

    /// Drops what is remembered of a resource that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.lock().remove(&(namespace.to_owned(), name.to_owned()));
    }

    fn lock(&self) -> MutexGuard<'_, Statuses<R::Status>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write under way. Dropped without an answer it is forgotten: nobody knows whether it came to anything.
pub struct Attempt<'a, R: Custom> {
    sent: &'a Sent<R>,
    key: (String, String),
    answered: bool,
}

impl<R: Custom> Attempt<'_, R> {
    /// It was taken, and the resource is `written` now.
    pub fn is_taken(mut self, written: &R) {
        if let Some(entry) = self.sent.lock().get_mut(&self.key) {
            entry.version = version(written);
        }
        self.answered = true;
    }
}

impl<R: Custom> Drop for Attempt<'_, R> {
    fn drop(&mut self) {
        if !self.answered {
            self.sent.lock().remove(&self.key);
        }
    }
}

fn key<R: Resource>(resource: &R) -> (String, String) {
    (resource.namespace().unwrap_or_default(), resource.name_any())
}

/// A digest of what people write of a resource, and of what else in its status is acted on.
fn by_people<R: Custom>(resource: &R) -> u64 {
    let (meta, mut hasher) = (resource.meta(), DefaultHasher::new());
    (meta.generation, &meta.annotations, meta.deletion_timestamp.is_some()).hash(&mut hasher);
    resource.status().and_then(|status| status.heard()).hash(&mut hasher);
    hasher.finish()
}

/// Resource versions of one cluster can be compared as numbers (KEP-5504).
fn version<R: Resource>(resource: &R) -> Option<u64> {
    resource.resource_version().and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use kube::core::DeserializeGuard;
    use portico_crds::{InferenceModel, InferenceModelStatus, McpServer, McpServerStatus};
    use serde_json::json;

    use super::*;

    fn server(version: &str, generation: i64, observed: i64) -> McpServer {
        serde_json::from_value(json!({
            "apiVersion": "portico.dev/v1alpha1", "kind": "McpServer",
            "metadata": {"namespace": "a", "name": "b", "uid": "u", "resourceVersion": version, "generation": generation},
            "spec": {"source": {"image": {"name": "example:1"}}}, "status": {"observedGeneration": observed},
        }))
        .unwrap()
    }

    fn status(observed: i64) -> McpServerStatus {
        McpServerStatus { observed_generation: Some(observed), ..McpServerStatus::default() }
    }

    #[test]
    fn our_own_status_is_known_again_and_an_edit_or_the_status_of_somebody_else_is_not() {
        let sent = Sent::<McpServer>::default();
        sent.begin(&server("1", 1, 0), &status(1)).is_taken(&server("2", 1, 1));
        let is_echo = |server| sent.is_echo(&DeserializeGuard(Ok(server)));
        assert!(is_echo(server("2", 1, 1)));
        assert!(!is_echo(server("3", 1, 7)), "somebody else's status");
        assert!(!is_echo(server("3", 2, 1)), "an edit");
    }

    #[test]
    fn what_the_gateway_adds_is_passed_over_unless_it_is_acted_on() {
        let sent = Sent::<McpServer>::default();
        sent.begin(&server("1", 1, 0), &status(1)).is_taken(&server("2", 1, 1));
        let with = |change: serde_json::Value| {
            let mut object = serde_json::to_value(server("3", 1, 1)).unwrap();
            object["status"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            sent.is_echo(&DeserializeGuard(Ok(serde_json::from_value(object).unwrap())))
        };
        let condition = |kind: &str| {
            json!({"conditions": [{"type": kind, "status": "False", "reason": "HandshakeFailed", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]})
        };
        assert!(with(json!({"catalog": {"tools": 3}})));
        assert!(with(json!({"scaling": {"desired": 2, "idleSince": "2026-01-01T00:00:00Z"}})));
        assert!(with(condition("ToolsApproved")));
        assert!(!with(condition("Connected")));
        assert!(!with(condition("Accepted")), "one of our own, written by somebody else");
    }

    #[test]
    fn what_the_gateway_says_of_the_scaling_of_a_model_is_passed_over_and_kept() {
        let model = |version: &str, status: serde_json::Value| -> InferenceModel {
            serde_json::from_value(json!({
                "apiVersion": "portico.dev/v1alpha1", "kind": "InferenceModel",
                "metadata": {"namespace": "a", "name": "b", "uid": "u", "resourceVersion": version, "generation": 1},
                "spec": {"engine": {"ollama": {"model": "m"}}}, "status": status,
            }))
            .unwrap()
        };
        let scaled = json!({"observedGeneration": 1, "scaling": {"desired": 2},
            "conditions": [{"type": "ScalingActive", "status": "True", "reason": "ScaledByLoad", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
        let sent = Sent::<InferenceModel>::default();
        let own = InferenceModelStatus { observed_generation: Some(1), ..InferenceModelStatus::default() };
        sent.begin(&model("1", json!({})), &own).is_taken(&model("9", json!({"observedGeneration": 1})));
        assert!(sent.is_echo(&DeserializeGuard(Ok(model("3", scaled.clone())))));
        let mut cached = scaled;
        cached["observedGeneration"] = json!(0);
        let status = sent.brought_up_to_date(model("5", cached)).status.unwrap();
        assert_eq!(status.scaling.clone().and_then(|scaling| scaling.desired), Some(2));
        assert_eq!(
            (status.observed_generation, status.conditions[0].type_.as_str()),
            (Some(1), "ScalingActive")
        );
        assert_eq!(status.own(), own);
    }

    #[test]
    fn a_status_whose_fate_is_unknown_is_looked_at_when_it_comes_back() {
        let sent = Sent::<McpServer>::default();
        drop(sent.begin(&server("1", 1, 0), &status(1)));
        assert!(!sent.is_echo(&DeserializeGuard(Ok(server("2", 1, 1)))));
    }

    #[test]
    fn an_older_cache_is_brought_up_to_date_and_a_newer_one_is_left_alone() {
        let sent = Sent::<McpServer>::default();
        sent.begin(&server("1", 1, 0), &status(1)).is_taken(&server("5", 1, 1));
        let observed = |server: McpServer| server.status.unwrap().observed_generation;
        assert_eq!(observed(sent.brought_up_to_date(server("1", 1, 0))), Some(1));
        assert_eq!(observed(sent.brought_up_to_date(server("6", 1, 0))), Some(0));
        sent.forget("a", "b");
        assert_eq!(observed(sent.brought_up_to_date(server("1", 1, 0))), Some(0));
    }
}
