//! The admission policies that are shipped beside the operator, by the words of the API server.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, Patch, PatchParams};
use portico_cluster::{Level, wait_for, wanted};
use portico_crds::{McpServer, labels};
use serde_json::{Value, json};

use crate::world::{SOON, World, condition};

const DIGEST: &str = "@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A world in a namespace with these labels, under all policies.
async fn under_policies(labels: &[&str]) -> World {
    let world = World::start().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    world.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", folder]).await;
    for label in labels {
        world.kubectl(&["label", "namespace", world.namespace.name(), label]).await;
    }
    world
}

/// Waits until the API server refuses the spec, for policies take a moment to hold; its words.
async fn refusal(world: &World, spec: &Value) -> String {
    wait_for("a refusal", SOON, async || match world.try_apply("refused", spec.clone()).await {
        Err(kube::Error::Api(status)) => Ok(Some(status.message)),
        other => Err(format!("{other:?}")),
    })
    .await
    .unwrap()
}

/// Waits until a policy about workloads holds: a Deployment such as Portico makes, with this pod, is refused.
async fn until_enforced(world: &World, pod: Value) {
    let labels = json!({"app.kubernetes.io/managed-by": "portico-operator", "probe": "policy"});
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "probe", "labels": labels},
        "spec": {"selector": {"matchLabels": {"probe": "policy"}},
            "template": {"metadata": {"labels": labels}, "spec": pod}}});
    let params = PatchParams { dry_run: true, ..PatchParams::apply("person").force() };
    wait_for("the policy", SOON, async || {
        let answer = world.api::<Deployment>().patch("probe", &params, &Patch::Apply(&object)).await;
        Ok::<_, String>(answer.is_err().then_some(()))
    })
    .await
    .unwrap();
}

fn image(name: &str) -> Value {
    json!({"source": {"image": {"name": name}}, "replicas": 1})
}

#[tokio::test]
async fn only_images_by_digest_pass_where_the_namespace_asks_for_it() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = under_policies(&["portico.dev/images-by-digest=true"]).await;
    let said = refusal(&world, &image("example:1")).await;
    assert!(said.contains("`spec.source.image.name` must end in '@sha256:' and a digest"), "{said}");
    let package = json!({"source": {"package": {"name": "npm:a", "version": "1.0.0"}}});
    let said = refusal(&world, &package).await;
    assert!(said.contains("`spec.source.package.image` must be given"), "{said}");
    world.apply("good", image(&format!("example{DIGEST}"))).await;
    world.until_ready("good").await;
    world.apply("own", json!({"source": {"builtin": {"name": "files"}}, "replicas": 1})).await;
    world.until_ready("own").await;
}

#[tokio::test]
async fn an_image_of_another_registry_is_refused_and_the_status_says_which() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = under_policies(&["portico.dev/registries=true"]).await;
    until_enforced(&world, json!({"containers": [{"name": "a", "image": "b"}]})).await;
    world.apply("a", image("registry.example.com/team/server:1")).await;
    let refused = |server: &McpServer| condition(server, "Ready").message.contains("portico-registries");
    world.until("a", "refused without a list", refused).await;
    let list = json!({"data": {"allowed": "registry.example.com/team/\n"}});
    world.put::<k8s_openapi::api::core::v1::ConfigMap>("portico-registries", list).await;
    world.until_ready("a").await;
    world.apply("b", image("elsewhere.example.com/server:1")).await;
    let named =
        |server: &McpServer| condition(server, "Ready").message.contains("elsewhere.example.com/server:1");
    let server = world.until("b", "the image that is refused", named).await;
    assert_eq!(condition(&server, "Ready").status, "False");
}

#[tokio::test]
async fn no_pod_template_makes_a_pod_privileged_where_the_namespace_forbids_it() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = under_policies(&["portico.dev/no-privileged=true"]).await;
    let pod = json!({"hostNetwork": true, "containers": [{"name": "a", "image": "b"}]});
    until_enforced(&world, pod).await;
    world.apply("good", image("example:1")).await;
    world.until_ready("good").await;
    let patches = [
        ("network", json!({"spec": {"hostNetwork": true}})),
        ("path", json!({"spec": {"volumes": [{"name": "node", "hostPath": {"path": "/"}}]}})),
        (
            "root",
            json!({"spec": {"containers": [{"name": "server", "securityContext": {"privileged": true, "allowPrivilegeEscalation": true}}]}}),
        ),
    ];
    for (name, patch) in patches {
        let mut spec = image("example:1");
        spec["podTemplate"] = patch;
        world.apply(name, spec).await;
        let said = |server: &McpServer| condition(server, "Ready").message.contains("`podTemplate` may not");
        world.until(name, "the refusal in the policy's words", said).await;
    }
}

#[tokio::test]
async fn older_definitions_do_not_replace_newer_ones() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = under_policies(&[]).await;
    let api: Api<portico_crds::CustomResourceDefinition> = Api::all(world.client.clone());
    let older = json!({"metadata": {"annotations": {"portico.dev/bundle-version": "0.0.9"}}});
    let said = wait_for("the guard", SOON, async || {
        let params = PatchParams { dry_run: true, ..PatchParams::default() };
        match api.patch("mcpservers.portico.dev", &params, &Patch::Merge(&older)).await {
            Err(kube::Error::Api(status)) => Ok(Some(status.message)),
            other => Err(format!("{:?}", other.map(drop))),
        }
    });
    let said = said.await.unwrap();
    assert!(said.contains("those of 0.0.9 are older and would drop fields"), "{said}");
    let newer = json!({"metadata": {"annotations": {"portico.dev/bundle-version": "9.0.0"}}});
    let params = PatchParams { dry_run: true, ..PatchParams::default() };
    api.patch("mcpservers.portico.dev", &params, &Patch::Merge(&newer)).await.unwrap();
}

