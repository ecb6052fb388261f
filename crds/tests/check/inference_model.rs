//! Manifests of `InferenceModel`: each rule with one it takes and one it refuses.

use portico_crds::InferenceModel;
use portico_crds::inference_model::{Engine, Fallback, InferenceModelSpec, Trigger};
use serde_json::{Value, json};

use crate::verdict::{accepted, refused};

const SHA: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn model(spec: &Value) -> Value {
    json!({"apiVersion": "portico.dev/v1alpha1", "kind": "InferenceModel", "metadata": {"name": "small"}, "spec": spec})
}

fn url() -> Value {
    json!({"url": {"url": "https://models.example.com/small.gguf", "sha256": SHA}})
}

/// A good model with one field of its spec replaced.
fn with(field: &str, value: &Value) -> Value {
    let mut spec = json!({"source": url(), "engine": {"llamaCpp": {}}});
    spec[field] = value.clone();
    model(&spec)
}

fn of(engine: &Value, source: Option<Value>) -> Value {
    let mut spec = json!({"engine": engine});
    if let Some(source) = source {
        spec["source"] = source;
    }
    model(&spec)
}

#[test]
fn each_kind_of_source_is_accepted_and_two_at_once_are_not() {
    for source in [
        url(),
        json!({"url": {"url": "http://a.example/m", "sha256": SHA, "sizeBytes": 5_000_000_000_i64,
            "tokenSecret": {"secretRef": "s", "key": "token"}}}),
        json!({"huggingFace": {"repository": "ggml-org/gemma-3-4b-it-GGUF", "file": "q4/gemma-3-4b-it-Q4_K_M.gguf"}}),
        json!({"claim": {"name": "weights", "path": "small/model.gguf"}}),
        json!({"image": {"reference": "models/small@sha256:00", "path": "model.gguf", "pullPolicy": "IfNotPresent"}}),
    ] {
        accepted(&with("source", &source));
    }
    refused(&with("source", &json!({})), "`source` must have exactly one of");
    let mut two = url();
    two["claim"] = json!({"name": "a", "path": "b"});
    refused(&with("source", &two), "`source` must have exactly one of");
}

#[test]
fn each_engine_is_accepted_and_two_at_once_are_not() {
    accepted(&of(&json!({"llamaCpp": {"contextLength": 8192, "parallel": 4, "gpuLayers": 0}}), Some(url())));
    accepted(&of(&json!({"vllm": {"tensorParallel": 2, "toolCallParser": "hermes"}}), Some(url())));
    accepted(&of(&json!({"embedded": {}}), Some(url())));
    accepted(&of(&json!({"ollama": {"model": "library/llama3.2:3b", "keepAliveSeconds": 300}}), None));
    accepted(&of(&json!({"external": {"url": "https://api.example.com/v1", "model": "large"}}), None));
    refused(&of(&json!({}), Some(url())), "`engine` must have exactly one of");
    refused(&of(&json!({"embedded": {}, "vllm": {}}), Some(url())), "`engine` must have exactly one of");
}

#[test]
fn an_engine_that_loads_a_file_needs_a_source_and_one_that_names_its_model_takes_none() {
    for engine in [json!({"llamaCpp": {}}), json!({"vllm": {}}), json!({"embedded": {}})] {
        refused(&of(&engine, None), "`source` must be given");
    }
    let ollama = json!({"ollama": {"model": "llama3.2"}});
    let external = json!({"external": {"url": "https://api.example.com/v1", "model": "large"}});
    for engine in [ollama, external] {
        refused(&of(&engine, Some(url())), "`source` must be given");
    }
}

#[test]
fn only_vllm_loads_a_whole_repository() {
    let whole = json!({"huggingFace": {"repository": "a/b", "revision": "v1.0"}});
    accepted(&of(&json!({"vllm": {}}), Some(whole.clone())));
    refused(&of(&json!({"llamaCpp": {}}), Some(whole.clone())), "`source.huggingFace.file` must be given");
    let mut summed = whole;
    summed["huggingFace"]["sha256"] = json!(SHA);
    refused(&of(&json!({"vllm": {}}), Some(summed)), "`sha256` must be absent without `file`");
}

