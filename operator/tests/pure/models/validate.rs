//! What of a model is refused, and in which words.

use portico_operator::kind::Refusal;
use rstest::rstest;
use serde_json::{Value, json};

use super::{from_url, validate, with};

#[rstest]
#[case(with("env", json!([{"name": "OLLAMA_HOST", "value": "x"}])), "spec.env[0].name: 'OLLAMA_HOST' is set by the operator")]
#[case(with("podTemplate", json!({"spec": {"containers": "x"}})), "spec.podTemplate: ")]
#[case(with("placement", json!({"affinity": {"podAffinity": 1}})), "spec.placement.affinity: ")]
#[case(json!({"engine": {}}), "spec.source: has no known member")]
fn a_fault_names_its_field(#[case] spec: Value, #[case] expected: &str) {
    let refusal = validate(&spec).unwrap_err();
    assert!(matches!(refusal, Refusal::Invalid(_)), "{refusal:?}");
    assert!(refusal.to_string().starts_with(expected), "{refusal}");
}

#[rstest]
#[case(
    json!({"source": {"claim": {"name": "none", "path": "x"}}, "engine": {"llamaCpp": {}}}),
    "spec.source.claim.name: PersistentVolumeClaim 'none' does not exist"
)]
#[case(
    json!({"engine": {"external": {"url": "https://a.example/v1", "model": "x", "apiKey": {"secretRef": "keys", "key": "no"}}}}),
    "spec.engine.external.apiKey: Secret 'keys' has no key 'no'"
)]
#[case(
    with("source", json!({"huggingFace": {"repository": "a/b", "file": "c", "tokenSecret": {"secretRef": "no", "key": "k"}}})),
    "spec.source.huggingFace.tokenSecret: Secret 'no' does not exist"
)]
#[case(
    with("fallbacks", json!([{"modelRef": "small"}, {"modelRef": "gone"}])),
    "spec.fallbacks[1].modelRef: InferenceModel 'gone' does not exist"
)]
fn a_reference_that_leads_nowhere_names_its_field(#[case] spec: Value, #[case] expected: &str) {
    let refusal = validate(&spec).unwrap_err();
    assert!(matches!(refusal, Refusal::Missing(_)), "{refusal:?}");
    assert!(refusal.to_string().starts_with(expected), "{refusal}");
}

#[test]
fn the_embedded_engine_is_not_included_yet() {
    let refusal = validate(&json!({"source": from_url()["source"], "engine": {"embedded": {}}})).unwrap_err();
    assert!(matches!(refusal, Refusal::NotIncluded(_)), "{refusal:?}");
    assert!(refusal.to_string().starts_with("spec.engine.embedded: "), "{refusal}");
}
