//! `KrogerIntegration`: from creation to Ready, its keys, and its volume.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Secret};
use kube::Api;
use kube::ResourceExt as _;
use kube::api::{ApiResource, DeleteParams, Patch, PatchParams};
use portico_cluster::{Level, wait_for, wanted};
use portico_crds::McpServer;
use portico_operator::kroger_integration::keyring::Keyring;
use serde_json::{Value, json};

use crate::composite::portico_kind;
use crate::world::{SOON, World};

pub fn kroger() -> ApiResource {
    portico_kind("KrogerIntegration", "krogerintegrations")
}

/// Without a volume: no simulated node could wait for one.
fn with_database() -> Value {
    json!({
        "credentials": {"secretRef": "kroger"},
        "storage": {"postgresql": {"secretRef": "database"}},
        "server": {"replicas": 1},
    })
}

async fn secrets(world: &World) {
    world.put::<Secret>("kroger", json!({"stringData": {"client-id": "a", "client-secret": "b"}})).await;
    world.put::<Secret>("database", json!({"stringData": {"url": "postgres://database/kroger"}})).await;
}

/// A world with an integration `a` that is ready.
async fn ready() -> World {
    let world = World::start().await;
    secrets(&world).await;
    world.apply_kind(&kroger(), "a", &with_database()).await;
    world.until_said(&kroger(), "a", &["Ready True ServersReady"]).await;
    world
}

async fn keys(world: &World) -> Secret {
    world.api().get("a-kroger-keys").await.unwrap()
}

fn keyring(secret: &Secret) -> Keyring {
    Keyring::read(&secret.data.as_ref().unwrap()["keyring.json"].0).unwrap()
}

#[tokio::test]
async fn an_integration_becomes_a_server_with_keys_and_tells_that_its_credentials_work() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = ready().await;
    let wanted = ["CredentialsValid True CredentialsAccepted", "KeysReady True KeysCurrent", "Stalled False"];
    let status = world.until_said(&kroger(), "a", &wanted).await;
    assert_eq!(status["server"], "a-kroger");
    let url = format!("http://a-kroger-mcp.{}.svc:8080/mcp", world.namespace.name());
    assert_eq!(status["url"], url);
    assert_eq!(status["keys"]["current"], keyring(&keys(&world).await).keys[0].id);
    let table = world.kubectl(&["get", "krogerintegrations"]).await;
    assert!(table.lines().nth(1).is_some_and(|row| row.contains("ServersReady")), "{table}");
    let status = status.to_string();
    let text = String::from_utf8(keys(&world).await.data.unwrap()["keyring.json"].0.clone()).unwrap();
    let key = serde_json::from_str::<Value>(&text).unwrap()["keys"][0]["key"].as_str().unwrap().to_owned();
    assert!(!status.contains(&key), "a key stands in the status");
}

#[tokio::test]
async fn refused_credentials_are_told_and_a_correction_is_seen() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.answers.say("failing", "Refused");
    secrets(&world).await;
    world.apply_kind(&kroger(), "a", &with_database()).await;
    let refused =
        ["Ready False CredentialsRefused: said by the test", "CredentialsValid False CredentialsRefused"];
    world.until_said(&kroger(), "a", &refused).await;
    world.until_said(&kroger(), "a", &["Stalled True CredentialsRefused"]).await;
    world.answers.say("ok", "Accepted");
    world.put::<Secret>("kroger", json!({"stringData": {"client-id": "a", "client-secret": "c"}})).await;
    world.until_said(&kroger(), "a", &["Ready True", "CredentialsValid True"]).await;
}

#[tokio::test]
async fn a_server_that_is_asking_is_awaited_and_one_that_does_not_answer_is_not_held_against_it() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.answers.say("unknown", "Unchecked");
    secrets(&world).await;
    world.apply_kind(&kroger(), "a", &with_database()).await;
    world.until_said(&kroger(), "a", &["Ready False CredentialsUnchecked", "Reconciling True"]).await;
    world.answers.fail();
    world.until_said(&kroger(), "a", &["Ready True", "CredentialsValid Unknown CredentialsUnchecked"]).await;
}

