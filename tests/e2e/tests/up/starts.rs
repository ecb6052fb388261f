//! How a run begins, and why it may not.

use std::{fs, net::TcpListener, process::Output};

use super::{
    files_server,
    running::{Up, ended},
    workspace,
};

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_busy_port_is_named_with_who_has_it_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), files_server("alpha", "x")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let path = folder.path().display().to_string();
    let output = ended(&["up", &path, "--listen", &address.to_string()]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = words(&output);
    assert!(
        said.contains(&format!("port {} is in use", address.port())) && said.contains("--listen"),
        "{said}"
    );
    assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
}

#[tokio::test]
async fn a_folder_that_is_not_there_and_one_with_nothing_good_in_it_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing").display().to_string();
    let output = ended(&["up", &missing]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains(&missing), "{}", words(&output));

    fs::write(folder.path().join("a.yaml"), files_server("alpha", "x").replace("builtin", "built-in"))
        .unwrap();
    let path = folder.path().display().to_string();
    let output = ended(&["up", &path]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = words(&output);
    assert!(said.contains("a.yaml:7: spec.source"), "{said}");
}

#[tokio::test]
async fn an_empty_folder_waits_for_manifests() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path()).await;
    up.wait_for(|event| event["kind"] == "manifests" && event["state"] == "empty").await;
    fs::write(folder.path().join("a.yaml"), files_server("alpha", "x")).unwrap();
    up.until("alpha", "ready").await;
    assert!(up.interrupt().await.success());
}

#[tokio::test]
async fn a_package_is_skipped_with_the_reason_where_node_is_missing() {
    let empty = tempfile::tempdir().unwrap();
    let quickstart = workspace().join("examples/quickstart");
    let mut up = Up::start_with(&quickstart, |command| {
        command.env("PATH", empty.path());
    })
    .await;
    let skipped = up.until("everything", "skipped").await;
    assert!(skipped["reason"].as_str().unwrap().contains("Node.js"), "{skipped}");
    up.until_ready(&["files", "kroger"]).await;
    assert!(up.interrupt().await.success());
}

#[tokio::test]
async fn an_image_of_others_is_skipped_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let image = "apiVersion: portico.dev/v1alpha1\nkind: McpServer\nmetadata: {name: image}\nspec: {source: {image: {name: 'example/server:1'}}}\n";
    fs::write(folder.path().join("a.yaml"), image).unwrap();
    let mut up = Up::start(folder.path()).await;
    let skipped = up.until("image", "skipped").await;
    assert!(skipped["reason"].as_str().unwrap().contains("example/server:1"), "{skipped}");
    assert!(up.interrupt().await.success());
}
