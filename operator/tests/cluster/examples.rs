//! The examples of scaling, as the API server, an autoscaler and KEDA's own definition take them.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, ValidationDirective};
use portico_cluster::{Level, wait_for, wanted};
use serde_json::json;

use crate::world::{SOON, World, is_ready};

fn file(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Applies a file so that a field that nobody knows is an error; first without any effect.
async fn apply(world: &World, file: &str) {
    let apply = ["apply", "--server-side", "--validate=strict", "--filename", file];
    world.kubectl(&[&apply[..], &["--dry-run=server"]].concat()).await;
    world.kubectl(&apply).await;
}

/// A condition of an autoscaler as `status reason`, and its message.
fn said(scaler: &HorizontalPodAutoscaler, name: &str) -> (String, String) {
    let conditions = scaler.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let found = conditions.into_iter().find(|condition| condition.type_ == name);
    found.map_or_else(Default::default, |one| {
        let reason = one.reason.clone().unwrap_or_default();
        (format!("{} {reason}", one.status), one.message.clone().unwrap_or_default())
    })
}

#[tokio::test]
async fn a_server_is_scaled_by_load_as_the_example_says() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    apply(&world, &file("../examples/scaling/by-load.yaml")).await;
    world.until("notes", "Ready", is_ready).await;
    assert_eq!(world.deployment("notes").await.spec.unwrap().replicas, Some(1));
}

#[tokio::test]
async fn an_autoscaler_finds_the_deployment_of_the_example_and_asks_for_the_gateways_metric() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    apply(&world, &file("../examples/scaling/hpa.yaml")).await;
    world.until("reports", "Ready", is_ready).await;
    let scaler = wait_for("the autoscaler has looked", SOON, async || {
        let scaler: HorizontalPodAutoscaler =
            world.api().get("reports").await.map_err(|error| error.to_string())?;
        if said(&scaler, "ScalingActive").0.is_empty() {
            Err(format!("{scaler:?}"))
        } else {
            Ok(Some(scaler))
        }
    });
    let scaler = scaler.await.unwrap();
    assert_eq!(said(&scaler, "AbleToScale").0, "True SucceededGetScale", "it does not find its target");
    // No metrics server runs here, and it says which metric it asked for.
    let (active, message) = said(&scaler, "ScalingActive");
    assert_eq!(active, "False FailedGetExternalMetric");
    for part in ["portico_gateway_server_demand", "namespace: default", "server: reports"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(scaler.status.and_then(|status| status.current_replicas), Some(1));
    eprintln!("the autoscaler says: {message}");
}

#[tokio::test]
async fn kedas_own_definition_takes_the_scaled_object_of_the_example() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    let definition = file("tests/fixtures/keda.sh_scaledobjects.yaml");
    world.kubectl(&["apply", "--server-side", "--filename", &definition]).await;
    let wait = ["wait", "--for=condition=Established", "crd/scaledobjects.keda.sh", "--timeout=120s"];
    world.kubectl(&wait).await;
    apply(&world, &file("../examples/scaling/keda.yaml")).await;
    world.until("pictures", "Ready", is_ready).await;
    let target = "jsonpath={.spec.scaleTargetRef.name}";
    let target = world.kubectl(&["get", "scaledobjects/pictures", "--output", target]).await;
    let found = world.kubectl(&["get", &format!("deployment/{target}"), "--output", "name"]).await;
    assert_eq!(found.trim(), "deployment.apps/pictures-mcp");
    // It is strict: a name that is not quite right is refused.
    let kind = ApiResource {
        group: "keda.sh".into(),
        version: "v1alpha1".into(),
        api_version: "keda.sh/v1alpha1".into(),
        kind: "ScaledObject".into(),
        plural: "scaledobjects".into(),
    };
    let api = Api::<DynamicObject>::namespaced_with(world.client.clone(), world.namespace.name(), &kind);
    let params =
        PatchParams { field_validation: Some(ValidationDirective::Strict), ..PatchParams::default() };
    let wrong = Patch::Merge(json!({"spec": {"maxReplicas": 6}}));
    let refused = api.patch("pictures", &params, &wrong).await.unwrap_err();
    assert!(refused.to_string().contains("maxReplicas"), "{refused}");
}
