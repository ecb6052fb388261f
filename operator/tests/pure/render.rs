//! Every object that is rendered, as a snapshot: a change of one is a change of somebody's cluster.

use k8s_openapi::api::apps::v1::Deployment;
use portico_operator::mcp_server::render::{Desired, kept, render};
use portico_operator::mcp_server::validate::{Peers, ValidatedServer};
use rstest::rstest;
use serde_json::{Value, json};

use super::validate;

/// In the order in which they are applied.
fn objects(spec: &Value) -> Vec<Value> {
    let Desired { service_account, config_map, network_policy, service, disruption_budget, deployment } =
        render(&validate(spec).unwrap());
    let all = [
        json!(network_policy),
        json!(service_account),
        json!(config_map),
        json!(service),
        json!(disruption_budget),
        json!(deployment),
    ];
    all.into_iter().filter(|object| !object.is_null()).collect()
}

macro_rules! snapshots {
    ($($test:ident: $spec:tt)*) => { $(
        #[test]
        fn $test() {
            insta::assert_yaml_snapshot!(stringify!($test), objects(&json!($spec)));
        }
    )* };
}

snapshots! {
    an_image_with_nothing_else: {"source": {"image": {"name": "example:1"}}}

    a_builtin_server: {"source": {"builtin": {"name": "files"}}, "replicas": 2}

    a_package_of_npm: {
        "source": {"package": {"name": "npm:@scope/server", "version": "1.2.3", "args": ["--flag"]}},
    }

    a_package_of_pypi_with_an_image_of_its_own: {
        "source": {"package": {"name": "pypi:server", "version": "1.2.3", "image": "own:1"}},
    }

    an_image_that_speaks_over_standard_streams: {
        "transport": "Stdio",
        "source": {"image": {"name": "example:1", "command": ["serve"], "args": ["--stdio"]}},
        "port": 9000,
        "path": "/v1/mcp",
    }

    a_remote_server_has_no_objects: {"source": {"remote": {"url": "https://mcp.example.com/mcp"}}}

    everything_at_once: {
        "source": {"image": {
            "name": "example:1", "command": ["serve"], "args": ["--port", "$(PORT)"],
            "pullPolicy": "Always", "pullSecretRefs": ["registry"],
        }},
        "port": 9000,
        "replicas": 0,
        "env": [
            {"name": "PLAIN", "value": "1"},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "api"}}},
            {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "LEVEL"}}},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "envFrom": [{"secretRef": "keys", "prefix": "K_"}, {"configMapRef": "settings"}],
        "secretMounts": [{"secretRef": "keys", "mountPath": "/keys"}],
        "configFiles": [{"path": "/etc/shop/config.yaml", "content": "a: 1\n"}],
        "volumes": [
            {"name": "data", "mountPath": "/data", "claimRef": "shop-data"},
            {"name": "scratch", "mountPath": "/tmp", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "settings", "mountPath": "/settings", "configMapRef": "settings", "access": "ReadOnly"},
        ],
        "resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "1Gi"}},
        "gpu": {"count": 2, "product": "NVIDIA-L4"},
        "placement": {
            "nodeSelector": {"zone": "a"},
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname"}]}},
            "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "shop", "effect": "NoSchedule"}],
            "topologySpread": [{"topologyKey": "topology.kubernetes.io/zone"}],
            "priorityClassName": "high",
            "runtimeClassName": "gvisor",
        },
        "podTemplate": {
            "metadata": {"annotations": {"note": "patched"}},
            "spec": {"terminationGracePeriodSeconds": 5, "containers": [
                {"name": "server", "stdin": true}, {"name": "beside", "image": "beside:1"}]},
        },
        "egress": [
            {"name": "api", "cidrs": ["203.0.113.0/24"], "ports": [443]},
            {"name": "database", "podLabels": {"app": "database"}},
        ],
    }
}

/// What the gateway and `portico up` rely on without looking.
#[test]
fn every_child_carries_the_same_owner_and_labels() {
    for object in objects(&json!({
        "source": {"builtin": {"name": "files"}}, "configFiles": [{"path": "/a", "content": ""}],
    })) {
        let kind = &object["kind"];
        assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], "uid-1", "{kind}");
        assert_eq!(object["metadata"]["namespace"], "store", "{kind}");
        assert_eq!(
            object["metadata"]["labels"]["app.kubernetes.io/managed-by"], "portico-operator",
            "{kind}"
        );
        assert_eq!(object["metadata"]["labels"]["portico.dev/mcp-server"], "shop", "{kind}");
    }
}

