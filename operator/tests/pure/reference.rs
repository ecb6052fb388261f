//! The digest by which changed Secrets and ConfigMaps roll the pods.

use portico_operator::mcp_server::reference::references;
use portico_operator::reference::{Kind, References};
use serde_json::{Value, json};

use super::{cluster, content, server};

fn digest(spec: &Value, secret: &[(&str, &str)]) -> String {
    let server = server(spec);
    let mut cluster = cluster();
    cluster.insert((Kind::Secret, "keys".to_owned()), content(secret));
    let files = server.spec.config_files.iter().map(|file| (file.path.as_str(), file.content.as_str()));
    References::resolve(references(&server.spec), &cluster).digest(files)
}

#[test]
fn only_a_key_that_is_read_changes_the_digest() {
    let env = json!([{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "api"}}}]);
    let spec = json!({"source": {"image": {"name": "a"}}, "env": env});
    let first = digest(&spec, &[("api", "one"), ("other", "x")]);
    assert_eq!(digest(&spec, &[("api", "one"), ("other", "y")]), first);
    assert_ne!(digest(&spec, &[("api", "two"), ("other", "x")]), first);
}

#[test]
fn every_key_counts_where_the_whole_object_is_read_and_keys_do_not_run_into_values() {
    let spec = json!({"source": {"image": {"name": "a"}}, "envFrom": [{"secretRef": "keys"}]});
    let first = digest(&spec, &[("ab", "c")]);
    assert_ne!(digest(&spec, &[("a", "bc")]), first);
    assert_ne!(digest(&spec, &[("ab", "c"), ("d", "")]), first);
}

#[test]
fn the_text_of_a_config_file_counts() {
    let spec = |text: &str| json!({"source": {"image": {"name": "a"}}, "configFiles": [{"path": "/a", "content": text}]});
    assert_ne!(digest(&spec("one"), &[]), digest(&spec("two"), &[]));
}

#[test]
fn a_secret_that_the_server_reads_again_by_itself_does_not_count() {
    let spec = |on_change: &str| {
        json!({"source": {"image": {"name": "a"}},
            "secretMounts": [{"secretRef": "keys", "mountPath": "/k", "onChange": on_change}]})
    };
    let digests =
        |on_change: &str| [digest(&spec(on_change), &[("a", "1")]), digest(&spec(on_change), &[("a", "2")])];
    let [one, two] = digests("Reread");
    assert_eq!(one, two);
    let [one, two] = digests("Restart");
    assert_ne!(one, two);
}

#[test]
fn a_credential_of_the_gateway_must_exist_and_its_change_rolls_no_pod() {
    let auth = |name: &str| json!({"header": {"secretKeyRef": {"name": name, "key": "api"}}});
    let spec = json!({"source": {"image": {"name": "a"}}, "upstreamAuth": auth("keys")});
    assert_eq!(digest(&spec, &[("api", "1")]), digest(&spec, &[("api", "2")]));
    let missing = super::validate(&json!({"source": {"image": {"name": "a"}}, "upstreamAuth": auth("gone")}));
    let said = missing.map_or_else(|refusal| refusal.to_string(), |_| String::new());
    assert!(said.contains("spec.upstreamAuth.header.secretKeyRef: Secret 'gone' does not exist"), "{said}");
}
