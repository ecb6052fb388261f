//! Writing a pod's status, whenever something of it has changed.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::environment::namespace;
use super::pod::Context;
use super::status;

/// Between two attempts at a report that failed.
const RETRY: Duration = Duration::from_millis(250);
/// So often the last report is tried; the pod is deleted after it.
const ATTEMPTS: u32 = 4;

/// Writes the status of one pod.
pub(super) struct Reporter {
    context: Arc<Context>,
    latest: watch::Receiver<Pod>,
    written: Option<Value>,
}

impl Reporter {
    pub(super) fn new(context: Arc<Context>, latest: watch::Receiver<Pod>) -> Self {
        Self { context, latest, written: None }
    }

    /// Reports every change; never ends.
    pub(super) async fn follow(&mut self) {
        let mut board = self.context.board.subscribe();
        loop {
            if self.attempt().await.is_err() {
                tokio::time::sleep(RETRY).await;
                continue;
            }
            tokio::select! {
                _ = board.changed() => {}
                _ = self.latest.changed() => {}
            }
        }
    }

    /// Reports how things are now.
    pub(super) async fn write(&mut self) {
        for _ in 0..ATTEMPTS {
            if self.attempt().await.is_ok() {
                return;
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn attempt(&mut self) -> Result<(), kube::Error> {
        let pod = self.latest.borrow_and_update().clone();
        let (context, records) = (&self.context, self.context.board.records());
        let status = patch(&status::of(&pod, &records, &context.ip, context.begin));
        if self.written.as_ref() == Some(&status) {
            return Ok(());
        }
        let pods: Api<Pod> = Api::namespaced(context.agent.client.clone(), &namespace(&pod));
        let change = Patch::Strategic(json!({"status": status}));
        match pods.patch_status(&pod.name_any(), &PatchParams::default(), &change).await {
            // Nobody is left to tell.
            Err(kube::Error::Api(answer)) if answer.code == 404 => {}
            answer => drop(answer?),
        }
        self.written = Some(status);
        Ok(())
    }
}

/// Conditions are merged field by field: what a condition no longer says must be taken back.
fn patch(status: &k8s_openapi::api::core::v1::PodStatus) -> Value {
    let mut value = json!(status);
    for condition in value.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        for field in ["reason", "message"] {
            if condition.get(field).is_none() {
                condition[field] = Value::Null;
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{PodCondition, PodStatus};

    use super::*;

    #[test]
    fn a_condition_without_a_reason_takes_back_the_one_that_it_had() {
        let condition = PodCondition { type_: "Ready".to_owned(), ..PodCondition::default() };
        let value = patch(&PodStatus { conditions: Some(vec![condition]), ..PodStatus::default() });
        assert_eq!(value["conditions"][0].get("reason"), Some(&Value::Null));
    }
}
