//! Real processes behind real keepers: started again when they end, and nothing left of them in any case.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

use std::{
    collections::BTreeMap,
    future::Future,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use portico_local::{
    keep,
    plan::{Command, Probe},
    process::{Keeper, Output, Policy, Process, Status},
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{sleep, timeout},
};

/// Longest wait for anything that must happen.
const DEADLINE: Duration = Duration::from_mins(2);

/// Not a test of its own: this program, started again with a grace and a command after `--`, is a keeper.
#[test]
fn as_keeper() {
    let command: Vec<String> = std::env::args().skip_while(|arg| arg != "--").skip(1).collect();
    if let Some((grace, command)) = command.split_first() {
        std::process::exit(keep::run(command, Duration::from_secs(grace.parse().unwrap())).into());
    }
}

/// `grace` is in seconds.
fn keeper(grace: &str) -> Keeper {
    let args = ["as_keeper", "--exact", "--nocapture", "--", grace].map(str::to_owned).to_vec();
    Keeper { program: std::env::current_exe().unwrap(), args }
}

fn quick() -> Policy {
    Policy {
        first_wait: Duration::from_millis(20),
        longest_wait: Duration::from_millis(40),
        ask_starting: Duration::from_millis(10),
        ask_serving: Duration::from_millis(50),
        failures: 2,
        grace: Duration::from_secs(2),
        ..Policy::default()
    }
}

struct Run {
    folder: tempfile::TempDir,
    process: Option<Process>,
    statuses: UnboundedReceiver<Status>,
    /// Held open so that the probe finds somebody there.
    listener: Option<std::net::TcpListener>,
}

impl Run {
    /// Runs a shell script in a folder of its own, with a port that answers as long as `listener` is kept.
    fn of(script: &str, policy: Policy) -> Self {
        Self::with_grace(script, policy, "2")
    }

    fn with_grace(script: &str, policy: Policy, grace: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let command = Command {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: BTreeMap::from([("OWN".to_owned(), "of the manifest".to_owned())]),
            directories: vec![folder.path().join("made")],
            files: vec![(folder.path().join("made/deep/file"), b"content".to_vec())],
            work_directory: folder.path().to_owned(),
            port: listener.local_addr().unwrap().port(),
            probe: Probe::Connect,
        };
        let (sender, statuses) = unbounded_channel();
        let tell = move |status| drop(sender.send(status));
        let process = Process::start(command, (keeper(grace), policy), Output::new(None), async {}, tell);
        Self { folder, process: Some(process), statuses, listener: Some(listener) }
    }

    async fn status(&mut self) -> Status {
        timeout(DEADLINE, self.statuses.recv())
            .await
            .expect("nothing was told in time")
            .expect("it has stopped")
    }

    async fn serving(&mut self) -> i32 {
        loop {
            if let Status::Serving { pid } = self.status().await {
                return pid;
            }
        }
    }

    async fn failure(&mut self) -> String {
        loop {
            if let Status::Failed { reason, .. } = self.status().await {
                return reason;
            }
        }
    }

    /// The numbers that the script has written to a file, one a line.
    async fn numbers(&self, file: &str, count: usize) -> Vec<i32> {
        let path = self.folder.path().join(file);
        let numbers = || -> Vec<i32> {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            text.lines().filter_map(|line| line.trim().parse().ok()).collect()
        };
        eventually(|| numbers().len() >= count).await;
        numbers()
    }

    async fn stop(&mut self) {
        let process = self.process.take().unwrap();
        timeout(DEADLINE, process.stop()).await.expect("it did not stop in time");
    }
}

async fn eventually(condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, holds).await.expect("the condition did not come to hold");
}

/// Whether the process runs; one that waits to be reaped does not.
fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

#[tokio::test]
async fn a_process_that_ends_is_started_again_and_its_last_words_are_told() {
    let mut run = Run::of("echo progress; echo out of cheese >&2; exit 3", quick());
    for _ in 0..3 {
        let reason = run.failure().await;
        assert_eq!(reason, "ended with exit code 3: out of cheese");
    }
    run.stop().await;
}

#[tokio::test]
async fn a_killed_process_comes_back_with_another_number() {
    let mut run = Run::of("exec sleep 1000", quick());
    let first = run.serving().await;
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    let reason = run.failure().await;
    assert!(reason.starts_with("was ended by SIGKILL"), "{reason}");
    let second = run.serving().await;
    assert!(first != second && lives(second));
    run.stop().await;
    assert!(!lives(second));
}

#[tokio::test]
async fn a_process_that_does_not_serve_in_time_is_started_again() {
    let policy = Policy { start_within: Duration::from_millis(300), ..quick() };
    let mut run = Run::of("exec sleep 1000", policy);
    run.listener = None;
    let reason = run.failure().await;
    assert!(reason.contains("did not serve on port"), "{reason}");
    run.stop().await;
}

