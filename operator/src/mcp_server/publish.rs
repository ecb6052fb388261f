//! Writes statuses and events, and only what has changed.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Client, Resource as _, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder},
};
use portico_crds::{McpServer, McpServerStatus, condition::Type};
use serde_json::json;
use tokio::time::timeout;

use super::status::{Outcome, status};
use crate::{child::CALL_TIMEOUT, error::Error};

/// Field manager of statuses.
const FIELD_MANAGER: &str = "portico-operator-status";
/// Longest note of an event, in bytes (`events.k8s.io/v1`).
const NOTE_LIMIT: usize = 1024;

/// Writes statuses and events of servers.
pub struct Publisher {
    client: Client,
    recorder: Recorder,
    written: Mutex<HashMap<(String, String), Written>>,
}

/// Our last write of a status, for as long as the cache has not caught up.
#[derive(Clone)]
struct Written {
    uid: Option<String>,
    version: Option<u64>,
    status: McpServerStatus,
}

impl Publisher {
    pub fn new(client: Client, recorder: Recorder) -> Self {
        Self { client, recorder, written: Mutex::default() }
    }

    /// Writes the status that follows from `outcome`, if it is not there yet, and an event if Ready has changed.
    pub async fn publish(&self, server: &McpServer, outcome: &Outcome<'_>) -> Result<(), Error> {
        let mut server = server.clone();
        server.status = self.latest(&server);
        let before = server.status.clone().unwrap_or_default();
        let after = status(&server, outcome, Timestamp::now());
        if before == after {
            return Ok(());
        }
        self.write(&server, &after).await?;
        if let Some(event) = transition(&before, &after) {
            // An event that is lost costs a line of history; the condition stays.
            if let Err(error) = self.recorder.publish(&event, &server.object_ref(&())).await {
                tracing::warn!(%error, server = server.name_any(), "cannot write an event");
            }
        }
        Ok(())
    }

    /// Drops what is remembered of a server that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.lock().remove(&(namespace.to_owned(), name.to_owned()));
    }

    fn latest(&self, server: &McpServer) -> Option<McpServerStatus> {
        let written = self.lock();
        let own =
            written.get(&key(server)).filter(|own| own.uid == server.uid() && own.version > version(server));
        own.map_or_else(|| server.status.clone(), |own| Some(own.status.clone()))
    }

    async fn write(&self, server: &McpServer, status: &McpServerStatus) -> Result<(), Error> {
        let name = server.name_any();
        let api = Api::<McpServer>::namespaced(self.client.clone(), &server.namespace().unwrap_or_default());
        let body = json!({
            "apiVersion": McpServer::api_version(&()), "kind": McpServer::kind(&()),
            // The uid keeps a status from landing on a new resource of the same name.
            "metadata": {"name": name, "uid": server.uid()}, "status": status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let object = || format!("McpServer '{name}'");
        let answer = timeout(CALL_TIMEOUT, api.patch_status(&name, &params, &Patch::Apply(&body))).await;
        let written = answer
            .map_err(|_| Error::Timeout { verb: "write the status of", object: object() })?
            .map_err(|source| Error::Api {
            verb: "write the status of",
            object: object(),
            source: Box::new(source),
        })?;
        let entry = Written { uid: written.uid(), version: version(&written), status: status.clone() };
        self.lock().insert(key(server), entry);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(server: &McpServer) -> (String, String) {
    (server.namespace().unwrap_or_default(), server.name_any())
}

/// Resource versions of one cluster can be compared as numbers (KEP-5504).
fn version(server: &McpServer) -> Option<u64> {
    server.resource_version().and_then(|text| text.parse().ok())
}

fn ready(status: &McpServerStatus) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.type_ == Type::Ready.as_str())
}

/// The event that tells of a change of Ready's status or reason.
fn transition(before: &McpServerStatus, after: &McpServerStatus) -> Option<Event> {
    let now = ready(after)?;
    let same = ready(before).is_some_and(|then| (&then.status, &then.reason) == (&now.status, &now.reason));
    (!same).then(|| Event {
        type_: if now.status == "False" && now.reason != "RollingOut" {
            EventType::Warning
        } else {
            EventType::Normal
        },
        reason: now.reason.clone(),
        note: Some(shortened(&now.message)),
        action: "Reconcile".into(),
        secondary: None,
    })
}

fn shortened(message: &str) -> String {
    if message.len() <= NOTE_LIMIT {
        return message.to_owned();
    }
    let end = message.floor_char_boundary(NOTE_LIMIT - '…'.len_utf8());
    format!("{}…", &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let note = shortened(&"ü".repeat(2000));
        assert!(note.len() <= NOTE_LIMIT && note.ends_with("ü…"), "{}", note.len());
        assert_eq!(shortened("short"), "short");
    }
}
