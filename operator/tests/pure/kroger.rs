//! `KrogerIntegration`: what is rendered, and what the status says.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use portico_crds::check::check;
use portico_crds::kroger_integration::Keys;
use portico_crds::{KrogerIntegration, KrogerIntegrationStatus};
use portico_operator::checks::{Check, State};
use portico_operator::kind::{Kind as _, Outcome, RECHECK, Refusal};
use portico_operator::kroger_integration::KrogerIntegrations;
use portico_operator::kroger_integration::keyring::Keyring;
use portico_operator::kroger_integration::reference::references;
use portico_operator::kroger_integration::render::{claim, new_keys, server};
use portico_operator::kroger_integration::status::{Applied, Credentials, status};
use portico_operator::kroger_integration::validate::{ValidatedIntegration, validate as validated};
use portico_operator::reference::{Content, Kind, References};
use portico_operator::rendered::RenderedServer;
use rstest::rstest;
use serde_json::{Value, json};

use super::content;

fn integration(spec: &Value) -> KrogerIntegration {
    serde_json::from_value(json!({
        "apiVersion": "portico.dev/v1alpha1", "kind": "KrogerIntegration",
        "metadata": {"name": "shop", "namespace": "store", "uid": "uid-1", "generation": 3},
        "spec": spec,
    }))
    .unwrap()
}

fn cluster() -> BTreeMap<(Kind, String), Content> {
    BTreeMap::from([
        ((Kind::Secret, "kroger".to_owned()), content(&[("client-id", "a"), ("client-secret", "b")])),
        (
            (Kind::Secret, "database".to_owned()),
            content(&[("url", "postgres://a/x"), ("replica", " postgresql://b/x")]),
        ),
        ((Kind::Secret, "redis".to_owned()), content(&[("url", "rediss://a")])),
        ((Kind::Secret, "sentry".to_owned()), content(&[("dsn", "a")])),
        ((Kind::Volume, "own".to_owned()), Content::new()),
    ])
}

pub(crate) fn validate(spec: &Value) -> Result<ValidatedIntegration, Refusal> {
    let integration = integration(spec);
    validated(&integration, &References::resolve(references(&integration.spec), &cluster()))
}

pub(crate) fn minimal() -> Value {
    json!({"credentials": {"secretRef": "kroger"}})
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_750_000_000).unwrap()
}

/// In the order in which they are applied.
fn objects(spec: &Value) -> Vec<Value> {
    let valid = validate(spec).unwrap();
    let keys = new_keys(&valid, &Keyring::first(now(), &[1; 32]));
    let all = [json!(keys), json!(claim(&valid)), json!(server(&valid))];
    all.into_iter().filter(|object| !object.is_null()).collect()
}

fn everything() -> Value {
    json!({
        "credentials": {"secretRef": "kroger"},
        "environment": "Custom",
        "baseUrl": "http://standin:9300",
        "defaultStore": {"locationId": "01400376"},
        "limits": {"requestsPerMinute": 30, "dailyRequests": {"products": 1}},
        "storage": {"postgresql": {"secretRef": "database", "readReplicaKey": "replica"}},
        "cache": {"redis": {"secretRef": "redis"}},
        "redirectUri": "https://shop.example/auth/callback",
        "rights": "Partner",
        "prices": "Record",
        "sessionKeys": {"rotateEveryDays": 90, "retainDays": 7},
        "logLevel": "Debug",
        "sentry": {"secretRef": "sentry", "key": "dsn"},
        "server": {
            "replicas": 3,
            "resources": {"limits": {"memory": "1Gi"}},
            "placement": {"nodeSelector": {"zone": "a"}},
            "egress": [{"name": "database", "podLabels": {"app": "database"}}],
            "tools": {"exclude": ["manage_cart"]},
            "timeouts": {"callSeconds": 5},
            "env": [{"name": "LOG_LEVEL", "value": "portico=trace"}, {"name": "A", "value": "1"}],
            "podTemplate": {"spec": {"terminationGracePeriodSeconds": 5}},
        },
    })
}

#[test]
fn an_integration_with_nothing_but_credentials() {
    insta::assert_yaml_snapshot!("kroger_with_nothing_but_credentials", objects(&minimal()));
}

#[test]
fn an_integration_with_everything() {
    insta::assert_yaml_snapshot!("kroger_with_everything", objects(&everything()));
}

