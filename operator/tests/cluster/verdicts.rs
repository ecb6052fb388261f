//! `portico check` says of a manifest what the API server says.

mod integrations;
mod shops;

use axum::http::Request;
use portico_cluster::{Level, wanted};
use portico_crds::check::check;
use serde_json::{Value, json};

use crate::world::World;

fn server(spec: Value) -> Value {
    let mut manifest =
        json!({"apiVersion": "portico.dev/v1alpha1", "kind": "McpServer", "metadata": {"name": "a"}});
    manifest["spec"] = spec;
    manifest
}

fn from(source: Value) -> Value {
    let mut manifest = server(json!({}));
    manifest["spec"]["source"] = source;
    manifest
}

fn with(field: &str, value: Value) -> Value {
    let mut spec = json!({"source": {"image": {"name": "example:1", "command": ["serve"]}}});
    spec[field] = value;
    server(spec)
}

fn remote(field: &str, value: Value) -> Value {
    let mut manifest = from(json!({"remote": {"url": "https://a.example/mcp"}}));
    manifest["spec"][field] = value;
    manifest
}

fn named(name: &str) -> Value {
    let mut manifest = from(json!({"builtin": {"name": "files"}}));
    manifest["metadata"]["name"] = json!(name);
    manifest
}

fn good() -> Vec<Value> {
    let gpu = json!({"count": 2, "resourceName": "amd.com/gpu", "product": "MI300"});
    let placement = json!({
        "nodeSelector": {"zone": "a"},
        "affinity": {"nodeAffinity": {}},
        "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3}],
        "topologySpread": [{"topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}],
    });
    vec![
        from(json!({"image": {"name": "example:1", "pullPolicy": "Never", "pullSecretRefs": ["a"]}})),
        from(json!({"builtin": {"name": "kroger"}})),
        from(
            json!({"package": {"name": "npm:@modelcontextprotocol/server-everything", "version": "2026.8.31"}}),
        ),
        from(json!({"package": {"name": "pypi:mcp-server-time", "version": "1.0.0", "args": ["--utc"]}})),
        from(json!({"remote": {"url": "https://mcp.example.com/mcp"}})),
        from(json!({"service": {"name": "there", "port": 80}})),
        remote("tools", json!({"include": ["a*"], "exclude": ["b?"]})),
        remote(
            "tools",
            json!({"pin": "Quarantine", "overrides": [{"name": "a", "as": "b.c-d_e", "annotations": {"readOnlyHint": "Denied"}}]}),
        ),
        remote("timeouts", json!({"callSeconds": 5, "tools": [{"name": "slow", "callSeconds": 600}]})),
        with("transport", json!("Stdio")),
        with("protocol", json!("Modern")),
        with("port", json!(65535)),
        with("path", json!("/v1/mcp")),
        with("replicas", json!(0)),
        with("gpu", gpu),
        with("gpu", Value::Null),
        with("env", Value::Null),
        with("placement", placement),
        with("resources", json!({"limits": {"cpu": 2, "memory": "1Gi"}, "requests": {"cpu": "250m"}})),
        with(
            "env",
            json!([{"name": "A", "value": ""}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
        ),
        with("env", json!([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}])),
        with("envFrom", json!([{"secretRef": "a", "prefix": "A_"}, {"configMapRef": "b"}])),
        with("secretMounts", json!([{"secretRef": "a", "mountPath": "/a"}])),
        with("configFiles", json!([{"path": "/etc/a", "content": "x"}])),
        with("volumes", json!([{"name": "a", "mountPath": "/a", "access": "ReadOnly", "claimRef": "data"}])),
        with("volumes", json!([{"name": "a", "mountPath": "/a", "emptyDir": {"sizeLimit": "1Gi"}}])),
        with(
            "egress",
            json!([{"name": "all", "cidrs": ["0.0.0.0/0"], "ports": [443]}, {"name": "db", "podLabels": {"app": "db"}}]),
        ),
        with("podTemplate", json!({"spec": {"anything": [1, {"goes": null}]}})),
        named(&"a".repeat(50)),
    ]
}

/// Manifests that a rule refuses, with words of its message.
fn against_rules() -> Vec<(Value, &'static str)> {
    let both = json!({"image": {"name": "a"}, "builtin": {"name": "files"}});
    let two_values =
        json!([{"name": "A", "value": "1", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]);
    let mut all = vec![
        (from(json!({})), "exactly one of `image`"),
        (from(both), "exactly one of `image`"),
        (from(json!({"image": {"name": "a", "command": []}})), "`command` must be absent or name a program"),
        (from(json!({"remote": {"url": "ftp://a.example/x"}})), "with the scheme 'http' or 'https'"),
        (from(json!({"remote": {"url": "not a url"}})), "absolute URL"),
        (from(json!({"remote": {"url": "https:///mcp"}})), "absolute URL"),
        (remote("transport", json!("Stdio")), "may be 'Stdio' only with"),
        (remote("port", json!(9000)), "`port` must be absent"),
        (with("env", json!([{"name": "A"}])), "exactly one of `value` and `valueFrom`"),
        (with("env", two_values), "exactly one of `value` and `valueFrom`"),
        (with("env", json!([{"name": "A", "valueFrom": {}}])), "`valueFrom` must have exactly one of"),
        (with("envFrom", json!([{}])), "`envFrom` must have exactly one of"),
        (
            with("envFrom", json!([{"secretRef": "a", "configMapRef": "b"}])),
            "`envFrom` must have exactly one of",
        ),
        (with("volumes", json!([{"name": "a", "mountPath": "/a"}])), "volume must have exactly one of"),
        (with("egress", json!([{"name": "a"}])), "`egress` must have exactly one of"),
        (with("tools", json!({"overrides": [{"name": "a"}]})), "must change something"),
        (
            with("tools", json!({"overrides": [{"name": "a", "annotations": {}}]})),
            "at least one of `readOnlyHint`, `destructiveHint`",
        ),
        (
            with("tools", json!({"overrides": [{"name": "a", "as": "x"}, {"name": "b", "as": "x"}]})),
            "must not give the same name in `as`",
        ),
        (named(&"a".repeat(51)), "at most 50 characters"),
        (named("1a"), "begin with a letter"),
        (named("a.b"), "at most 50 characters"),
    ];
    for (field, value) in [
        ("replicas", json!(1)),
        ("env", json!([{"name": "A", "value": "1"}])),
        ("secretMounts", json!([{"secretRef": "a", "mountPath": "/a"}])),
        ("configFiles", json!([{"path": "/a", "content": ""}])),
        ("resources", json!({})),
        ("gpu", json!({"count": 1})),
        ("placement", json!({})),
        ("podTemplate", json!({})),
        ("egress", json!([{"name": "a", "cidrs": ["0.0.0.0/0"]}])),
    ] {
        all.push((remote(field, value), "nothing is deployed"));
    }
    all
}

/// Manifests that the schema or the server's own checks refuse; each has words of its own for it.
fn against_the_schema() -> Vec<Value> {
    let many: Vec<Value> = (0..129).map(|i| json!({"name": format!("A{i}"), "value": ""})).collect();
    vec![
        server(json!({})),
        with("replica", json!(1)),
        with("transport", json!("stdio")),
        with("port", json!(0)),
        with("port", json!("80")),
        with("port", json!(80.5)),
        with("replicas", json!(-1)),
        with("path", json!("mcp")),
        with("path", json!("")),
        with("path", json!("/".repeat(300))),
        with("path", json!(true)),
        with("env", json!([null])),
        with("source", Value::Null),
        with("gpu", json!({"count": 0})),
        with("gpu", json!({"count": 1, "resourceName": "gpu"})),
        with("podTemplate", json!("x")),
        with("env", json!({"A": "1"})),
        with("env", json!([{"name": "A", "value": 1}])),
        with("env", json!([{"name": "A B", "value": "1"}])),
        with("env", json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}])),
        with("env", json!(many)),
        with("resources", json!({"limits": {"cpu": "lots"}})),
        with("tools", json!({"include": ["a", "a"]})),
        with("tools", json!({"include": [""]})),
        with("configFiles", json!([{"path": "relative", "content": ""}])),
        with("egress", json!([{"name": "a", "cidrs": ["everywhere"]}])),
        with("timeouts", json!({"callSeconds": 0})),
        with("placement", json!({"tolerations": [{"effect": "Sometimes"}]})),
        from(json!({"builtin": {"name": "file"}})),
        from(json!({"package": {"name": "npm:a"}})),
        from(json!({"package": {"name": "gem:rails", "version": "1"}})),
        from(json!({"package": {"name": "npm:a", "version": "latest"}})),
        from(json!({"service": {"name": "There", "port": 80}})),
        from(json!({"image": {"name": "a b"}})),
        named("Ünïcode"),
        named(""),
        named("a-"),
    ]
}

/// What the API server says of creating it; nothing when it would be taken.
async fn servers_verdict(world: &World, manifest: &Value) -> Option<String> {
    let namespace = world.namespace.name();
    let plural = format!("{}s", manifest["kind"].as_str().unwrap().to_lowercase());
    let path = format!(
        "/apis/portico.dev/v1alpha1/namespaces/{namespace}/{plural}?dryRun=All&fieldValidation=Strict"
    );
    let request = Request::post(path).header("content-type", "application/json");
    let request = request.body(serde_json::to_vec(manifest).unwrap()).unwrap();
    match world.client.request::<Value>(request).await {
        Ok(_) => None,
        Err(kube::Error::Api(status)) => Some(status.message.clone()),
        Err(error) => panic!("no verdict on {manifest}: {error}"),
    }
}

fn own_verdict(manifest: &Value) -> Option<String> {
    let faults: Vec<String> = check(manifest).unwrap().iter().map(ToString::to_string).collect();
    (!faults.is_empty()).then(|| faults.join("; "))
}

#[tokio::test]
async fn check_and_the_api_server_agree_on_good_and_bad_manifests() {
    if !wanted(Level::Api) {
        return;
    }
    let world = World::empty().await;
    agree(&world, good(), against_rules(), against_the_schema()).await;
    agree(&world, integrations::good(), integrations::against_rules(), integrations::against_the_schema())
        .await;
    agree(&world, shops::good(), shops::against_rules(), shops::against_the_schema()).await;
}

async fn agree(world: &World, good: Vec<Value>, rules: Vec<(Value, &str)>, schema: Vec<Value>) {
    for manifest in good {
        assert_eq!(
            (own_verdict(&manifest), servers_verdict(world, &manifest).await),
            (None, None),
            "{manifest}"
        );
    }
    for (manifest, words) in rules {
        for verdict in [own_verdict(&manifest), servers_verdict(world, &manifest).await] {
            assert!(verdict.as_ref().is_some_and(|said| said.contains(words)), "{verdict:?} of {manifest}");
        }
    }
    for manifest in schema {
        let (own, servers) = (own_verdict(&manifest), servers_verdict(world, &manifest).await);
        assert!(own.is_some() && servers.is_some(), "check: {own:?}, API server: {servers:?}, of {manifest}");
    }
}
