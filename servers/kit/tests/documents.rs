//! What users keep, on every database.

mod support;

use portico_kit::{
    documents::{Documents, Kind},
    seal::Sealer,
    tool::ToolError,
};
use rstest::rstest;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use support::{Database, On};

const LIST: Kind = Kind { name: "list", most: 3 };
const OTHER: Kind = Kind { name: "other", most: 3 };

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct List {
    items: Vec<String>,
}

async fn add(documents: &Documents, user: &str, id: &str, item: &str) -> Result<usize, ToolError> {
    let change = |list: &mut List| {
        list.items.push(item.to_owned());
        Ok(list.items.len())
    };
    documents.change(user, LIST, id, change).await.map(|(_, count)| count)
}

#[rstest]
#[tokio::test]
async fn what_is_kept_is_found_by_its_user_alone_and_lies_sealed(
    #[values(On::Memory, On::File, On::Postgres)] on: On,
) {
    let database = Database::new(on).await;
    let store = database.open(&[]).await.unwrap();
    let documents = Documents::new(store.clone(), Sealer::ephemeral().unwrap());
    add(&documents, "ada", "a", "milk").await.unwrap();
    assert_eq!(add(&documents, "ada", "a", "bread").await.unwrap(), 2);
    add(&documents, "ada", "b", "ö 測 👍").await.unwrap();
    let one = documents.get::<List>("ada", LIST, "a").await.unwrap().unwrap();
    assert_eq!(one.body.items, ["milk", "bread"]);
    let all = documents.all::<List>("ada", LIST).await.unwrap();
    let mut ids: Vec<&str> = all.iter().map(|list| list.id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(documents.get::<List>("bob", LIST, "a").await.unwrap(), None);
    assert_eq!(documents.get::<List>("ada", OTHER, "a").await.unwrap(), None);
    let rows = sqlx::query("SELECT body FROM kit_documents").fetch_all(store.write()).await.unwrap();
    for row in rows {
        let body: Vec<u8> = row.get("body");
        assert!(!body.windows(4).any(|part| part == b"milk" || part == b"item"));
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_changes_at_once_none_is_lost(#[values(On::Memory, On::File, On::Postgres)] on: On) {
    let database = Database::new(on).await;
    let store = database.open(&[]).await.unwrap();
    let documents = Documents::new(store, Sealer::ephemeral().unwrap());
    let adding = (0..8).map(|number| {
        let documents = documents.clone();
        tokio::spawn(async move {
            let mut added = 0;
            // Who comes too late too often is told, and tries again as a client would.
            while added < 5 {
                added += usize::from(add(&documents, "ada", "a", &format!("{number}-{added}")).await.is_ok());
            }
        })
    });
    for task in adding.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let mut list = documents.get::<List>("ada", LIST, "a").await.unwrap().unwrap().body.items;
    list.sort();
    list.dedup();
    assert_eq!(list.len(), 40);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_another_device_makes_meanwhile_is_no_further_one(
    #[values(On::Memory, On::File, On::Postgres)] on: On,
) {
    const ONLY: Kind = Kind { name: "only", most: 1 };
    let database = Database::new(on).await;
    let store = database.open(&[]).await.unwrap();
    let documents = Documents::new(store, Sealer::ephemeral().unwrap());
    let mut is_first = true;
    let change = |list: &mut List| {
        if std::mem::take(&mut is_first) {
            let other = documents.change("ada", ONLY, "a", |list: &mut List| {
                list.items.push("other".to_owned());
                Ok(())
            });
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(other))?;
        }
        list.items.push("mine".to_owned());
        Ok(())
    };
    documents.change("ada", ONLY, "a", change).await.unwrap();
    let list = documents.get::<List>("ada", ONLY, "a").await.unwrap().unwrap();
    assert_eq!(list.body.items, ["other", "mine"]);
}

#[rstest]
#[tokio::test]
async fn one_user_fills_no_database_and_deletion_leaves_the_others(#[values(On::File, On::Postgres)] on: On) {
    let database = Database::new(on).await;
    let store = database.open(&[]).await.unwrap();
    let documents = Documents::new(store, Sealer::ephemeral().unwrap());
    for id in ["a", "b", "c"] {
        add(&documents, "ada", id, "x").await.unwrap();
    }
    let full = add(&documents, "ada", "d", "x").await.unwrap_err().to_string();
    assert!(full.contains("there are 3 already"), "{full}");
    let large = add(&documents, "ada", "a", &"x".repeat(300_000)).await.unwrap_err().to_string();
    assert!(large.contains("larger than 256 KiB"), "{large}");
    add(&documents, "bob", "a", "y").await.unwrap();
    let export = documents.export("ada").await.unwrap();
    assert_eq!(export["list"][0]["content"]["items"][0], "x");
    assert_eq!(documents.delete("ada").await.unwrap(), 3);
    assert_eq!(documents.export("ada").await.unwrap(), serde_json::json!({}));
    assert_eq!(documents.all::<List>("bob", LIST).await.unwrap().len(), 1);
    assert!(documents.remove("bob", LIST, "a").await.unwrap());
    assert!(!documents.remove("bob", LIST, "a").await.unwrap());
}

#[tokio::test]
async fn a_body_moved_to_another_user_does_not_open() {
    let database = Database::new(On::File).await;
    let store = database.open(&[]).await.unwrap();
    let documents = Documents::new(store.clone(), Sealer::ephemeral().unwrap());
    add(&documents, "ada", "a", "secret").await.unwrap();
    sqlx::query("UPDATE kit_documents SET user_id = 'bob'").execute(store.write()).await.unwrap();
    let error = documents.get::<List>("bob", LIST, "a").await.unwrap_err().to_string();
    assert!(!error.contains("secret"), "{error}");
}

/// A keyring with these keys, the last of which seals.
fn keyring(keys: &[u8]) -> String {
    use base64::Engine as _;
    let key = |byte: &u8| {
        let text = base64::engine::general_purpose::STANDARD.encode([*byte; 32]);
        serde_json::json!({ "id": format!("k{byte}"), "key": text, "created": "2026-01-01T00:00:00Z", "usableFrom": "2026-01-01T00:00:00Z" })
    };
    serde_json::json!({ "keys": keys.iter().map(key).collect::<Vec<_>>() }).to_string()
}

#[rstest]
#[tokio::test]
async fn what_an_older_key_has_sealed_outlives_the_key(#[values(On::File, On::Postgres)] on: On) {
    let database = Database::new(on).await;
    let store = database.open(&[]).await.unwrap();
    let file = database.folder.path().join("keyring.json");
    let with = |keys: &[u8]| {
        std::fs::write(&file, keyring(keys)).unwrap();
        Documents::new(store.clone(), Sealer::from_file(&file).unwrap())
    };
    let documents = with(&[1]);
    for user in 0..150 {
        add(&documents, &format!("user {user}"), "a", "milk").await.unwrap();
    }
    let changed = documents.get::<List>("user 7", LIST, "a").await.unwrap().unwrap().changed_at;
    let documents = with(&[1, 2]);
    assert_eq!(documents.seal_again().await.unwrap(), 150);
    assert_eq!(documents.seal_again().await.unwrap(), 0);
    let documents = with(&[2]);
    let list = documents.get::<List>("user 7", LIST, "a").await.unwrap().unwrap();
    assert_eq!((list.body.items.as_slice(), list.changed_at), (["milk".to_owned()].as_slice(), changed));
    let lost = with(&[3]);
    assert_eq!(lost.seal_again().await.unwrap(), 0);
    assert!(with(&[2]).get::<List>("user 7", LIST, "a").await.is_ok());
}

#[rstest]
#[case::nul("\0")]
#[case::a_line("a\nb")]
#[case::long(&"x".repeat(65))]
#[case::empty("")]
#[tokio::test]
async fn an_id_that_nobody_gave_out_is_nobodys(#[case] id: &str, #[values(On::File, On::Postgres)] on: On) {
    let database = Database::new(on).await;
    let documents = Documents::new(database.open(&[]).await.unwrap(), Sealer::ephemeral().unwrap());
    assert_eq!(documents.get::<List>("ada", LIST, id).await.unwrap(), None);
    assert!(!documents.remove("ada", LIST, id).await.unwrap());
    assert!(matches!(add(&documents, "ada", id, "milk").await, Err(ToolError::NotFound(_))));
}

#[tokio::test]
async fn what_no_key_opens_is_told_and_can_be_exported_around_and_deleted() {
    let database = Database::new(On::File).await;
    let store = database.open(&[]).await.unwrap();
    let before = Documents::new(store.clone(), Sealer::ephemeral().unwrap());
    add(&before, "ada", "a", "milk").await.unwrap();
    let after = Documents::new(store, Sealer::ephemeral().unwrap());
    add(&after, "ada", "b", "bread").await.unwrap();
    let told = after.get::<List>("ada", LIST, "a").await.unwrap_err();
    assert!(matches!(&told, ToolError::Refused(said) if said.contains("key that is not there")), "{told}");
    let all = after.export("ada").await.unwrap();
    let content = |id: &str| {
        all["list"].as_array().unwrap().iter().find(|list| list["id"] == id).unwrap()["content"].clone()
    };
    assert_eq!(content("b")["items"][0], "bread");
    assert!(content("a")["unreadable"].is_string(), "{all}");
    assert_eq!(after.delete("ada").await.unwrap(), 2);
}
