//! A server that wants a key, which stands in a Secret of the folder.

use std::fs;

use serde_json::json;

use super::{
    client::{modern, read},
    files_server,
    running::Up,
};

#[tokio::test]
async fn a_key_in_a_secret_of_the_folder_is_shown_to_its_server_and_may_be_changed() {
    // The server is another `portico up`, which lets in who has a key.
    let (inner, outer) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keys = tempfile::tempdir().unwrap();
    let key = |text: &str| fs::write(keys.path().join("outer"), text).unwrap();
    key("the first long key");
    fs::write(inner.path().join("a.yaml"), files_server("alpha", "first")).unwrap();
    let config = keys.path().join(".config.yaml");
    fs::write(&config, format!("auth: {{apiKeys: {{folder: '{}'}}}}", keys.path().display())).unwrap();
    let mut server = Up::start_with(inner.path(), |command| {
        command.arg("--config").arg(&config);
    })
    .await;
    server.until("alpha", "ready").await;
    let write = |file: &str, manifest: &serde_json::Value| {
        fs::write(outer.path().join(file), manifest.to_string()).unwrap();
    };
    let secret = |text: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"key": text}});
    let header = json!({"name": "X-API-Key", "secretKeyRef": {"name": "key", "key": "key"}});
    let spec = json!({"source": {"remote": {"url": server.url}}, "upstreamAuth": {"header": header}});
    let far = json!({"apiVersion": "portico.dev/v1alpha1", "kind": "McpServer", "metadata": {"name": "far"}, "spec": spec});
    write("far.json", &far);
    let mut up = Up::start(outer.path()).await;
    let missing = up.until("far", "skipped").await;
    let expected = "spec.upstreamAuth.header.secretKeyRef: Secret 'key' does not exist";
    assert!(missing["reason"].as_str().unwrap().contains(expected), "{missing}");
    write("secret.json", &secret("a wrong but long key"));
    let refused = up.until("far", "failed").await;
    assert!(refused["reason"].as_str().unwrap().contains("refuses the credential"), "{refused}");
    write("secret.json", &secret("the first long key"));
    up.until("far", "ready").await;
    assert!(read(&modern(&up.url).await, "read_file", "note.md").await.contains("first"));
    key("the second long key");
    write("secret.json", &secret("the second long key"));
    let client = modern(&up.url).await;
    let text = async {
        loop {
            let arguments = json!({"path": "note.md"}).as_object().cloned().unwrap();
            let call = rmcp::model::CallToolRequestParams::new("read_file").with_arguments(arguments);
            if let Ok(answer) = client.call_tool(call).await {
                return serde_json::to_string(&answer).unwrap();
            }
        }
    };
    let text = tokio::time::timeout(super::running::PATIENCE, text).await.expect("the new key is not taken");
    assert!(text.contains("first"), "{text}");
    assert!(up.interrupt().await.success() && server.interrupt().await.success());
}