#[tokio::test]
async fn a_missing_secret_is_named_with_its_field_and_nothing_is_made() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    world.put::<Secret>("kroger", json!({"stringData": {"client-id": "a"}})).await;
    world.apply_kind(&kroger(), "a", &with_database()).await;
    let missing = "ResolvedRefs False ReferenceNotFound: spec.credentials.clientSecretKey: Secret 'kroger' has no key \
                   'client-secret'; add the key; spec.storage.postgresql.key: Secret 'database' does not exist";
    world.until_said(&kroger(), "a", &[missing]).await;
    assert!(world.api::<McpServer>().get_opt("a-kroger").await.unwrap().is_none());
    assert!(world.api::<Secret>().get_opt("a-kroger-keys").await.unwrap().is_none());
    secrets(&world).await;
    world.until_said(&kroger(), "a", &["Ready True"]).await;
    // And what runs is left alone when one goes.
    let before = world.api::<McpServer>().get("a-kroger").await.unwrap().metadata.generation;
    world.delete::<Secret>("database").await;
    world.until_said(&kroger(), "a", &["Ready False ReferenceNotFound"]).await;
    assert_eq!(world.api::<McpServer>().get("a-kroger").await.unwrap().metadata.generation, before);
}

#[tokio::test]
async fn a_rotation_happens_once_a_wish_and_keeps_the_old_key() {
    if !wanted(Level::Kwok) {
        return;
    }
    let mut world = ready().await;
    let first = keyring(&keys(&world).await);
    world.annotate(&kroger(), "a", "portico.dev/rotate-keys", "one").await;
    let rotated = |count: usize, wish: &'static str| {
        let world = &world;
        async move {
            wait_for("the new key", SOON, async || {
                let secret = keys(world).await;
                let noted = secret.annotations().get("portico.dev/rotated-for").map(String::as_str);
                let done = keyring(&secret).keys.len() == count && noted == Some(wish);
                if done { Ok(Some(secret)) } else { Err(format!("{:?} {noted:?}", keyring(&secret))) }
            })
            .await
            .unwrap()
        }
    };
    let second = keyring(&rotated(2, "one").await);
    assert_eq!(second.keys[0], first.keys[0]);
    assert_eq!(second.keys[1].usable_from.as_second() - second.keys[1].created.as_second(), 600);
    let status = world.until_said(&kroger(), "a", &["Ready True", "KeysReady True"]).await;
    assert_eq!(status["keys"]["current"], first.keys[0].id, "the new key is not usable yet");
    let secret = rotated(2, "one").await;
    let mark = world.cluster.audit_mark().unwrap();
    world.restart_operator().await;
    // Another integration shows that the new operator has looked at everything and is at work.
    world.apply_kind(&kroger(), "b", &with_database()).await;
    world.until_said(&kroger(), "b", &["Ready True"]).await;
    let own = |write: &portico_cluster::AuditEvent| write.name.starts_with("a-kroger");
    assert!(!world.writes(mark, "operator").iter().any(own), "a restart writes nothing");
    world.until_said(&kroger(), "a", &["Ready True"]).await;
    assert_eq!(keys(&world).await.resource_version(), secret.resource_version());
    world.annotate(&kroger(), "a", "portico.dev/rotate-keys", "two").await;
    wait_for("the third key", SOON, async || {
        Ok::<_, portico_cluster::Error>((keyring(&keys(&world).await).keys.len() == 3).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn two_operators_that_act_at_once_make_one_key_and_rotate_it_once() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::empty().await;
    let _one = world.operator("one", None).await;
    let _other = world.operator("other", None).await;
    secrets(&world).await;
    for round in 0..5_usize {
        let name = format!("r{round}");
        world.apply_kind(&kroger(), &name, &with_database()).await;
        world.until_said(&kroger(), &name, &["Ready True"]).await;
        world.annotate(&kroger(), &name, "portico.dev/rotate-keys", "now").await;
        let secret = wait_for("the rotation", SOON, async || {
            let secret: Secret = world.api().get(&format!("{name}-kroger-keys")).await?;
            Ok::<_, kube::Error>(
                secret.annotations().contains_key("portico.dev/rotated-for").then_some(secret),
            )
        });
        secret.await.unwrap();
    }
    world.until_said(&kroger(), "r4", &["Ready True"]).await;
    for round in 0..5_usize {
        let secret: Secret = world.api().get(&format!("r{round}-kroger-keys")).await.unwrap();
        assert_eq!(keyring(&secret).keys.len(), 2, "r{round}");
    }
}

#[tokio::test]
async fn keys_that_cannot_be_read_are_told_and_never_overwritten() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = ready().await;
    let good = keys(&world).await.data.unwrap();
    let change = |data: Value| {
        let api = world.api::<Secret>();
        async move {
            api.patch("a-kroger-keys", &PatchParams::default(), &Patch::Merge(json!({"data": data})))
                .await
                .unwrap()
        }
    };
    let broken = change(json!({"keyring.json": "e30="})).await;
    world.annotate(&kroger(), "a", "portico.dev/rotate-keys", "one").await;
    let told = ["KeysReady False KeysUnreadable: Secret 'a-kroger-keys'", "Ready False KeysUnreadable"];
    world.until_said(&kroger(), "a", &told).await;
    assert_eq!(keys(&world).await.resource_version(), broken.resource_version());
    change(json!(good)).await;
    world.until_said(&kroger(), "a", &["KeysReady True", "Ready True"]).await;
}

#[tokio::test]
async fn children_deleted_or_damaged_by_hand_are_restored_long_before_the_operator_looks_by_itself() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = ready().await;
    let server = world.api::<McpServer>().get("a-kroger").await.unwrap();
    let by_hand = PatchParams::default();
    let change = json!({"spec": {"replicas": 3, "egress": null}, "metadata": {"labels": {"app.kubernetes.io/component": "other"}}});
    world.api::<McpServer>().patch("a-kroger", &by_hand, &Patch::Merge(change)).await.unwrap();
    let before = keyring(&keys(&world).await);
    let change = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}});
    world.api::<Secret>().patch("a-kroger-keys", &by_hand, &Patch::Merge(change)).await.unwrap();
    let whole = async || {
        let healed = world.api::<McpServer>().get("a-kroger").await.map_err(|error| error.to_string())?;
        let labelled = keys(&world).await.labels().contains_key("app.kubernetes.io/managed-by");
        let same = healed.spec == server.spec && healed.metadata.labels == server.metadata.labels;
        if same && labelled { Ok(Some(())) } else { Err(format!("same {same}, labelled {labelled}")) }
    };
    wait_for("the healed children", SOON, whole).await.unwrap();
    assert_eq!(keyring(&keys(&world).await), before, "mending the Secret's labels made no other key");
    world.delete::<McpServer>("a-kroger").await;
    world.delete::<Secret>("a-kroger-keys").await;
    wait_for("the children made anew", SOON, async || {
        let server = world.api::<McpServer>().get_opt("a-kroger").await?;
        let secret = world.api::<Secret>().get_opt("a-kroger-keys").await?;
        let anew = server.is_some_and(|server| server.metadata.deletion_timestamp.is_none());
        Ok::<_, kube::Error>((anew && secret.is_some()).then_some(()))
    })
    .await
    .unwrap();
    assert_ne!(keyring(&keys(&world).await), before);
}

