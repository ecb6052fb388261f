//! What the tests of kinds that render servers share.

use std::sync::{Arc, Mutex};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use portico_cluster::wait_for;
use portico_operator::checks::Checks;
use serde_json::{Value, json};

use crate::world::{SOON, World};

/// Stands in for the pods of simulated nodes, which serve nothing: it answers for every server alike.
pub struct Answers {
    answer: Arc<Mutex<Option<Value>>>,
    address: String,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Answers {
    pub async fn start() -> Self {
        let answer = Arc::new(Mutex::new(None));
        let app = Router::new().route("/checks", get(answered)).with_state(Arc::clone(&answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
        let answers = Self { answer, address, task };
        answers.say("ok", "Accepted");
        answers
    }

    /// Asks here, whatever server is meant.
    pub fn checks(&self) -> Checks {
        let address = self.address.clone();
        Checks::at(move |_| address.clone())
    }

    /// From now on the check `credentials` stands so.
    pub fn say(&self, state: &str, reason: &str) {
        let check = json!({"name": "credentials", "state": state, "reason": reason, "message": "said by the test",
            "since": "2026-01-01T00:00:00Z"});
        *self.answer.lock().unwrap() = Some(json!({"checks": [check]}));
    }

    /// From now on there is no good answer.
    pub fn fail(&self) {
        *self.answer.lock().unwrap() = None;
    }
}

async fn answered(State(answer): State<Arc<Mutex<Option<Value>>>>) -> impl IntoResponse {
    match &*answer.lock().unwrap() {
        Some(value) => (StatusCode::OK, value.to_string()),
        None => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
    }
}

/// A kind of Portico by its name and plural.
pub fn portico_kind(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "portico.dev".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: "portico.dev/v1alpha1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

impl World {
    pub fn dynamic(&self, kind: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), self.namespace.name(), kind)
    }

    /// Applies a resource as a person does.
    pub async fn apply_kind(&self, kind: &ApiResource, name: &str, spec: &Value) {
        let manifest = json!({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}, "spec": spec});
        let params = PatchParams::apply("person").force();
        self.dynamic(kind).patch(name, &params, &Patch::Apply(manifest)).await.unwrap();
    }

    pub async fn annotate(&self, kind: &ApiResource, name: &str, key: &str, value: &str) {
        let change = json!({"metadata": {"annotations": {key: value}}});
        self.dynamic(kind).patch(name, &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    }

    /// Waits until the conditions of a resource, each as `Type status Reason: message`, begin as `wanted` says, for
    /// the present generation.
    pub async fn until_said(&self, kind: &ApiResource, name: &str, wanted: &[&str]) -> Value {
        let api = self.dynamic(kind);
        wait_for(&format!("{} {name}: {wanted:?}", kind.kind), SOON, async || {
            let object = api.get(name).await.map_err(|error| error.to_string())?;
            let said = said(&object);
            let observed = object.data["status"]["observedGeneration"].as_i64() == object.metadata.generation;
            let all = wanted.iter().all(|wanted| said.iter().any(|one| one.starts_with(wanted)));
            if observed && all { Ok(Some(object.data["status"].clone())) } else { Err(said.join("\n")) }
        })
        .await
        .unwrap()
    }
}

fn said(object: &DynamicObject) -> Vec<String> {
    let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    conditions
        .iter()
        .map(|c| {
            format!("{} {} {}: {}", text(c, "type"), text(c, "status"), text(c, "reason"), text(c, "message"))
        })
        .collect()
}