/// A rolling update does not wait for the end of a pod that it has told to go.
#[rstest]
#[case::one(&json!({"replicas": 1}), "ReadWrite", "Recreate")]
#[case::none(&json!({"replicas": 0}), "ReadWrite", "Recreate")]
#[case::nothing_said(&json!({}), "ReadWrite", "Recreate")]
#[case::from_zero(&json!({"scaling": {"min": 0, "max": 1}}), "ReadWrite", "Recreate")]
#[case::several(&json!({"replicas": 2}), "ReadWrite", "RollingUpdate")]
#[case::by_load(&json!({"scaling": {"min": 0, "max": 3}}), "ReadWrite", "RollingUpdate")]
#[case::a_reader(&json!({"replicas": 1}), "ReadOnly", "RollingUpdate")]
fn one_pod_that_writes_to_a_claim_has_ended_before_the_next_one_starts(
    #[case] with: &Value,
    #[case] access: &str,
    #[case] strategy: &str,
) {
    let mut spec = json!({"source": {"builtin": {"name": "files"}},
        "volumes": [{"name": "data", "mountPath": "/data", "claimRef": "shop-data", "access": access}]});
    spec.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    let deployment = render(&validate(&spec).unwrap()).deployment.unwrap();
    let rendered = deployment.spec.unwrap().strategy.unwrap();
    assert_eq!(rendered.type_.as_deref(), Some(strategy));
    assert_eq!(rendered.rolling_update.is_some(), strategy == "RollingUpdate");
}

/// With several at once all would be away together.
#[rstest]
#[case(Some(3), "RollingUpdate")]
#[case(Some(1), "Recreate")]
#[case(None, "Recreate")]
fn pods_that_somebody_else_scales_go_one_by_one(#[case] replicas: Option<i32>, #[case] strategy: &str) {
    let spec = json!({"source": {"builtin": {"name": "files"}},
        "volumes": [{"name": "data", "mountPath": "/data", "claimRef": "shop-data", "access": "ReadWrite"}]});
    let server = validate(&spec).unwrap();
    let mut live = render(&server).deployment.unwrap();
    live.spec.as_mut().unwrap().replicas = replicas;
    let deployment = render(&kept(server, Some(&live), None)).deployment.unwrap();
    assert_eq!(deployment.spec.unwrap().strategy.unwrap().type_.as_deref(), Some(strategy));
}

#[test]
fn pods_of_an_older_version_are_not_restarted_to_tell_why_they_end_and_edited_ones_tell_it() {
    let tells = |deployment: &Deployment| {
        let pod = deployment.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
        pod.containers[0].termination_message_policy.as_deref() == Some("FallbackToLogsOnError")
    };
    let spec = json!({"source": {"builtin": {"name": "files"}}, "replicas": 1});
    let newest = validate(&spec).unwrap();
    let made = |server: &ValidatedServer| render(server).deployment.unwrap();
    assert!(tells(&made(&kept(newest.clone(), None, None))), "a new one");
    for marked in [false, true] {
        let older = ValidatedServer {
            tells_why: false,
            marked,
            portico_image: "portico:old".into(),
            ..newest.clone()
        };
        let live = made(&older);
        let after = made(&kept(newest.clone(), Some(&live), None));
        assert_eq!(after.spec, live.spec, "marked: {marked}");
        let mut edited = newest.clone();
        edited.restarted_at = Some("now".into());
        let after = made(&kept(edited.clone(), Some(&live), None));
        assert!(tells(&after), "marked: {marked}");
        // And then it stays so, whoever takes it away.
        let mut damaged = after.clone();
        let pod = damaged.spec.as_mut().unwrap().template.spec.as_mut().unwrap();
        pod.containers[0].termination_message_policy = None;
        for live in [&after, &damaged] {
            assert_eq!(made(&kept(edited.clone(), Some(live), None)).spec, after.spec);
        }
    }
    let image = validate(&json!({"source": {"image": {"name": "example:1"}}})).unwrap();
    assert!(!tells(&made(&image)), "what others log may hold secrets");
}

#[test]
fn pods_are_reached_from_the_namespaces_that_the_operator_is_told_and_by_default_from_any() {
    let of = |peers: Peers| {
        let spec = json!({"source": {"builtin": {"name": "files"}}});
        let policy = render(&ValidatedServer { peers, ..validate(&spec).unwrap() }).network_policy;
        let from = json!(policy)["spec"]["ingress"][0]["from"].clone();
        from.as_array().unwrap().clone()
    };
    assert!(of(Peers::default()).iter().all(|peer| peer["namespaceSelector"] == json!({})));
    let named = of(Peers { gateway: Some("edge".into()), operator: Some("tools".into()) });
    let expected = |label: &str, namespace: &str| {
        json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "podSelector": {"matchLabels": {label: "true"}}})
    };
    assert_eq!(named, [expected("portico.dev/gateway", "edge"), expected("portico.dev/operator", "tools")]);
}
