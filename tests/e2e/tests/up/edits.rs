//! Manifests that change while they run.

use std::{fs, path::Path};

use super::{
    client::{modern, read, tools},
    files_server,
    running::{Up, eventually},
};

fn write(folder: &Path, file: &str, text: &str) {
    fs::write(folder.join(file), text).unwrap();
}

#[tokio::test]
async fn adding_editing_and_deleting_a_manifest_takes_effect_and_leaves_the_others_alone() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.yaml", &files_server("alpha", "first"));
    let mut up = Up::start(folder.path()).await;
    let alpha = up.until("alpha", "ready").await["pid"].clone();
    let client = modern(&up.url).await;
    assert!(read(&client, "read_file", "note.md").await.contains("first"));

    write(folder.path(), "b.yaml", &files_server("beta", "second"));
    let beta = up.until("beta", "ready").await["pid"].clone();
    assert!(read(&client, "beta__read_file", "note.md").await.contains("second"));
    assert!(read(&client, "alpha__read_file", "note.md").await.contains("first"));

    // As many editors save: a new file takes the old one's place.
    write(folder.path(), ".b.yaml.new", &files_server("beta", "third"));
    fs::rename(folder.path().join(".b.yaml.new"), folder.path().join("b.yaml")).unwrap();
    up.until("beta", "starting").await;
    let edited = up.until("beta", "ready").await["pid"].clone();
    assert_ne!(edited, beta, "an edited server is started anew");
    assert!(read(&client, "beta__read_file", "note.md").await.contains("third"));

    fs::remove_file(folder.path().join("b.yaml")).unwrap();
    up.wait_for(|event| event["name"] == "beta" && event["state"] == "removed").await;
    // The one that stays has its plain names back, and was never touched.
    let gone = i32::try_from(edited.as_i64().unwrap()).unwrap();
    eventually("the deleted server's process ends", || !super::running::lives(gone)).await;
    assert!(super::running::lives(i32::try_from(alpha.as_i64().unwrap()).unwrap()));
    let plain = async {
        while !tools(&client).await.contains("read_file") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::running::PATIENCE, plain).await.expect("the plain names do not come back");
    assert!(read(&client, "read_file", "note.md").await.contains("first"));
    assert!(up.interrupt().await.success());
}

#[tokio::test]
async fn a_broken_edit_is_reported_with_its_place_and_the_last_good_state_runs_on() {
    let folder = tempfile::tempdir().unwrap();
    let good = files_server("alpha", "first");
    write(folder.path(), "a.yaml", &good);
    let mut up = Up::start(folder.path()).await;
    let pid = up.until("alpha", "ready").await["pid"].clone();
    let client = modern(&up.url).await;

    write(folder.path(), "a.yaml", &good.replace("name: files", "name: fils"));
    let event = up.wait_for(|event| event["kind"] == "manifests").await;
    assert_eq!(event["state"], "invalid");
    let problem = &event["problems"][0];
    assert!(problem["file"].as_str().unwrap().ends_with("a.yaml"), "{problem}");
    assert_eq!((&problem["line"], &problem["field"]), (&8.into(), &"spec.source.builtin.name".into()));
    assert!(problem["message"].as_str().unwrap().contains("files"), "it says what is allowed: {problem}");
    assert!(read(&client, "read_file", "note.md").await.contains("first"));

    // Text that is no YAML, in another file: told, too, and harmless to what is good.
    write(folder.path(), "b.yaml", "a: [1\nb: 2\n");
    let event = up.wait_for(|event| event["kind"] == "manifests").await;
    assert_eq!(event["problems"].as_array().unwrap().len(), 2, "{event}");
    fs::remove_file(folder.path().join("b.yaml")).unwrap();
    write(folder.path(), "c.yaml", &files_server("gamma", "third"));
    up.until("gamma", "ready").await;

    write(folder.path(), "a.yaml", &good);
    up.wait_for(|event| event["kind"] == "manifests" && event["state"] == "valid").await;
    assert!(read(&client, "alpha__read_file", "note.md").await.contains("first"));
    let pid = i32::try_from(pid.as_i64().unwrap()).unwrap();
    assert!(super::running::lives(pid), "a broken edit and its mending restart nothing");
    assert!(up.interrupt().await.success());
}

#[tokio::test]
async fn a_secret_that_is_missing_keeps_a_server_from_starting_and_leaves_a_running_one_alone() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: where\nstringData:\n  dirs: /docs\n";
    let server = files_server("alpha", "first").replace(
        "      value: /docs\n",
        "      valueFrom:\n        secretKeyRef: {name: where, key: dirs}\n",
    );
    write(folder.path(), "a.yaml", &server);
    let mut up = Up::start(folder.path()).await;
    let skipped = up.until("alpha", "skipped").await;
    assert!(skipped["reason"].as_str().unwrap().contains("Secret 'where'"), "{skipped}");

    write(folder.path(), "secret.yaml", secret);
    let ready = up.until("alpha", "ready").await;
    fs::remove_file(folder.path().join("secret.yaml")).unwrap();
    let event = up.wait_for(|event| event["name"] == "alpha").await;
    assert_eq!((&event["state"], &event["pid"]), (&ready["state"], &ready["pid"]), "{event}");
    assert!(event["reason"].as_str().unwrap().contains("Secret 'where'"), "{event}");
    assert!(read(&modern(&up.url).await, "read_file", "note.md").await.contains("first"));
    assert!(up.interrupt().await.success());
}

#[tokio::test]
async fn a_tool_set_of_a_configuration_file_is_served_and_an_override_and_its_edits_take_effect() {
    let (folder, config) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let renamed = |name: &str| {
        let overrides = format!("  tools:\n    overrides:\n      - name: read_file\n        as: {name}\n");
        files_server("alpha", "first") + &overrides
    };
    write(folder.path(), "a.yaml", &renamed("look"));
    fs::write(config.path(), "toolSets: [{name: short, tools: [look, see]}]").unwrap();
    let path = config.path().to_owned();
    let mut up = Up::start_with(folder.path(), |command| {
        command.arg("--config").arg(&path);
    })
    .await;
    let pid = up.until("alpha", "ready").await["pid"].clone();
    let short = modern(&up.url.replace("/mcp", "/sets/short/mcp")).await;
    assert_eq!(tools(&short).await, ["look".to_owned()].into());
    assert!(read(&short, "look", "note.md").await.contains("first"));
    write(folder.path(), "a.yaml", &renamed("see"));
    let see = async {
        while tools(&short).await != ["see".to_owned()].into() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::running::PATIENCE, see).await.expect("the new name does not come");
    assert!(read(&short, "see", "note.md").await.contains("first"));
    assert!(
        super::running::lives(i32::try_from(pid.as_i64().unwrap()).unwrap()),
        "another name restarts nothing"
    );
    assert!(up.interrupt().await.success());
}
