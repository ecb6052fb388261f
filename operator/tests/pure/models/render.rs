//! Every object that is rendered, as a snapshot; and what a revision does and does not depend on.

use portico_crds::mcp_server::{Quantity, Resources};
use portico_operator::inference_model::render::{
    Desired, beside, fetch_image, own_image, render, revision, service, threads,
};
use portico_operator::inference_model::validate::ValidatedModel;
use portico_operator::mcp_server::validate::{Peers, Settings};
use rstest::rstest;
use serde_json::{Value, json};

use super::{SUM, from_url, model, settings, validate, validate_with, with};

/// In the order in which they are applied.
fn objects(spec: &Value) -> Vec<Value> {
    let model = validate(spec).unwrap();
    let Desired {
        service_account,
        serving_policy,
        download_policy,
        claim,
        job,
        disruption_budget,
        deployment,
    } = render(&model);
    let service = deployment.as_ref().map(|_| service(&model, &revision(&model)));
    let all = [
        json!(serving_policy),
        json!(download_policy),
        json!(service_account),
        json!(claim),
        json!(job),
        json!(deployment),
        json!(service),
        json!(disruption_budget),
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
    a_url_on_llama_cpp: {
        "source": {"url": {"url": "https://models.example.com/small.gguf?key=x", "sha256": SUM, "sizeBytes": 3_098_016}},
        "engine": {"llamaCpp": {}},
        "resources": {"limits": {"cpu": "1500m"}},
    }

    a_file_of_hugging_face_kept_in_each_pod: {
        "source": {"huggingFace": {
            "repository": "example/model", "file": "q4/model.gguf", "tokenSecret": {"secretRef": "tokens", "key": "hub"},
        }},
        "engine": {"llamaCpp": {}},
        "cache": {"emptyDir": {"sizeLimit": "8Gi"}},
        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "egress": [{"name": "proxy", "podLabels": {"app": "proxy"}, "ports": [3128]}],
    }

    a_claim_on_llama_cpp_with_everything: {
        "source": {"claim": {"name": "models", "path": "llama/model.gguf"}},
        "engine": {"llamaCpp": {
            "image": "own-llama:1", "contextLength": 8192, "parallel": 4, "gpuLayers": 20, "chatTemplate": "chatml",
            "args": ["--verbose"],
        }},
        "replicas": 2,
        "env": [{"name": "HOME", "value": "/tmp/home"}],
        "resources": {"limits": {"cpu": "4", "memory": "8Gi"}},
        "gpu": {"count": 1, "product": "NVIDIA-L4"},
        "placement": {"nodeSelector": {"zone": "a"}, "priorityClassName": "high",
            "topologySpread": [{"topologyKey": "topology.kubernetes.io/zone"}]},
        "podTemplate": {"metadata": {"annotations": {"note": "patched"}}},
        "load": {"deadlineSeconds": 125},
    }

    an_image_on_vllm: {
        "source": {"image": {"reference": "registry.example.com/models/chat:1", "path": "weights", "pullPolicy": "Always"}},
        "engine": {"vllm": {"contextLength": 32768, "toolCallParser": "hermes", "args": ["--seed", "1"]}},
        "gpu": {"count": 2},
    }

    a_repository_on_vllm: {
        "source": {"huggingFace": {
            "repository": "example/model", "revision": "v1", "tokenSecret": {"secretRef": "tokens", "key": "hub"},
        }},
        "engine": {"vllm": {"tensorParallel": 4}},
        "resourceClaims": [{"name": "gpus", "claimTemplateName": "gpu"}],
        "cache": {"persistentVolumeClaim": {"size": "200Gi", "storageClassName": "fast", "accessMode": "ReadWriteMany",
            "whenDeleted": "Retain"}},
    }

    ollama: {"engine": {"ollama": {"model": "llama3.2:3b", "keepAliveSeconds": 600}}}

    a_service_elsewhere_has_no_objects: {"engine": {"external": {"url": "https://api.example.com/v1", "model": "gpt"}}}
}

#[rstest]
#[case::half_a_core(Some("500m"), Some(1))]
#[case::one_and_a_half(Some("1500m"), Some(1))]
#[case::two(Some("2"), Some(2))]
#[case::a_little_less_than_four(Some("3999m"), Some(3))]
#[case::no_limit(None, None)]
fn threads_are_the_whole_cores_of_the_limit_and_at_least_one(
    #[case] limit: Option<&str>,
    #[case] expected: Option<i64>,
) {
    let limits = limit.map(|amount| ("cpu".to_owned(), Quantity(amount.to_owned())));
    let resources = Resources { limits: limits.into_iter().collect(), ..Resources::default() };
    assert_eq!(threads(Some(&resources)), expected);
    assert_eq!(threads(None), None);
}

fn revision_of(spec: &Value) -> String {
    revision(&validate(spec).unwrap())
}

#[rstest]
#[case("replicas", json!(3))]
#[case("aliases", json!(["gpt"]))]
#[case("fallbacks", json!([{"modelRef": "small"}]))]
#[case("returnAfterSeconds", json!(5))]
#[case("egress", json!([{"name": "all", "cidrs": ["0.0.0.0/0"]}]))]
#[case("scaling", json!({"min": 0, "max": 4}))]
#[case("cache", json!({"persistentVolumeClaim": {"size": "40Gi"}}))]
#[case("load", json!({"downloadSeconds": 60}))]
fn an_edit_that_the_engine_does_not_see_leads_to_the_same_revision(
    #[case] field: &str,
    #[case] value: Value,
) {
    assert_eq!(revision_of(&with(field, value)), revision_of(&from_url()));
}

#[rstest]
#[case("engine", json!({"llamaCpp": {"contextLength": 64}}))]
#[case("engine", json!({"llamaCpp": {"image": "own:1"}}))]
#[case("source", json!({"url": {"url": "https://models.example.com/other.gguf", "sha256": SUM}}))]
#[case("env", json!([{"name": "A", "value": "1"}]))]
#[case("resources", json!({"limits": {"cpu": "4"}}))]
#[case("gpu", json!({"count": 1}))]
#[case("placement", json!({"nodeSelector": {"zone": "a"}}))]
#[case("load", json!({"deadlineSeconds": 61}))]
#[case("cache", json!({"emptyDir": {}}))]
fn an_edit_that_the_engine_sees_leads_to_another_revision(#[case] field: &str, #[case] value: Value) {
    assert_ne!(revision_of(&with(field, value)), revision_of(&from_url()));
}

/// The token is read by the download alone; a key in the environment by the engine.
#[test]
fn a_changed_secret_of_the_engine_makes_a_new_revision_and_one_of_the_download_a_new_download() {
    let mut spec = from_url();
    spec["source"]["url"]["tokenSecret"] = json!({"secretRef": "tokens", "key": "hub"});
    let found = |spec: &Value, token: &str| validate_with(&model(spec), token, &settings()).unwrap();
    let (one, two) = (found(&spec, "one"), found(&spec, "two"));
    assert_eq!(revision(&one), revision(&two));
    let job = |model: &ValidatedModel| render(model).job.unwrap().metadata.name;
    assert_ne!(job(&one), job(&two));
    let mut spec = from_url();
    spec["env"] = json!([{"name": "K", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "api"}}}]);
    let (one, two) = (found(&spec, "one"), found(&spec, "two"));
    assert_ne!(revision(&one), revision(&two));
    assert_eq!(job(&one), job(&two));
}

