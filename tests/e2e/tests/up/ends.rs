//! Servers that crash, and runs that end, gently or not.

use super::{
    client::{modern, read, tools},
    files_server,
    running::{Up, command_line, descendants, eventually, lives, signal},
    stdio_server,
};

/// A folder with a server over HTTP and one behind the bridge.
fn both_kinds() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), files_server("alpha", "first")).unwrap();
    std::fs::write(folder.path().join("b.json"), stdio_server("beta", "behind the bridge")).unwrap();
    folder
}

#[tokio::test]
async fn a_server_that_crashes_is_shown_and_comes_back() {
    let folder = both_kinds();
    let mut up = Up::start(folder.path()).await;
    let ready = up.until_ready(&["alpha", "beta"]).await;
    let client = modern(&up.url).await;
    assert!(read(&client, "alpha__read_file", "note.md").await.contains("first"));
    for name in ["alpha", "beta"] {
        let pid = ready[name]["pid"].as_i64().unwrap();
        signal(i32::try_from(pid).unwrap(), "KILL").await;
        let failed = up.until(name, "failed").await;
        assert!(failed["reason"].as_str().unwrap().contains("SIGKILL"), "{failed}");
        assert!(failed["reason"].as_str().unwrap().contains("starting again in 0.5 s"), "{failed}");
        let again = up.until(name, "ready").await;
        assert_ne!(again["pid"].as_i64(), Some(pid));
    }
    assert!(read(&client, "alpha__read_file", "note.md").await.contains("first"));
    assert!(read(&client, "beta__read_file", "note.md").await.contains("behind the bridge"));
    assert!(up.interrupt().await.success());
}

#[tokio::test]
async fn a_server_that_cannot_start_is_shown_with_its_own_words() {
    let folder = tempfile::tempdir().unwrap();
    let server = files_server("alpha", "first").replace("value: /docs", "value: /no/such/folder");
    std::fs::write(folder.path().join("a.yaml"), server).unwrap();
    let mut up = Up::start(folder.path()).await;
    let failed = up.until("alpha", "failed").await;
    let reason = failed["reason"].as_str().unwrap();
    assert!(reason.contains("exit code 1") && reason.contains("/no/such/folder"), "{reason}");
    up.until("alpha", "starting").await;
    let failed = up.until("alpha", "failed").await;
    assert!(failed["reason"].as_str().unwrap().contains("starting again in 1 s"), "{failed}");
    assert!(up.interrupt().await.success());
}

#[tokio::test]
async fn a_stdio_server_that_cannot_start_is_shown_with_its_own_words() {
    let folder = tempfile::tempdir().unwrap();
    let server = stdio_server("beta", "x").replace("\"value\":\"/docs\"", "\"value\":\"/no/such/folder\"");
    std::fs::write(folder.path().join("b.json"), server).unwrap();
    let mut up = Up::start(folder.path()).await;
    let failed = up.until("beta", "failed").await;
    assert!(failed["reason"].as_str().unwrap().contains("/no/such/folder"), "{failed}");
    assert!(up.interrupt().await.success());
}

#[tokio::test]
async fn an_interrupt_leaves_no_process_and_no_file() {
    let folder = both_kinds();
    let mut up = Up::start(folder.path()).await;
    up.until_ready(&["alpha", "beta"]).await;
    // An open session holds nothing up.
    let client = modern(&up.url).await;
    tools(&client).await;
    let all = descendants(up.pid());
    let servers = all.iter().filter(|pid| command_line(**pid).contains("serve files --stdio")).count();
    assert!(servers > 0 && all.len() > 4, "the bridge's children count, too: {all:?}");
    assert!(up.interrupt().await.success());
    assert!(
        all.iter().all(|pid| !lives(*pid)),
        "left: {:?}",
        all.iter().map(|pid| command_line(*pid)).collect::<Vec<_>>()
    );
    let runs = up.state.path().join("portico/runs");
    let left: Vec<_> = std::fs::read_dir(runs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"]);
    up.wait_for(|event| event["kind"] == "gateway" && event["state"] == "stopped").await;
}

#[tokio::test]
async fn even_a_killed_run_leaves_no_process() {
    let folder = both_kinds();
    let mut up = Up::start(folder.path()).await;
    up.until_ready(&["alpha", "beta"]).await;
    let all = descendants(up.pid());
    assert!(all.len() > 4, "{all:?}");
    up.child.kill().await.unwrap();
    eventually("the end of every process", || all.iter().all(|pid| !lives(*pid))).await;
}

#[tokio::test]
async fn secrets_of_the_shell_do_not_reach_the_servers() {
    let folder = both_kinds();
    let mut up = Up::start_with(folder.path(), |command| {
        command.env("SOME_API_TOKEN", "very-secret");
    })
    .await;
    up.until_ready(&["alpha", "beta"]).await;
    let all = descendants(up.pid());
    assert!(!all.is_empty());
    for pid in all {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment);
        assert!(!environment.contains("very-secret"), "{}: {environment}", command_line(pid));
    }
    assert!(up.interrupt().await.success());
}