/// A volume that the claim of `a` is bound to: the cluster has no provisioner.
struct Volume<'a>(&'a World, String);

impl<'a> Volume<'a> {
    async fn create(world: &'a World) -> Self {
        let name = format!("{}-a", world.namespace.name());
        let manifest = json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
            "spec": {
                "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "",
                "hostPath": {"path": "/data"}, "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": world.namespace.name(), "name": "a-kroger-data"},
            },
        });
        let api = Api::<PersistentVolume>::all(world.client.clone());
        api.patch(&name, &PatchParams::apply("person"), &Patch::Apply(manifest)).await.unwrap();
        Self(world, name)
    }

    async fn delete(self) {
        let api = Api::<PersistentVolume>::all(self.0.client.clone());
        api.delete(&self.1, &DeleteParams::background()).await.unwrap();
    }
}

fn embedded(when_deleted: &str) -> Value {
    json!({"credentials": {"secretRef": "kroger"}, "storage": {"embedded": {"whenDeleted": when_deleted}}})
}

/// What is left of integration `a`, as `kind/name`.
async fn left(world: &World) -> BTreeSet<String> {
    let kinds = format!("{},secrets,persistentvolumeclaims,mcpservers", crate::world::KINDS);
    let own = "app.kubernetes.io/managed-by=portico-operator";
    let text = world.kubectl(&["get", &kinds, "--selector", own, "--output", "name"]).await;
    text.lines().map(ToOwned::to_owned).collect()
}

