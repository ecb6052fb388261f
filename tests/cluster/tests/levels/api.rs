//! Level `Api`: answers, and refuses what no role allows; the audit log counts.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use portico_cluster::{Cluster, Level, programs, wanted};
use serde_json::json;

fn config_map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}})).unwrap()
}

#[tokio::test]
async fn the_api_server_is_of_the_stamped_version_and_refuses_whom_no_role_allows() {
    if !wanted(Level::Api) {
        return;
    }
    let cluster = Cluster::shared(Level::Api).await.unwrap();
    let namespace = cluster.namespace("api").await.unwrap();
    let client = cluster.client().unwrap();
    let version = client.apiserver_version().await.unwrap();
    assert_eq!(version.git_version, programs::KUBERNETES_VERSION);
    Api::namespaced(client, namespace.name()).create(&PostParams::default(), &config_map("a")).await.unwrap();
    let stranger = cluster.client_as("stranger", &["system:authenticated"]).unwrap();
    let pods: Api<Pod> = Api::namespaced(stranger, namespace.name());
    match pods.list(&ListParams::default()).await {
        Err(kube::Error::Api(answer)) => assert_eq!(answer.code, 403, "{answer:?}"),
        other => panic!("a stranger may list pods: {other:?}"),
    }
}

#[tokio::test]
async fn the_audit_log_counts_every_write_once_and_no_read() {
    if !wanted(Level::Api) {
        return;
    }
    let cluster = Cluster::shared(Level::Api).await.unwrap();
    let namespace = cluster.namespace("audit").await.unwrap();
    let client = cluster.client_as("writer", &["system:masters"]).unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace.name());
    let mark = cluster.audit_mark().unwrap();
    maps.create(&PostParams::default(), &config_map("a")).await.unwrap();
    maps.get("a").await.unwrap();
    maps.list(&ListParams::default()).await.unwrap();
    let change = Patch::Merge(json!({"data": {"key": "value"}}));
    maps.patch("a", &PatchParams::default(), &change).await.unwrap();
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let writes = cluster.audit_writes(mark, |event| event.user == "writer").unwrap();
    let seen: Vec<(&str, &str, u16)> =
        writes.iter().map(|event| (event.verb.as_str(), event.resource.as_str(), event.code)).collect();
    assert_eq!(
        seen,
        [("create", "configmaps", 201), ("patch", "configmaps", 200), ("delete", "configmaps", 200)]
    );
}
