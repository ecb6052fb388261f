//! Writes statuses and events, and only what has changed.

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::ObjectReference,
    apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta},
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use portico_crds::{condition::Type, reason::Reason};
use serde_json::json;
use tokio::time::timeout;

use crate::{
    child::CALL_TIMEOUT,
    error::Error,
    kind::{Custom, Reported},
    metrics::{Metrics, Why},
    sent::Sent,
};

/// Field manager of statuses.
const FIELD_MANAGER: &str = "portico-operator-status";
/// Longest note of an event, in bytes (`events.k8s.io/v1`).
const NOTE_LIMIT: usize = 1024;

/// Writes statuses and events of one kind.
pub struct Publisher<R: Custom> {
    client: Client,
    recorder: Recorder,
    metrics: Metrics,
    sent: Sent<R>,
}

impl<R: Custom> Publisher<R> {
    /// Writes through `client`, and notes in `sent` what it writes.
    #[must_use]
    pub fn new(client: Client, metrics: Metrics, sent: Sent<R>) -> Self {
        let reporter = Reporter { controller: "portico-operator".into(), instance: None };
        let recorder = Recorder::new(client.clone(), reporter);
        Self { client, recorder, metrics, sent }
    }

    /// Writes the status that `status` makes of the resource, if it is not there yet, and an event if Ready has
    /// changed.
    ///
    /// # Errors
    /// When the API server does not take the status.
    pub async fn publish(
        &self,
        resource: &R,
        status: impl FnOnce(&R, Timestamp) -> R::Status,
    ) -> Result<(), Error> {
        let resource = self.sent.brought_up_to_date(resource.clone());
        let before = resource.status().cloned().unwrap_or_default().own();
        let after = status(&resource, Timestamp::now());
        self.metrics.conditions(&resource, after.conditions());
        if before == after {
            return Ok(());
        }
        self.write(&resource, &after).await?;
        if let Some(event) = transition(before.conditions(), after.conditions()) {
            self.tell(&event, &resource.object_ref(&())).await;
        }
        Ok(())
    }

    /// Says by an event that a resource cannot be read: its status cannot be written either.
    pub async fn tell_undecodable(&self, metadata: &ObjectMeta, error: &Error) {
        let object = ObjectReference {
            api_version: Some(R::api_version(&()).into_owned()),
            kind: Some(R::kind(&()).into_owned()),
            name: metadata.name.clone(),
            namespace: metadata.namespace.clone(),
            uid: metadata.uid.clone(),
            ..ObjectReference::default()
        };
        self.tell(&event(EventType::Warning, Reason::InvalidSpec.as_str(), &error.to_string()), &object)
            .await;
    }

    /// An event that is lost costs a line of history; the condition stays.
    async fn tell(&self, event: &Event, object: &ObjectReference) {
        let name = object.name.as_deref().unwrap_or_default();
        match timeout(CALL_TIMEOUT, self.recorder.publish(event, object)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, name, "cannot write an event"),
            Err(_) => tracing::warn!(name, "cannot write an event: no answer in time"),
        }
    }

    /// Drops what is remembered of a resource that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.sent.forget(namespace, name);
        self.metrics.forget(&R::kind(&()), namespace, name);
    }

    async fn write(&self, resource: &R, status: &R::Status) -> Result<(), Error> {
        let name = resource.name_any();
        let api = Api::<R>::namespaced(self.client.clone(), &resource.namespace().unwrap_or_default());
        let body = json!({
            "apiVersion": R::api_version(&()), "kind": R::kind(&()),
            // Written for what was read and nothing else: not for a new resource of the same name, nor for another edit. A
            // uid would not do, for the API server does not look at it in a status.
            "metadata": {"name": name, "resourceVersion": resource.resource_version()}, "status": status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let (verb, object) = ("write the status of", || format!("{} '{name}'", R::kind(&())));
        let attempt = self.sent.begin(resource, status);
        let answer = timeout(CALL_TIMEOUT, api.patch_status(&name, &params, &Patch::Apply(&body))).await;
        let written = answer
            .map_err(|_| Error::Timeout { verb, object: object() })?
            .map_err(|source| Error::Api { verb, object: object(), source: Box::new(source) })?;
        self.metrics.wrote("apply", &R::kind(&()), Why::Status);
        attempt.is_taken(&written);
        Ok(())
    }
}

fn ready(conditions: &[Condition]) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == Type::Ready.as_str())
}

/// The event that tells of a change of Ready's status or reason.
fn transition(before: &[Condition], after: &[Condition]) -> Option<Event> {
    let now = ready(after)?;
    let same = ready(before).is_some_and(|then| (&then.status, &then.reason) == (&now.status, &now.reason));
    let passing = [
        Reason::RollingOut,
        Reason::Downloading,
        Reason::Loading,
        Reason::Switching,
        Reason::ServersNotReady,
    ];
    let is_warning = now.status == "False" && !passing.iter().any(|reason| reason.as_str() == now.reason);
    let kind = if is_warning { EventType::Warning } else { EventType::Normal };
    (!same).then(|| event(kind, &now.reason, &note(now)))
}

/// What has happened, and what to do where something is to be done.
fn note(ready: &Condition) -> String {
    let known = Reason::ALL.iter().find(|reason| reason.as_str() == ready.reason);
    match known.map(|reason| reason.remedy()) {
        Some(remedy) if ready.status != "True" && !remedy.is_empty() => {
            format!("{}. {remedy}", shortened(&ready.message, NOTE_LIMIT - remedy.len() - 2))
        }
        _ => ready.message.clone(),
    }
}

fn event(type_: EventType, reason: &str, note: &str) -> Event {
    Event {
        type_,
        reason: reason.to_owned(),
        note: Some(shortened(note, NOTE_LIMIT)),
        action: "Reconcile".into(),
        secondary: None,
    }
}

fn shortened(message: &str, limit: usize) -> String {
    if message.len() <= limit {
        return message.to_owned();
    }
    let end = message.floor_char_boundary(limit - '…'.len_utf8());
    format!("{}…", &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let note = shortened(&"ü".repeat(2000), NOTE_LIMIT);
        assert!(note.len() <= NOTE_LIMIT && note.ends_with("ü…"), "{}", note.len());
        assert_eq!(shortened("short", NOTE_LIMIT), "short");
    }

    #[test]
    fn an_event_of_trouble_says_what_to_do() {
        let ready = Condition {
            type_: "Ready".into(),
            status: "False".into(),
            reason: "Unschedulable".into(),
            message: "x".repeat(2000),
            observed_generation: None,
            last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH),
        };
        let event = transition(&[], &[ready]).unwrap();
        let note = event.note.unwrap();
        assert!(note.len() <= NOTE_LIMIT && note.ends_with(Reason::Unschedulable.remedy()), "{note}");
        assert!(matches!(event.type_, EventType::Warning));
    }
}
