//! The Secret with the keys of a `KrogerIntegration`: made, replaced, mended, or left alone.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use portico_operator::kroger_integration::keyring::Keyring;
use portico_operator::kroger_integration::keys::{Step, decide};
use portico_operator::kroger_integration::render::new_keys;
use portico_operator::rendered::RenderedServer;
use serde_json::json;

use super::kroger::{minimal, now, serving, validate};

#[test]
fn a_secret_of_an_older_version_is_known_and_loses_once_the_label_that_gitops_tools_track_by() {
    let valid = validate(&minimal()).unwrap();
    let mut older = made();
    let old = valid.owner.meta(String::new()).labels.unwrap();
    older.metadata.labels = Some(old.clone());
    older.metadata.annotations = Some(BTreeMap::from([("backup".to_owned(), "nightly".to_owned())]));
    let Step::Mend(mended) = decide(&valid, Some(&older), None, now(), &[2; 32]) else {
        panic!("it is left as it was")
    };
    assert_eq!((&mended.metadata.labels, &mended.data), (&made().metadata.labels, &older.data));
    assert_eq!(mended.metadata.annotations.as_ref().unwrap()["backup"], "nightly");
    assert_eq!(mended.metadata.annotations.as_ref().unwrap().len(), 2);
    // What somebody sets after that is theirs.
    let mut set = *mended;
    set.metadata.labels.as_mut().unwrap().extend(old);
    set.metadata
        .annotations
        .as_mut()
        .unwrap()
        .insert("argocd.argoproj.io/sync-options".to_owned(), "Prune=false".to_owned());
    assert!(matches!(decide(&valid, Some(&set), None, now(), &[2; 32]), Step::Keep(_)));
    older
        .metadata
        .labels
        .as_mut()
        .unwrap()
        .insert("app.kubernetes.io/instance".to_owned(), "other".to_owned());
    assert!(matches!(decide(&valid, Some(&older), None, now(), &[2; 32]), Step::Taken));
}

fn made() -> Secret {
    let mut secret = new_keys(&validate(&minimal()).unwrap(), &Keyring::first(now(), &[1; 32]));
    secret.metadata.resource_version = Some("7".to_owned());
    secret
}

#[test]
fn a_wish_that_came_with_the_integration_is_answered_by_the_first_key() {
    let mut valid = validate(&minimal()).unwrap();
    valid.rotate_keys = Some("one".to_owned());
    let Step::Create(secret) = decide(&valid, None, None, now(), &[1; 32]) else {
        panic!("it is not created")
    };
    let Step::Keep(settled) = decide(&valid, Some(&secret), None, now(), &[2; 32]) else {
        panic!("it is rotated")
    };
    assert_eq!(settled.keys.rotated_for.as_deref(), Some("one"));
    valid.rotate_keys = Some("two".to_owned());
    let Step::Rotate(secret) = decide(&valid, Some(&secret), None, now(), &[2; 32]) else {
        panic!("it is kept")
    };
    assert!(matches!(decide(&valid, Some(&secret), None, now(), &[3; 32]), Step::Keep(_)));
}

#[test]
fn an_old_key_goes_by_itself_and_never_before_a_server_had_the_time_to_seal_again() {
    let day = |days: i64| Timestamp::from_second(1_750_000_000 + days * 86_400).unwrap();
    let mut valid = validate(&minimal()).unwrap();
    valid.rotate_keys = Some("one".to_owned());
    let Step::Rotate(secret) = decide(&valid, Some(&made()), None, day(0), &[2; 32]) else {
        panic!("it is kept")
    };
    let mut server = serving("True", "RolledOut", "False");
    let since = |server: &mut RenderedServer, available: &str, since: Timestamp| {
        server.status["conditions"][0] = json!({"type": "Available", "status": available, "reason": "a", "message": "",
            "lastTransitionTime": since.to_string()});
        server.serving_since()
    };
    let at = |since: Option<Timestamp>, now: Timestamp| decide(&valid, Some(&secret), since, now, &[3; 32]);
    assert!(matches!(at(since(&mut server, "True", day(0)), day(30)), Step::Keep(_)), "ten minutes are left");
    assert!(matches!(at(since(&mut server, "False", day(0)), day(400)), Step::Keep(_)), "nobody serves");
    assert!(
        matches!(at(since(&mut server, "True", day(400)), day(400)), Step::Keep(_)),
        "it has just begun to serve"
    );
    let Step::Rotate(trimmed) = at(since(&mut server, "True", day(0)), day(31)) else { panic!("it stays") };
    let keyring = |secret: &Secret| Keyring::read(&secret.data.as_ref().unwrap()["keyring.json"].0).unwrap();
    assert_eq!(keyring(&trimmed).keys, keyring(&secret).keys[1..]);
    assert_eq!(trimmed.metadata, secret.metadata, "nothing else is noted");
}

/// The version goes along, so that the API server refuses the write where somebody else was faster.
#[test]
fn a_secret_is_replaced_under_the_version_it_was_read_at() {
    let mut valid = validate(&minimal()).unwrap();
    valid.rotate_keys = Some("one".to_owned());
    let Step::Rotate(secret) = decide(&valid, Some(&made()), None, now(), &[2; 32]) else {
        panic!("it is kept")
    };
    assert_eq!(secret.metadata.resource_version.as_deref(), Some("7"));
}

#[test]
fn a_secret_is_known_without_owner_or_labels_by_who_wrote_it_and_is_somebody_elses_else() {
    let valid = validate(&minimal()).unwrap();
    let mut bare = made();
    bare.metadata.labels = None;
    assert!(matches!(decide(&valid, Some(&bare), None, now(), &[2; 32]), Step::Taken));
    bare.metadata.managed_fields = Some(vec![ManagedFieldsEntry {
        manager: Some("portico-operator".to_owned()),
        ..ManagedFieldsEntry::default()
    }]);
    assert!(matches!(decide(&valid, Some(&bare), None, now(), &[2; 32]), Step::Mend(_)));
}

#[test]
fn a_secret_outlives_its_integration_and_is_somebody_elses_with_another_owner() {
    let valid = validate(&minimal()).unwrap();
    let owned = |uid: &str| {
        let mut secret = made();
        secret.metadata.owner_references = valid.owner.meta(String::new()).owner_references;
        secret.metadata.owner_references.as_mut().unwrap()[0].uid = uid.to_owned();
        decide(&valid, Some(&secret), None, now(), &[2; 32])
    };
    assert_eq!(made().metadata.owner_references, None);
    assert!(matches!(owned("uid-1"), Step::Keep(_)), "as an older version made it");
    assert!(matches!(owned("x"), Step::Taken));
    let mut empty = made();
    empty.data = None;
    assert!(matches!(decide(&valid, Some(&empty), None, now(), &[2; 32]), Step::Unreadable(_)));
    empty.metadata = made_by_somebody();
    assert!(matches!(decide(&valid, Some(&empty), None, now(), &[2; 32]), Step::Taken));
}

fn made_by_somebody() -> ObjectMeta {
    serde_json::from_value(json!({"name": "shop-kroger-keys", "labels": {"app": "a"}})).unwrap()
}