async fn until_left(world: &World, wanted: &[&str]) {
    let wanted: BTreeSet<String> = wanted.iter().map(ToString::to_string).collect();
    // The garbage collector looks for new kinds every 30 seconds, and these may be seconds old.
    wait_for("the end of what goes", SOON * 2, async || {
        let left = left(world).await;
        if left == wanted { Ok(Some(())) } else { Err(format!("{left:?}")) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_deleted_integration_leaves_its_retained_volume_and_its_keys_and_one_of_its_name_finds_them_again()
{
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    let volume = Volume::create(&world).await;
    secrets(&world).await;
    world.apply_kind(&kroger(), "a", &embedded("Retain")).await;
    world.until_said(&kroger(), "a", &["Ready True"]).await;
    let claim: PersistentVolumeClaim = world.api().get("a-kroger-data").await.unwrap();
    world.dynamic(&kroger()).delete("a", &DeleteParams::background()).await.unwrap();
    let kept = ["persistentvolumeclaim/a-kroger-data", "secret/a-kroger-keys"];
    until_left(&world, &kept).await;
    let before = keyring(&keys(&world).await);
    // Somebody has taken its labels; who wrote it is still known.
    let change = json!({"metadata": {"labels": null}});
    let by_hand = PatchParams::default();
    world
        .api::<PersistentVolumeClaim>()
        .patch("a-kroger-data", &by_hand, &Patch::Merge(change))
        .await
        .unwrap();
    world.apply_kind(&kroger(), "a", &embedded("Retain")).await;
    world.until_said(&kroger(), "a", &["Ready True"]).await;
    let again: PersistentVolumeClaim = world.api().get("a-kroger-data").await.unwrap();
    assert_eq!((again.uid(), again.labels()), (claim.uid(), claim.labels()));
    assert_eq!(keyring(&keys(&world).await), before, "what was kept can be read again");
    // Now it is to go, and does.
    world.apply_kind(&kroger(), "a", &embedded("Delete")).await;
    world.until_said(&kroger(), "a", &["Ready True"]).await;
    world.dynamic(&kroger()).delete("a", &DeleteParams::background()).await.unwrap();
    until_left(&world, &["secret/a-kroger-keys"]).await;
    volume.delete().await;
}

#[tokio::test]
async fn a_claim_that_was_to_go_can_be_retained_after_all_and_one_of_somebody_else_is_left_alone() {
    if !wanted(Level::Kwok) {
        return;
    }
    let world = World::start().await;
    secrets(&world).await;
    let theirs =
        json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    world.put::<PersistentVolumeClaim>("b-kroger-data", theirs).await;
    world.apply_kind(&kroger(), "b", &embedded("Retain")).await;
    let taken = "Ready False NameTaken: PersistentVolumeClaim 'b-kroger-data' exists";
    world.until_said(&kroger(), "b", &[taken]).await;
    world.apply_kind(&kroger(), "a", &embedded("Delete")).await;
    let owners = async || world.api::<PersistentVolumeClaim>().get_opt("a-kroger-data").await;
    let until_owners = async |count: usize| {
        wait_for(&format!("{count} owners"), SOON, async || {
            let claim = owners().await?;
            let right = claim.is_some_and(|claim| claim.owner_references().len() == count);
            Ok::<_, kube::Error>(right.then_some(()))
        })
        .await
        .unwrap();
    };
    until_owners(1).await;
    world.apply_kind(&kroger(), "a", &embedded("Retain")).await;
    until_owners(0).await;
}