#[tokio::test]
async fn a_process_that_stops_answering_is_started_again() {
    let mut run = Run::of("exec sleep 1000", quick());
    let first = run.serving().await;
    let port = run.listener.take().unwrap().local_addr().unwrap();
    let reason = run.failure().await;
    assert!(reason.contains("stopped answering"), "{reason}");
    assert!(!lives(first));
    run.listener = Some(std::net::TcpListener::bind(port).unwrap());
    run.serving().await;
    run.stop().await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named_as_such() {
    let mut run = Run::of("exec /no/such/program", quick());
    let reason = run.failure().await;
    assert!(reason.contains("exit code 127") && reason.contains("/no/such/program"), "{reason}");
    run.stop().await;
}

#[tokio::test]
async fn stopping_leaves_nothing_whatever_groups_were_made_and_signals_ignored() {
    let script = "trap '' TERM\n\
        setsid sh -c 'trap \"\" TERM; echo $$ >> pids; while :; do sleep 1; done' &\n\
        (setsid sh -c 'echo $$ >> pids; exec sleep 1000' &)\n\
        echo $$ >> pids; while :; do sleep 1; done";
    let mut run = Run::of(script, quick());
    run.serving().await;
    let pids = run.numbers("pids", 3).await;
    assert!(pids.iter().all(|pid| lives(*pid)));
    run.stop().await;
    assert!(pids.iter().all(|pid| !lives(*pid)), "left over: {pids:?}");
}

#[tokio::test]
async fn a_process_that_ends_when_asked_to_is_not_waited_for_any_longer() {
    let mut run = Run::with_grace("exec sleep 1000", quick(), "1000");
    let pid = run.serving().await;
    run.stop().await;
    assert!(!lives(pid));
}

#[tokio::test]
async fn a_process_that_is_asked_to_end_may_tidy_up() {
    // It ends by itself, and so soon that nobody waits for the whole grace.
    let policy = Policy { grace: Duration::from_mins(1), ..quick() };
    let script = "trap 'echo 1 > tidied; exit 0' TERM; echo 1 > up; while :; do sleep 0.05; done";
    let mut run = Run::with_grace(script, policy, "60");
    run.serving().await;
    run.numbers("up", 1).await;
    run.stop().await;
    assert_eq!(run.numbers("tidied", 1).await, [1]);
}

#[tokio::test]
async fn what_a_crashed_process_left_is_gone_before_it_is_started_again() {
    let script =
        "setsid sh -c 'echo $$ >> left; exec sleep 1000' & while ! test -s left; do sleep 0.01; done; exit 1";
    let mut run = Run::of(script, quick());
    run.failure().await;
    let left = run.numbers("left", 1).await;
    assert!(!lives(left[0]));
    run.stop().await;
}

#[tokio::test]
async fn the_environment_is_the_manifests_own_and_no_more_than_programs_need() {
    // Cargo sets this variable for tests: it stands for anything private in a shell.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let mut run =
        Run::of("env > seen.tmp; cat made/deep/file >> seen.tmp; mv seen.tmp seen; exec sleep 1000", quick());
    let seen = run.folder.path().join("seen");
    eventually(|| seen.exists()).await;
    let text = std::fs::read_to_string(&seen).unwrap();
    assert!(text.contains("OWN=of the manifest\n") && text.contains("PATH="), "{text}");
    assert!(text.ends_with("content") && !text.contains("CARGO"), "{text}");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(run.folder.path().join("made/deep/file")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o077, 0, "files may hold secrets");
    run.stop().await;
}

/// Starts this program again as somebody who holds a keeper's socket, and gives it with the numbers its script wrote.
async fn with_holder<F: Future<Output = ()>>(
    then: impl FnOnce(tokio::process::Child, Arc<[i32]>, PathBuf) -> F,
) {
    let folder = tempfile::tempdir().unwrap();
    let holder = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["as_holder", "--exact", "--nocapture", "--"])
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let path = folder.path().join("pids");
    let numbers = || -> Vec<i32> {
        std::fs::read_to_string(&path)
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.parse().ok())
            .collect()
    };
    eventually(|| numbers().len() == 2).await;
    then(holder, numbers().into(), folder.path().to_owned()).await;
}

/// Not a test of its own: this program, started again with a folder after `--`, runs a process until it is killed.
#[tokio::test]
async fn as_holder() {
    let Some(folder) = std::env::args().skip_while(|arg| arg != "--").nth(1) else { return };
    let script =
        "setsid sh -c 'trap \"\" TERM; echo $$ >> pids; while :; do sleep 1; done' & echo $$ >> pids; wait";
    let command = Command {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: BTreeMap::new(),
        directories: Vec::new(),
        files: Vec::new(),
        work_directory: Path::new(&folder).to_owned(),
        port: 1,
        probe: Probe::Connect,
    };
    let _process =
        Process::start(command, (keeper("2"), Policy::default()), Output::new(None), async {}, |_| {});
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn nothing_is_left_when_the_starter_is_killed_with_no_chance_to_tidy_up() {
    with_holder(|mut holder, pids, _| async move {
        assert!(pids.iter().all(|pid| lives(*pid)));
        holder.kill().await.unwrap();
        eventually(|| pids.iter().all(|pid| !lives(*pid))).await;
    })
    .await;
}