#[test]
fn a_volume_that_goes_with_its_integration() {
    let mut spec = minimal();
    spec["storage"] =
        json!({"embedded": {"size": "5Gi", "storageClassName": "fast", "whenDeleted": "Delete"}});
    spec["cache"] = json!({"memory": {"sizeMebibytes": 16}});
    insta::assert_yaml_snapshot!("kroger_with_a_volume_of_its_own", objects(&spec));
}

#[test]
fn a_volume_of_somebody_else_is_mounted_and_not_made() {
    let mut spec = minimal();
    spec["storage"] = json!({"embedded": {"claimRef": "own"}});
    let valid = validate(&spec).unwrap();
    assert_eq!(claim(&valid), None);
    assert_eq!(server(&valid).spec["volumes"][0]["claimRef"], "own");
    assert_eq!(server(&valid).spec["replicas"], 1);
}

#[rstest]
#[case(minimal())]
#[case(everything())]
fn the_rendered_server_is_one_that_the_api_server_takes(#[case] spec: Value) {
    let rendered = json!(server(&validate(&spec).unwrap()));
    assert_eq!(
        check(&rendered).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
}

#[rstest]
#[case(json!({"env": [{"name": "A", "value": ""}, {"name": "PORT", "value": "1"}]}),
    "spec.server.env[1].name: 'PORT' is set by the operator; remove the entry")]
#[case(json!({"podTemplate": {"spec": {"containers": 5}}}), "spec.server.podTemplate: ")]
#[case(json!({"placement": {"affinity": {"nodeAffinity": 5}}}), "spec.server.placement.affinity: ")]
fn what_a_server_would_refuse_is_told_with_the_field_that_led_to_it(
    #[case] server: Value,
    #[case] fault: &str,
) {
    let mut spec = minimal();
    spec["server"] = server;
    let refusal = validate(&spec).unwrap_err();
    assert!(matches!(&refusal, Refusal::Invalid(_)) && refusal.to_string().starts_with(fault), "{refusal}");
}

#[test]
fn more_destinations_than_a_server_may_have_are_refused() {
    let with = |count: usize| {
        let entry = |i| json!({"name": format!("d{i}"), "podLabels": {"app": "a"}});
        let mut spec = minimal();
        spec["server"] = json!({"egress": (0..count).map(entry).collect::<Vec<_>>()});
        validate(&spec)
    };
    assert!(with(31).is_ok());
    let refusal = with(32).unwrap_err().to_string();
    assert!(refusal.starts_with("spec.server.egress: has 32 entries, and the operator adds 1"), "{refusal}");
}

#[test]
fn every_secret_and_claim_is_found_with_its_field() {
    let fields = |spec: &Value| {
        references(&integration(spec).spec).into_iter().map(|reference| reference.field).collect::<Vec<_>>()
    };
    let expected = [
        "spec.credentials.clientIdKey",
        "spec.credentials.clientSecretKey",
        "spec.storage.postgresql.key",
        "spec.storage.postgresql.readReplicaKey",
        "spec.cache.redis",
        "spec.sentry",
    ];
    assert_eq!(fields(&everything()), expected);
    let mut spec = minimal();
    spec["storage"] = json!({"embedded": {"claimRef": "own"}});
    spec["server"] =
        json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}}]});
    assert_eq!(
        fields(&spec)[2..],
        ["spec.storage.embedded.claimRef", "spec.server.env[0].valueFrom.secretKeyRef"]
    );
}

#[rstest]
#[case("database", &[("url", ""), ("replica", "postgres://b")], "spec.storage.postgresql.key: the value of the key 'url' of Secret \
    'database' does not begin with postgres:// or postgresql://; correct it")]
#[case("database", &[("url", "  \n"), ("replica", "postgres://b")], "spec.storage.postgresql.key: ")]
#[case("database", &[("url", "postgres:/secret"), ("replica", "postgres://b")], "spec.storage.postgresql.key: ")]
#[case("database", &[("url", "sqlite::memory:secret"), ("replica", "postgres://b")], "spec.storage.postgresql.key: ")]
#[case("database", &[("url", "postgres://a"), ("replica", "secret")], "spec.storage.postgresql.readReplicaKey: ")]
#[case("redis", &[("url", "secret.example:6379")], "spec.cache.redis: the value of the key 'url' of Secret 'redis' does not \
    begin with redis:// or rediss:// or valkey:// or valkeys://; correct it")]