/// The label by which the pods of a template are found, if they are kept with the others that have it.
fn kept_with(template: &Value) -> Option<Value> {
    let terms =
        &template["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let term = terms.as_array()?.last()?;
    assert_eq!(term["topologyKey"], "kubernetes.io/hostname");
    let wanted = &term["labelSelector"]["matchLabels"]["portico.dev/model-volume"];
    assert_eq!(
        &template["metadata"]["labels"]["portico.dev/model-volume"], wanted,
        "the first pod must fit its own rule"
    );
    Some(wanted.clone())
}

fn templates(spec: &Value) -> (Value, Value) {
    let Desired { job, deployment, .. } = render(&validate(spec).unwrap());
    (json!(job)["spec"]["template"].clone(), json!(deployment)["spec"]["template"].clone())
}

#[test]
fn pods_that_share_a_volume_of_one_node_run_there_and_others_where_they_like() {
    let (download, engine) = templates(&from_url());
    let together = kept_with(&engine);
    assert!(together.is_some());
    assert_eq!(kept_with(&download), together);
    let (_, next) = templates(&with("engine", json!({"llamaCpp": {"contextLength": 64}})));
    assert_eq!(kept_with(&next), together, "the next revision of the same file");
    let other =
        with("source", json!({"url": {"url": "https://models.example.com/other.gguf", "sha256": SUM}}));
    assert_ne!(kept_with(&templates(&other).1), together, "another file lies on another volume");
    let everywhere =
        with("cache", json!({"persistentVolumeClaim": {"size": "1Gi", "accessMode": "ReadWriteMany"}}));
    assert_eq!(kept_with(&templates(&everywhere).1), None);
    assert_eq!(kept_with(&templates(&with("cache", json!({"emptyDir": {}}))).1), None);
    let on = |claim: &str| {
        templates(&json!({"source": {"claim": {"name": claim, "path": "a"}}, "engine": {"llamaCpp": {}}})).1
    };
    assert!(kept_with(&on("disk")).is_some());
    assert_eq!(kept_with(&on("models")), None);
}

#[test]
fn the_affinity_of_the_spec_stays_beside_the_rule_that_keeps_pods_together() {
    let rule = json!({"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "x"}}});
    let affinity = json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [rule]}});
    let (_, engine) = templates(&with("placement", json!({"affinity": affinity})));
    let terms = &engine["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    assert_eq!((terms[0]["topologyKey"].as_str(), terms.as_array().unwrap().len()), (Some("zone"), 2));
}

#[test]
fn a_newer_operator_restarts_no_engine_and_changes_no_download() {
    let newer = Settings { portico_image: "portico:newer".into(), ..settings() };
    let mut spec = from_url();
    spec["cache"] = json!({"emptyDir": {}});
    let (old, new) = (validate(&spec).unwrap(), validate_with(&model(&spec), "one", &newer).unwrap());
    assert_eq!(revision(&old), revision(&new));
    let live = render(&old).deployment.unwrap();
    assert_eq!(own_image(&new, Some(&live)), "portico:test");
    assert_eq!(own_image(&new, None), "portico:newer");
    let mut forged = live;
    forged.metadata.annotations.as_mut().unwrap().insert("portico.dev/image".into(), "evil:1".into());
    assert_eq!(own_image(&new, Some(&forged)), "portico:newer");
    let (old, new) =
        (validate(&from_url()).unwrap(), validate_with(&model(&from_url()), "one", &newer).unwrap());
    let (one, two) = (render(&old).job.unwrap(), render(&new).job.unwrap());
    assert_eq!(one.metadata.name, two.metadata.name);
    assert_eq!(fetch_image(&new, Some(&one)), "portico:test");
}

#[test]
fn a_restart_that_is_asked_for_replaces_the_pods_of_the_same_revision_and_starts_a_download_anew() {
    let plain = validate(&from_url()).unwrap();
    let mut asked = model(&from_url());
    asked.metadata.annotations = Some([("portico.dev/restarted-at".to_owned(), "noon".to_owned())].into());
    let asked = validate_with(&asked, "one", &settings()).unwrap();
    assert_eq!(revision(&plain), revision(&asked));
    let (before, after) = (render(&plain), render(&asked));
    let template = |desired: &Desired| desired.deployment.clone().unwrap().spec.unwrap().template;
    assert_ne!(template(&before), template(&after));
    assert_ne!(before.job.unwrap().metadata.name, after.job.unwrap().metadata.name);
}

#[test]
fn a_volume_never_shrinks_and_its_mark_goes_to_that_very_volume() {
    let big = validate(&with("cache", json!({"persistentVolumeClaim": {"size": "40Gi"}}))).unwrap();
    let small = validate(&with("cache", json!({"persistentVolumeClaim": {"size": "30000Mi"}}))).unwrap();
    let claim = |model: &ValidatedModel| render(model).claim.unwrap();
    let mut live = claim(&big);
    assert_eq!(live.metadata.name, claim(&small).metadata.name);
    live.metadata.uid = Some("uid-claim".into());
    let size = |claim: &_| json!(claim)["spec"]["resources"]["requests"]["storage"].clone();
    let written = beside(&small, claim(&small), Some(&live), false);
    assert_eq!((size(&written), written.metadata.uid), (json!("40Gi"), None));
    live.spec = claim(&small).spec;
    let written = beside(&big, claim(&big), Some(&live), true);
    assert_eq!((size(&written), written.metadata.uid.as_deref()), (json!("40Gi"), Some("uid-claim")));
    assert_eq!(beside(&big, claim(&big), None, true).metadata.annotations, None);
}

/// Tools that follow Git know their own by this label, and delete what is theirs and not in Git, unless it names an owner.
#[test]
fn a_volume_that_outlives_its_model_carries_no_label_that_gitops_tools_track_by() {
    let volume = |when: &str| {
        let cache = json!({"persistentVolumeClaim": {"size": "40Gi", "whenDeleted": when}});
        let model = validate(&with("cache", cache)).unwrap();
        let claim = render(&model).claim.unwrap();
        let mut live = claim.clone();
        live.metadata.uid = Some("uid-claim".into());
        json!(beside(&model, claim, Some(&live), true))["metadata"].clone()
    };
    let (kept, owned) = (volume("Retain"), volume("Delete"));
    assert_eq!(
        (&kept["ownerReferences"], &owned["ownerReferences"][0]["uid"]),
        (&Value::Null, &json!("uid-1"))
    );
    assert_eq!(owned["labels"]["app.kubernetes.io/instance"], "chat");
    assert_eq!(kept["labels"]["app.kubernetes.io/instance"], Value::Null);
    assert_eq!(kept["labels"]["portico.dev/instance"], "chat");
    assert_eq!(kept["annotations"]["argocd.argoproj.io/sync-options"], "Prune=false,Delete=false");
    assert!(kept["annotations"]["portico.dev/artifact"].is_string(), "the mark goes with it: {kept}");
}

#[test]
fn every_child_has_a_name_that_kubernetes_takes_however_long_the_models_is() {
    let mut long = model(&from_url());
    long.metadata.name = Some("a".repeat(50));
    let Desired { job, claim, deployment, .. } = render(&validate_with(&long, "one", &settings()).unwrap());
    // The name of a Job becomes a label of its pods.
    assert_eq!(job.unwrap().metadata.name.unwrap().len(), 63);
    assert!(claim.unwrap().metadata.name.unwrap().len() < 253);
    assert!(deployment.unwrap().metadata.name.unwrap().len() < 253);
}

/// What the watches rely on without looking.
#[test]
fn every_child_carries_the_labels_by_which_it_is_found_and_no_token_stands_in_any() {
    let mut spec = from_url();
    spec["source"]["url"]["tokenSecret"] = json!({"secretRef": "tokens", "key": "hub"});
    let model = validate_with(&model(&spec), "s3cret-value", &settings()).unwrap();
    let Desired { job, claim, deployment, .. } = render(&model);
    for object in [json!(job), json!(claim), json!(deployment), json!(service(&model, "x"))] {
        let labels = &object["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/managed-by"], "portico-operator");
        assert_eq!(labels["app.kubernetes.io/component"], "model");
        assert_eq!(labels["portico.dev/inference-model"], "chat");
        assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], "uid-1");
        assert!(!object.to_string().contains("s3cret-value"));
    }
}

#[test]
fn engines_and_downloads_are_reached_from_the_namespaces_that_the_operator_is_told() {
    let peers = Peers { gateway: Some("edge".into()), operator: Some("tools".into()) };
    let told = Settings { peers, ..settings() };
    let desired = render(&validate_with(&model(&from_url()), "one", &told).unwrap());
    let from = |policy: Value| policy["spec"]["ingress"][0]["from"][0]["namespaceSelector"].to_string();
    assert!(from(json!(desired.serving_policy)).contains("edge"));
    assert!(from(json!(desired.download_policy)).contains("tools"));
    let before = render(&validate(&from_url()).unwrap());
    assert_eq!((before.deployment, before.job), (desired.deployment, desired.job), "no pod restarts for it");
}
