//! Objects that this version cannot read, as after a downgrade: each harms only itself, and an event says so.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use portico_cluster::{Cluster, Level, wait_for, wanted};
use portico_operator::mcp_server::validate::Settings;
use portico_operator::{KindName, Options, run};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::composite::portico_kind;
use crate::world::SOON;

const KINDS: [(&str, &str); 4] = [
    ("McpServer", "mcpservers"),
    ("InferenceModel", "inferencemodels"),
    ("KrogerIntegration", "krogerintegrations"),
    ("ShopConnector", "shopconnectors"),
];

/// The definitions with a spec that takes anything, as those of another version may be.
async fn loose_definitions(cluster: &Cluster) {
    let api: Api<portico_crds::CustomResourceDefinition> = Api::all(cluster.client().unwrap());
    for definition in portico_crds::definitions() {
        let mut value = serde_json::to_value(&definition).unwrap();
        let schema = &mut value["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        schema["properties"]["spec"] =
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("x-kubernetes-validations");
        }
        value["apiVersion"] = "apiextensions.k8s.io/v1".into();
        value["kind"] = "CustomResourceDefinition".into();
        let name = definition.metadata.name.unwrap();
        api.patch(&name, &PatchParams::apply("person").force(), &Patch::Apply(value)).await.unwrap();
    }
    let wait = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=120s"];
    assert!(cluster.kubectl(&wait).await.unwrap().status.success());
}

async fn apply(cluster: &Cluster, namespace: &str, kind: &ApiResource, name: &str, spec: Value) {
    let api = Api::<DynamicObject>::namespaced_with(cluster.client().unwrap(), namespace, kind);
    let body =
        json!({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}, "spec": spec});
    api.patch(name, &PatchParams::apply("person").force(), &Patch::Apply(body)).await.unwrap();
}

#[tokio::test]
async fn an_object_that_this_version_cannot_read_harms_only_itself() {
    if !wanted(Level::Api) {
        return;
    }
    let cluster = Cluster::start(Level::Api).await.unwrap();
    loose_definitions(&cluster).await;
    let namespace = cluster.namespace("loose").await.unwrap();
    for (kind, plural) in KINDS {
        let spec = json!({"source": 7, "credentials": 7, "platform": 7, "engine": 7, "servers": "none"});
        apply(&cluster, namespace.name(), &portico_kind(kind, plural), "unreadable", spec).await;
    }
    let good = json!({"source": {"builtin": {"name": "files"}}, "replicas": 1, "port": 8080, "path": "/mcp"});
    apply(&cluster, namespace.name(), &portico_kind("McpServer", "mcpservers"), "good", good).await;
    let options = Options {
        namespaces: vec![namespace.name().to_owned()],
        kinds: KindName::ALL.to_vec(),
        settings: Settings::default(),
        listen: ([127, 0, 0, 1], 0).into(),
        claim: None,
        checks: portico_operator::checks::Checks::default(),
    };
    let stop = CancellationToken::new();
    let operator = tokio::spawn(run(cluster.client().unwrap(), options, stop.clone()));
    let client = cluster.client().unwrap();
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace.name());
    wait_for("the good server's Deployment", SOON, async || deployments.get_opt("good-mcp").await)
        .await
        .unwrap();
    let events: Api<Event> = Api::namespaced(client, namespace.name());
    wait_for("an event about each that cannot be read", SOON, async || {
        let all = events.list(&ListParams::default()).await.map_err(|error| error.to_string())?.items;
        let about = |kind: &str| {
            all.iter().any(|event| {
                let regarding = event.regarding.as_ref();
                regarding.and_then(|object| object.kind.as_deref()) == Some(kind)
                    && regarding.and_then(|object| object.name.as_deref()) == Some("unreadable")
                    && event
                        .note
                        .as_deref()
                        .is_some_and(|note| note.contains("cannot be read by this version"))
            })
        };
        let silent: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).filter(|kind| !about(kind)).collect();
        if silent.is_empty() { Ok(Some(())) } else { Err(format!("no event about {silent:?}")) }
    })
    .await
    .unwrap();
    stop.cancel();
    operator.await.unwrap().unwrap();
}
