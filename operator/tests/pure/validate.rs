//! What a spec may not say although the schema takes it.

use portico_operator::kind::Refusal;
use portico_operator::mcp_server::validate::{Program, ValidatedServer};
use rstest::rstest;
use serde_json::{Value, json};

use super::validate;

fn with(field: &str, value: Value) -> Value {
    let mut spec = json!({"source": {"image": {"name": "example:1"}}});
    spec[field] = value;
    spec
}

fn words(spec: &Value) -> String {
    validate(spec).map_or_else(|error| error.to_string(), |_| String::new())
}

#[rstest]
#[case::reserved_variable(with("env", json!([{"name": "PORT", "value": "1"}])), "spec.env[0].name: 'PORT' is set by the operator")]
#[case::stdio_without_command(with("transport", json!("Stdio")), "spec.source.image.command: must name the program")]
#[case::patch_of_another_type(with("podTemplate", json!({"spec": {"containers": "x"}})), "spec.podTemplate: ")]
#[case::affinity_of_another_type(with("placement", json!({"affinity": {"nodeAffinity": 1}})), "spec.placement.affinity: ")]
#[case::shared_path(
    with("secretMounts", json!([{"secretRef": "keys", "mountPath": "/a"}, {"secretRef": "keys", "mountPath": "/a/"}])),
    "spec.secretMounts[1].mountPath: '/a/' is mounted twice"
)]
fn a_faulty_spec_is_refused_by_field(#[case] spec: Value, #[case] expected: &str) {
    assert!(matches!(validate(&spec), Err(Refusal::Invalid(_))));
    assert!(words(&spec).contains(expected), "{}", words(&spec));
}

#[test]
fn every_fault_is_told_at_once() {
    let mut spec = with("env", json!([{"name": "PORT", "value": "1"}, {"name": "HOST", "value": "1"}]));
    spec["transport"] = json!("Stdio");
    let said = words(&spec);
    assert_eq!(said.matches("spec.").count() - said.matches("`spec.").count(), 3, "{said}");
}

#[rstest]
#[case::no_object(json!([{"secretRef": "gone"}]), "spec.envFrom[0].secretRef: Secret 'gone' does not exist in this namespace; create it")]
#[case::other_kind(json!([{"configMapRef": "keys"}]), "spec.envFrom[0].configMapRef: ConfigMap 'keys' does not exist")]
fn a_reference_that_leads_nowhere_is_named(#[case] env_from: Value, #[case] expected: &str) {
    let spec = with("envFrom", env_from);
    assert!(matches!(validate(&spec), Err(Refusal::Missing(_))));
    assert!(words(&spec).contains(expected), "{}", words(&spec));
}

#[test]
fn a_key_that_a_secret_lacks_is_named() {
    let spec =
        with("env", json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "none"}}}]));
    let expected = "spec.env[0].valueFrom.secretKeyRef: Secret 'keys' has no key 'none'; add the key";
    assert_eq!(words(&spec), expected);
}

#[test]
fn a_package_runs_at_its_exact_version() {
    let spec = json!({"source": {"package": {"name": "npm:@scope/server", "version": "1.2.3"}}});
    let ValidatedServer { program, .. } = validate(&spec).unwrap();
    let Program::Stdio { image, command, .. } = program else { unreachable!("a package speaks stdio") };
    assert_eq!((image.as_str(), command.join(" ").as_str()), ("node:test", "npx --yes @scope/server@1.2.3"));
}

#[test]
fn a_service_of_the_namespace_is_reached_by_its_name() {
    let spec = json!({"source": {"service": {"name": "there", "port": 81}}, "path": "/x"});
    let url = "http://there.store.svc:81/x".to_owned();
    assert_eq!(validate(&spec).unwrap().program, Program::Elsewhere { url });
}

#[test]
fn a_port_that_a_service_lacks_and_a_claim_that_is_not_there_are_named() {
    let spec = json!({"source": {"service": {"name": "there", "port": 9}}});
    assert_eq!(words(&spec), "spec.source.service: Service 'there' has no port 9; name one that it has");
    let spec = with("resourceClaims", json!([{"name": "gpu", "claimTemplateName": "none"}]));
    let expected = "spec.resourceClaims[0].claimTemplateName: ResourceClaimTemplate 'none' does not exist in this \
                    namespace; create it";
    assert_eq!(words(&spec), expected);
}