#[test]
fn a_url_is_one_and_holds_no_password() {
    let at = |url: &str| with("source", &json!({"url": {"url": url, "sha256": SHA}}));
    refused(&at("ftp://a.example/x"), "scheme 'http' or 'https'");
    refused(&at("https://user:secret@a.example/x"), "without user name");
    accepted(&at("https://a.example/files/@latest/x"));
    let to = |url: &str| of(&json!({"external": {"url": url, "model": "m"}}), None);
    refused(&to("file:///etc/passwd"), "scheme 'http' or 'https'");
    refused(&to("https://key@a.example/v1"), "without user name");
}

#[test]
fn a_path_stays_within_its_volume() {
    for path in ["../x", "/etc/passwd", "a//b", "a/../b", ""] {
        let message = if path.is_empty() { "must not be empty" } else { "must match" };
        refused(&with("source", &json!({"claim": {"name": "a", "path": path}})), message);
        refused(&with("source", &json!({"image": {"reference": "a", "path": path}})), message);
        refused(&with("source", &json!({"huggingFace": {"repository": "a/b", "file": path}})), message);
    }
}

#[test]
fn a_checksum_is_written_as_sha256sum_prints_it() {
    let summed =
        |sha256: &str| with("source", &json!({"url": {"url": "https://a.example/x", "sha256": sha256}}));
    refused(&summed("abc"), "at least 64 characters");
    refused(&summed(&SHA.to_uppercase()), "must match");
    refused(
        &with("source", &json!({"url": {"url": "https://a.example/x"}})),
        "spec.source.url.sha256: is required",
    );
}

#[test]
fn nothing_of_a_deployment_goes_with_a_model_that_runs_elsewhere() {
    for (field, value) in [
        ("replicas", json!(1)),
        ("env", json!([{"name": "A", "value": "1"}])),
        ("resources", json!({})),
        ("gpu", json!({"count": 1})),
        ("scaling", json!({"min": 0})),
        ("resourceClaims", json!([{"name": "a", "claimTemplateName": "b"}])),
        ("placement", json!({})),
        ("podTemplate", json!({})),
        ("egress", json!([{"name": "a", "cidrs": ["0.0.0.0/0"]}])),
        ("cache", json!({"emptyDir": {}})),
        ("load", json!({})),
    ] {
        let mut manifest = of(&json!({"external": {"url": "https://a.example/v1", "model": "m"}}), None);
        manifest["spec"][field] = value.clone();
        refused(&manifest, "nothing is deployed");
        accepted(&with(field, &value));
    }
}

#[test]
fn the_embedded_engine_takes_no_gpu() {
    for (field, value) in
        [("gpu", json!({"count": 1})), ("resourceClaims", json!([{"name": "a", "claimName": "b"}]))]
    {
        let mut manifest = of(&json!({"embedded": {}}), Some(url()));
        manifest["spec"][field] = value;
        refused(&manifest, "must be absent with `engine.embedded`");
    }
}

#[test]
fn devices_and_pods_are_counted_in_one_way() {
    let mut manifest = with("gpu", &json!({"count": 1}));
    manifest["spec"]["resourceClaims"] = json!([{"name": "a", "claimName": "b"}]);
    refused(&manifest, "at most one of `gpu` and `resourceClaims`");
    let mut manifest = with("replicas", &json!(2));
    manifest["spec"]["scaling"] = json!({"min": 0, "max": 3});
    refused(&manifest, "at most one of `replicas` and `scaling`");
}

#[test]
fn a_cache_is_one_kind_and_only_for_what_is_downloaded() {
    accepted(&with(
        "cache",
        &json!({"persistentVolumeClaim": {"size": "20Gi", "accessMode": "ReadWriteMany"}}),
    ));
    accepted(&with("cache", &json!({"emptyDir": {"sizeLimit": "2Gi"}})));
    refused(&with("cache", &json!({})), "`cache` must have exactly one of");
    let both = json!({"persistentVolumeClaim": {"size": "1Gi"}, "emptyDir": {}});
    refused(&with("cache", &both), "`cache` must have exactly one of");
    for source in
        [json!({"claim": {"name": "a", "path": "b"}}), json!({"image": {"reference": "a", "path": "b"}})]
    {
        let mut manifest = with("source", &source);
        manifest["spec"]["cache"] = json!({"emptyDir": {}});
        refused(&manifest, "which are volumes already");
    }
}