fn a_url_that_servers_would_not_keep_anything_at_is_refused_and_not_told(
    #[case] secret: &str,
    #[case] values: &[(&str, &str)],
    #[case] told: &str,
) {
    let mut found = cluster();
    found.insert((Kind::Secret, secret.to_owned()), content(values));
    let integration = integration(&everything());
    let refusal =
        validated(&integration, &References::resolve(references(&integration.spec), &found)).unwrap_err();
    assert!(matches!(refusal, Refusal::Missing(_)), "{refusal:?}");
    assert!(refusal.to_string().starts_with(told), "{refusal}");
    let status = status(&integration, &Outcome::Refused(&refusal), now());
    assert!(
        said(&status, "ResolvedRefs").starts_with("False ReferenceNotFound: "),
        "{}",
        said(&status, "ResolvedRefs")
    );
    assert!(!format!("{refusal:?} {status:?}").contains("secret."), "the value is told");
    assert!(!format!("{refusal:?} {status:?}").contains("memory"), "the value is told");
}

/// Tools that follow Git know their own by this label, and delete what is theirs and not in Git, unless it names an owner.
#[test]
fn what_names_no_owner_carries_no_label_that_gitops_tools_track_by() {
    let mut volume = minimal();
    volume["storage"] = json!({"embedded": {"size": "5Gi", "whenDeleted": "Delete"}});
    let all: Vec<Value> = [minimal(), everything(), volume].iter().flat_map(objects).collect();
    let (owned, free): (Vec<&Value>, Vec<&Value>) =
        all.iter().partition(|object| object["metadata"]["ownerReferences"].is_array());
    assert_eq!((owned.len(), free.len()), (4, 4));
    for object in free {
        assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/instance"], Value::Null, "{object}");
        assert_eq!(object["metadata"]["labels"]["portico.dev/instance"], "shop", "{object}");
        let keeps = &object["metadata"]["annotations"]["argocd.argoproj.io/sync-options"];
        assert_eq!(keeps, "Prune=false,Delete=false", "{object}");
    }
}

pub(crate) fn serving(ready: &str, reason: &str, stalled: &str) -> RenderedServer {
    let condition = |kind: &str, status: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": "said it",
            "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    let mut server = server(&validate(&minimal()).unwrap());
    server.metadata.generation = Some(2);
    server.status = json!({"observedGeneration": 2, "url": "http://there/mcp",
        "conditions": [condition("Ready", ready), condition("Stalled", stalled)]});
    server
}

fn applied(server: RenderedServer, credentials: Credentials) -> Applied {
    let keys = Keys { current: Some("k".to_owned()), rotated_for: None };
    Applied { keys: Ok(keys), server: Some(server), credentials, until_next: None }
}

fn after(applied: &Applied) -> KrogerIntegrationStatus {
    status(&integration(&minimal()), &Outcome::Applied(applied), now())
}

fn said(status: &KrogerIntegrationStatus, kind: &str) -> String {
    let found = status.conditions.iter().find(|condition| condition.type_ == kind).unwrap();
    format!("{} {}: {}", found.status, found.reason, found.message)
}

fn accepted() -> Credentials {
    Credentials::Accepted("fine".to_owned())
}

#[rstest]
#[case::serving(serving("True", "RolledOut", "False"), accepted(), "True ServersReady", "")]
#[case::rolling(
    serving("False", "RollingOut", "False"),
    accepted(),
    "False ServersNotReady: McpServer 'shop-kroger' is not ready: RollingOut: said it",
    "Reconciling"
)]
#[case::failed(serving("False", "RolloutFailed", "True"), accepted(), "False ServersNotReady", "Stalled")]
#[case::unseen(RenderedServer { status: Value::Null, ..serving("True", "", "False") }, accepted(),
    "False ServersNotReady", "Reconciling")]
#[case::refused(serving("True", "RolledOut", "False"), Credentials::Refused("no".to_owned()),
    "False CredentialsRefused: no", "Stalled")]
#[case::asked(
    serving("True", "RolledOut", "False"),
    Credentials::Asked,
    "False CredentialsUnchecked",
    "Reconciling"
)]
#[case::away(serving("True", "RolledOut", "False"), Credentials::Unreachable("away".to_owned()),
    "True ServersReady", "")]