#[tokio::test]
async fn the_operator_itself_is_held_to_change_no_spec_even_with_every_right() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = under_policies(&[]).await;
    world.apply("a", image("example:1")).await;
    world.until_ready("a").await;
    // Its account, with rights that nobody should give it.
    let user = format!("system:serviceaccount:{}:portico-operator", world.namespace.name());
    let binding =
        ["create", "rolebinding", "too-much", "--clusterrole=cluster-admin", &format!("--user={user}")];
    world.kubectl(&binding).await;
    let client = world.cluster.client_as(&user, &["system:authenticated"]).unwrap();
    let api: Api<McpServer> = Api::namespaced(client, world.namespace.name());
    let change = json!({"spec": {"replicas": 7}});
    let said = wait_for("the guard", SOON, async || {
        let params = PatchParams { dry_run: true, ..PatchParams::default() };
        match api.patch("a", &params, &Patch::Merge(&change)).await {
            Err(kube::Error::Api(status)) => Ok(Some(status.message)),
            other => Err(format!("{:?}", other.map(drop))),
        }
    });
    let said = said.await.unwrap();
    assert!(
        said.contains("the operator may not make, change or delete a resource that a person wrote"),
        "{said}"
    );
    let deleted = api.delete("a", &kube::api::DeleteParams::background()).await;
    assert!(deleted.is_err_and(|error| error.to_string().contains("that a person wrote")));
    let status = json!({"status": {"instances": "0/9"}});
    api.patch_status("a", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
}

/// The gateway of the namespace, with the rights that are shipped for it.
async fn gateway(world: &World) -> kube::Client {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../gateway/rbac.yaml");
    world.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", file]).await;
    let user = format!("system:serviceaccount:{}:portico-gateway", world.namespace.name());
    let user_flag = format!("--user={user}");
    let binding = ["create", "rolebinding", "gateway", "--clusterrole=portico-gateway", user_flag.as_str()];
    world.kubectl(&binding).await;
    world.cluster.client_as(&user, &["system:authenticated"]).unwrap()
}

#[tokio::test]
async fn the_gateway_scales_and_marks_pods_and_changes_nothing_else_of_them() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = under_policies(&[]).await;
    world.apply("a", json!({"source": {"image": {"name": "example:1"}}, "scaling": {"max": 3}})).await;
    world.until_ready("a").await;
    let pod = world.pods("a").await[0].name_any();
    let foreign = json!({"spec": {"securityContext": {"runAsNonRoot": true, "runAsUser": 7,
        "seccompProfile": {"type": "RuntimeDefault"}}, "containers": [{"name": "a", "image": "b", "securityContext":
        {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]}});
    world.put::<Pod>("foreign", foreign).await;
    let client = gateway(&world).await;
    let (name, params) = (world.namespace.name(), PatchParams::default());
    let pods: Api<Pod> = Api::namespaced(client.clone(), name);
    let said = async |pod: &str, change: Value| match pods.patch(pod, &params, &Patch::Merge(&change)).await {
        Err(kube::Error::Api(status)) => status.message,
        other => format!("{:?}", other.map(drop)),
    };
    let wrong = json!({"metadata": {"labels": {labels::SERVING: "perhaps"}}});
    wait_for("the guard", SOON, async || {
        let said = said(&pod, wrong.clone()).await;
        if said.contains("must be 'true' or 'draining'") { Ok(Some(())) } else { Err(said) }
    })
    .await
    .unwrap();
    let marks = json!({"metadata": {"labels": {labels::SERVING: labels::DRAINING}, "annotations": {labels::DELETION_COST: "-1"}}});
    assert_eq!(said(&pod, marks.clone()).await, "Ok(())");
    assert!(said("foreign", marks).await.contains("a pod that Portico did not make"));
    for change in [
        json!({"metadata": {"labels": {labels::MCP_SERVER: "other"}}}),
        json!({"metadata": {"labels": {labels::INSTANCE: null}}}),
        json!({"metadata": {"annotations": {"other": "x"}}}),
        json!({"metadata": {"finalizers": ["example.com/stay"]}}),
    ] {
        let said = said(&pod, change.clone()).await;
        assert!(said.contains("may change nothing of a pod but"), "{change}: {said}");
    }
    let image = Patch::Strategic(json!({"spec": {"containers": [{"name": "server", "image": "evil:1"}]}}));
    let refused = pods.patch(&pod, &params, &image).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("may change nothing of a pod but")));
    // Clusters with the plugin `OwnerReferencesPermissionEnforcement`, as this one, look at that before any policy.
    assert!(said(&pod, json!({"metadata": {"ownerReferences": null}})).await.contains("forbidden"));
    let deployments: Api<Deployment> = Api::namespaced(client, name);
    let three = Patch::Merge(json!({"spec": {"replicas": 3}}));
    deployments.patch_scale("a-mcp", &params, &three).await.unwrap();
    let refused = deployments.patch("a-mcp", &params, &three).await;
    assert!(
        refused.is_err_and(|error| error.to_string().contains("forbidden")),
        "more than the number of pods"
    );
    let deleted = pods.delete(&pod, &kube::api::DeleteParams::default()).await;
    assert!(deleted.is_err_and(|error| error.to_string().contains("forbidden")));
}