#[test]
fn a_cache_does_not_shrink() {
    let sized = |size: &Value| -> InferenceModel {
        serde_json::from_value(with("cache", &json!({"persistentVolumeClaim": {"size": size}}))).unwrap()
    };
    let small = sized(&json!("900Mi"));
    let large = sized(&json!("1Gi"));
    assert!(large.validate_cel_update(&small).is_ok());
    assert!(large.validate_cel_update(&large).is_ok());
    let error = small.validate_cel_update(&large).unwrap_err().to_string();
    assert!(error.contains("`size` must not become smaller"), "{error}");
}

#[test]
fn a_model_is_not_its_own_fallback_and_names_each_other_one_once() {
    accepted(&with(
        "fallbacks",
        &json!([{"modelRef": "tiny", "on": ["LoadFailed", "Overloaded"]}, {"modelRef": "remote"}]),
    ));
    refused(
        &with("fallbacks", &json!([{"modelRef": "tiny"}, {"modelRef": "small"}])),
        "one cannot step in for itself",
    );
    refused(
        &with("fallbacks", &json!([{"modelRef": "tiny"}, {"modelRef": "tiny"}])),
        "has the same modelRef",
    );
    refused(
        &with("fallbacks", &json!([{"modelRef": "tiny", "on": ["Timeout", "Timeout"]}])),
        "is in the list twice",
    );
    refused(&with("fallbacks", &json!([{"modelRef": "tiny", "on": ["timeout"]}])), "did you mean 'Timeout'?");
    let many: Vec<Value> = (0..9).map(|i| json!({"modelRef": format!("m{i}")})).collect();
    refused(&with("fallbacks", &json!(many)), "at most 8 are allowed");
}

#[test]
fn a_name_leaves_room_for_what_is_made_of_it() {
    let mut manifest = with("aliases", &json!(["gpt-small", "shop/small:latest"]));
    accepted(&manifest);
    manifest["metadata"]["name"] = json!("a".repeat(51));
    refused(&manifest, "at most 50 characters");
}

#[test]
fn what_a_manifest_leaves_out_has_a_documented_value() {
    let spec =
        |engine: Value| -> InferenceModelSpec { serde_json::from_value(json!({"engine": engine})).unwrap() };
    let llama = spec(json!({"llamaCpp": {}}));
    assert_eq!((llama.load_seconds(), llama.download_seconds(), llama.return_seconds()), (60, 21_600, 60));
    assert_eq!(llama.engine.llama_cpp.as_ref().map(|e| (e.context_length, e.parallel)), Some((4096, 1)));
    assert_eq!(spec(json!({"vllm": {}})).load_seconds(), 600);
    let mut quick = llama;
    quick.load = serde_json::from_value(json!({"deadlineSeconds": 5})).unwrap();
    assert_eq!(quick.load_seconds(), 5);
}

#[test]
fn each_engine_has_a_name_and_only_an_external_one_deploys_nothing() {
    for (engine, name, deployed) in [
        (json!({"llamaCpp": {}}), "LlamaCpp", true),
        (json!({"vllm": {}}), "Vllm", true),
        (json!({"ollama": {"model": "a"}}), "Ollama", true),
        (json!({"external": {"url": "https://a.example", "model": "a"}}), "External", false),
        (json!({"embedded": {}}), "Embedded", true),
    ] {
        let spec: InferenceModelSpec = serde_json::from_value(json!({"engine": engine})).unwrap();
        assert_eq!((spec.engine.name(), spec.is_deployed()), (Some(name), deployed));
    }
    assert_eq!(Engine::default().name(), None);
}

#[test]
fn a_fallback_without_triggers_steps_in_for_all() {
    let fallback = |on: &[Trigger]| Fallback { model_ref: "tiny".into(), on: on.to_vec() };
    assert!(fallback(&[]).steps_in(Trigger::BadOutput));
    assert!(fallback(&[Trigger::Timeout]).steps_in(Trigger::Timeout));
    assert!(!fallback(&[Trigger::Timeout]).steps_in(Trigger::Overloaded));
}