#[case::silent(
    serving("True", "RolledOut", "False"),
    Credentials::Unknown("silent"),
    "True ServersReady",
    ""
)]
fn ready_follows_from_the_server_and_from_refused_credentials(
    #[case] server: RenderedServer,
    #[case] credentials: Credentials,
    #[case] ready: &str,
    #[case] abnormal: &str,
) {
    let status = after(&applied(server, credentials));
    assert!(said(&status, "Ready").starts_with(ready), "{}", said(&status, "Ready"));
    for kind in ["Reconciling", "Stalled"] {
        assert_eq!(said(&status, kind).starts_with("True"), kind == abnormal, "{kind}");
    }
}

#[test]
fn keys_that_cannot_be_read_stall_and_keep_what_was_known() {
    let mut resource = integration(&minimal());
    resource.status = Some(after(&applied(serving("True", "RolledOut", "False"), accepted())));
    let broken = Applied {
        keys: Err("broken".to_owned()),
        server: None,
        credentials: Credentials::Unknown("x"),
        until_next: None,
    };
    let status = status(&resource, &Outcome::Applied(&broken), now());
    assert_eq!(said(&status, "Ready"), "False KeysUnreadable: broken");
    assert_eq!(said(&status, "Stalled"), "True KeysUnreadable: broken");
    assert_eq!(
        (status.server.as_deref(), status.url.as_deref()),
        (Some("shop-kroger"), Some("http://there/mcp"))
    );
}

#[test]
fn a_second_look_at_the_same_things_changes_nothing() {
    let mut resource = integration(&minimal());
    let applied = applied(serving("False", "RollingOut", "False"), accepted());
    resource.status = Some(status(&resource, &Outcome::Applied(&applied), now()));
    let later = Timestamp::from_second(1_800_000_000).unwrap();
    assert_eq!(resource.status, Some(status(&resource, &Outcome::Applied(&applied), later)));
}

#[rstest]
#[case(State::Ok, "Accepted", "True CredentialsAccepted: said")]
#[case(State::Failing, "Refused", "False CredentialsRefused: said")]
#[case(State::Failing, "Unreachable", "Unknown UpstreamUnreachable: said")]
#[case(State::Failing, "SomethingNew", "Unknown UpstreamUnreachable: said")]
#[case(State::Unknown, "", "Unknown CredentialsUnchecked")]
fn a_check_becomes_a_condition(#[case] state: State, #[case] reason: &str, #[case] expected: &str) {
    let check = Check { name: "credentials".into(), state, reason: reason.into(), message: "said".into() };
    let credentials = Credentials::from_checks(Some(&[check]));
    let status = after(&applied(serving("True", "RolledOut", "False"), credentials));
    assert!(said(&status, "CredentialsValid").starts_with(expected), "{}", said(&status, "CredentialsValid"));
}

#[test]
fn no_answer_and_an_answer_without_the_check_are_unknown() {
    for checks in [None, Some(Vec::new())] {
        let credentials = Credentials::from_checks(checks.as_deref());
        assert!(matches!(credentials, Credentials::Unknown(_)), "{credentials:?}");
    }
}

#[test]
fn a_restart_that_is_asked_of_the_integration_is_asked_of_its_server() {
    let mut asked = integration(&minimal());
    let note = [("portico.dev/restarted-at".to_owned(), "today".to_owned())];
    asked.metadata.annotations = Some(note.clone().into());
    let valid = validated(&asked, &References::resolve(references(&asked.spec), &cluster())).unwrap();
    assert_eq!(server(&valid).metadata.annotations, Some(note.into()));
    assert_eq!(server(&validate(&minimal()).unwrap()).metadata.annotations, None);
}

#[test]
fn a_server_at_zero_is_not_asked_and_its_credentials_are_unknown_on_purpose() {
    let zero = serving("True", "ScaledToZero", "False");
    assert!(zero.is_at_zero() && !serving("True", "RolledOut", "False").is_at_zero());
    assert!(!serving("False", "ScaledToZero", "False").is_at_zero());
    let found = applied(zero, Credentials::NotWanted);
    assert_eq!(said(&after(&found), "CredentialsValid"), "Unknown ScaledToZero: No pod is wanted");
    assert!(said(&after(&found), "Ready").starts_with("True "));
    // Nor is it looked at every half minute.
    assert_eq!(KrogerIntegrations::again(&found), RECHECK);
}
