//! A running `portico up`, and the processes below it.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::{sleep, timeout},
};

/// Longest wait for anything that must happen; a package may have to be fetched by a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// The program with a state directory of its own.
pub fn portico(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(portico_e2e::program());
    command
        .args(arguments)
        .current_dir(super::workspace())
        .env("XDG_STATE_HOME", state)
        .env_remove("LOG_LEVEL");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs the program until it ends by itself.
pub async fn ended(arguments: &[&str]) -> Output {
    let state = tempfile::tempdir().unwrap();
    timeout(PATIENCE, portico(state.path(), arguments).output()).await.expect("it did not end").unwrap()
}

/// A running `portico up --json`. Dropped, it is killed, and its keepers end the rest.
pub struct Up {
    pub child: Child,
    pub url: String,
    pub state: tempfile::TempDir,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Up {
    pub async fn start(folder: &Path) -> Self {
        Self::start_with(folder, |_| {}).await
    }

    /// Starts it with changes to its command.
    pub async fn start_with(folder: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let state = tempfile::tempdir().unwrap();
        let folder = folder.display().to_string();
        let mut command = portico(state.path(), &["up", &folder, "--listen", "127.0.0.1:0", "--json"]);
        command.stderr(Stdio::inherit());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut up = Self { child, url: String::new(), state, lines };
        let first = up.wait_for(|event| event["kind"] == "gateway").await;
        up.url = first["url"].as_str().map(ToOwned::to_owned).expect("the endpoint is told first");
        up
    }

    /// The next event; every line must be one.
    pub async fn event(&mut self) -> Value {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("nothing more was told").unwrap();
        let event: Value = serde_json::from_str(&line.expect("it ended")).expect("every line is JSON");
        assert!(event["time"].is_string() && event["kind"].is_string(), "{event}");
        event
    }

    /// The first event from now on that is wanted.
    pub async fn wait_for(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.event().await;
            if wanted(&event) {
                return event;
            }
        }
    }

    /// Waits until the server has the state.
    pub async fn until(&mut self, name: &str, state: &str) -> Value {
        self.wait_for(|event| event["kind"] == "server" && event["name"] == name && event["state"] == state)
            .await
    }

    /// Waits until all these servers are ready, in any order; gives the last event of each. One that was ready may have gone
    /// to zero while another starts.
    pub async fn until_ready(&mut self, names: &[&str]) -> BTreeMap<String, Value> {
        let mut last = BTreeMap::new();
        let is_there = |event: &Value| event["state"] == "ready" || event["state"] == "idle";
        while !names.iter().all(|name| last.get(*name).is_some_and(is_there)) {
            let event = self.wait_for(|event| event["kind"] == "server").await;
            last.insert(event["name"].as_str().unwrap().to_owned(), event);
        }
        last
    }

    pub fn pid(&self) -> i32 {
        self.child.id().expect("it runs").cast_signed()
    }

    /// Interrupts it as Ctrl-C does, and waits for its end.
    pub async fn interrupt(&mut self) -> std::process::ExitStatus {
        signal(self.pid(), "INT").await;
        timeout(PATIENCE, self.child.wait()).await.expect("it does not end").unwrap()
    }
}

/// Sends a signal to one process.
pub async fn signal(pid: i32, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &pid.to_string()]).status().await.unwrap();
    assert!(sent.success());
}

/// Waits until `condition` holds.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(PATIENCE, holds).await.is_ok(), "{what}: it did not come to be");
}

/// Every process below `pid`.
pub fn descendants(pid: i32) -> Vec<i32> {
    let parents = parents();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| **of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

/// Whether the process runs.
pub fn lives(pid: i32) -> bool {
    parents().contains_key(&pid)
}

/// The command line of a process.
pub fn command_line(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ")
}

/// The parent of every process that has not ended.
fn parents() -> BTreeMap<i32, i32> {
    let parent = |stat: &str| -> Option<i32> {
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let running = !matches!(fields.next()?, "Z" | "X");
        running.then(|| fields.next()?.parse().ok()).flatten()
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, parent(&std::fs::read_to_string(entry.path().join("stat")).ok()?)?))
        })
        .collect()
}
