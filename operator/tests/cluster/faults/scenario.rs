//! The life of one resource: created, edited, scaled, given another secret, deleted.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use portico_cluster::wait_for;
use serde_json::{Value, json};

use super::client::Plan;
use crate::world::SOON;

/// What is done in one step.
#[derive(Clone)]
pub enum Act {
    /// Apply the resource with this spec.
    Apply(Value),
    /// Set the data of the Secret `keys`, which the spec names.
    Secret(&'static str),
    /// Annotate the resource.
    Annotate(&'static str, &'static str),
    /// Delete it.
    Delete,
}

/// A scenario of one kind.
pub struct Scenario {
    pub kind: ApiResource,
    pub steps: Vec<Act>,
}

/// One run of a scenario in a namespace.
pub struct Run<'a> {
    pub client: &'a Client,
    pub namespace: &'a str,
    pub name: &'a str,
    pub scenario: &'a Scenario,
}

impl Run<'_> {
    pub fn api(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), self.namespace, &self.scenario.kind)
    }

    pub async fn act(&self, act: &Act) {
        match act {
            Act::Apply(spec) => self.apply(spec).await,
            Act::Secret(value) => self.secret(value).await,
            Act::Annotate(key, value) => {
                let change = json!({"metadata": {"annotations": {*key: value}}});
                self.api().patch(self.name, &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
            }
            Act::Delete => {
                self.api().delete(self.name, &DeleteParams::background()).await.unwrap();
            }
        }
    }

    async fn apply(&self, spec: &Value) {
        let text = spec.to_string().replace("NAME", self.name);
        let spec: Value = serde_json::from_str(&text).unwrap();
        let body = json!({"apiVersion": self.scenario.kind.api_version, "kind": self.scenario.kind.kind,
            "metadata": {"name": self.name}, "spec": spec});
        let params = PatchParams::apply("person").force();
        self.api().patch(self.name, &params, &Patch::Apply(body)).await.unwrap();
    }

    async fn secret(&self, value: &str) {
        let name = "keys";
        let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            // An integration keeps its data at it.
            "stringData": {"api": format!("postgres://{value}"), "client-id": "id", "client-secret": value}});
        let api = Api::<Secret>::namespaced(self.client.clone(), self.namespace);
        api.patch(name, &PatchParams::apply("person").force(), &Patch::Apply(body)).await.unwrap();
    }

    /// Waits until the operator has written nothing for `quiet_for`, and the resource is ready, waits for a person, or is
    /// gone.
    pub async fn settle(&self, plan: &Plan, quiet_for: Duration) -> Result<(), String> {
        let what = format!("{} '{}' settled", self.scenario.kind.kind, self.name);
        let settled = wait_for(&what, SOON * 2, async || {
            let quiet = plan.is_quiet_for(quiet_for);
            let Some(object) = self.api().get_opt(self.name).await.map_err(|error| error.to_string())? else {
                return Ok(quiet.then_some(()));
            };
            let status = &object.data["status"];
            let observed = status["observedGeneration"].as_i64() == object.metadata.generation;
            let mut conditions = status["conditions"].as_array().into_iter().flatten();
            let ready =
                conditions.any(|c| (c["type"] == "Ready" || c["type"] == "Stalled") && c["status"] == "True");
            let mut pause = tokio::time::interval(Duration::from_millis(100));
            pause.tick().await;
            pause.tick().await;
            if quiet && observed && ready { Ok(Some(())) } else { Err(status.to_string()) }
        });
        settled.await.map_err(|error| error.to_string())
    }
}
