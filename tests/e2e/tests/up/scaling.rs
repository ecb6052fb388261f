//! Servers whose number of processes follows their load, to zero and back.

use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    client::{Client, connect, eras, modern, read, tools},
    files_server,
    running::{PATIENCE, Up, command_line, descendants, eventually, lives, signal},
};

fn write(folder: &Path, name: &str, rest: &str) {
    let text = files_server(name, "first") + rest;
    fs::write(folder.join(format!("{name}.yaml")), text).unwrap();
}

/// A folder with one server whose manifest ends so.
fn one(rest: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "alpha", rest);
    folder
}

fn pid(event: &Value) -> i32 {
    i32::try_from(event["pid"].as_i64().unwrap()).unwrap()
}

/// The processes of servers, without those that keep them.
fn servers(up: &Up) -> Vec<i32> {
    let is_server = |pid: &i32| command_line(*pid).split(' ').nth(1) == Some("serve");
    descendants(up.pid()).into_iter().filter(is_server).collect()
}

/// The first event from now on that says the server has so many processes, and all of them serve.
async fn until_replicas(up: &mut Up, name: &str, count: u32) -> Value {
    let is_it = |event: &Value| {
        event["name"] == name
            && event["state"] == "ready"
            && event["desired"] == count
            && event["replicas"] == count
    };
    up.wait_for(is_it).await
}

/// What a process of the server takes from its start until it listens, without Portico.
fn start_alone(folder: &Path) -> Duration {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let began = Instant::now();
    let mut child = std::process::Command::new(portico_e2e::program())
        .args(["serve", "files", "--listen", &address.to_string()])
        .env("FILES_ALLOWED_DIRS", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while TcpStream::connect(address).is_err() {
        assert!(began.elapsed() < PATIENCE, "it does not listen");
        std::thread::yield_now();
    }
    let took = began.elapsed();
    child.kill().unwrap();
    child.wait().unwrap();
    took
}

#[tokio::test]
async fn a_server_goes_to_zero_after_its_idle_time_and_its_first_call_wakes_it_and_is_answered() {
    let folder = one("  scaling: {min: 0, max: 3, idleSeconds: 10}\n");
    let mut up = Up::start(folder.path()).await;
    let ready = up.until("alpha", "ready").await;
    assert_eq!((&ready["replicas"], &ready["desired"]), (&json!(1), &json!(1)), "{ready}");
    for era in eras() {
        let client = connect(&up.url, era).await;
        let idle = up.until("alpha", "idle").await;
        assert_eq!(
            (&idle["tools"], &idle["replicas"], &idle["reason"]),
            (&json!(5), &json!(0), &json!("Idle"))
        );
        eventually("the end of its process", || servers(&up).is_empty()).await;
        assert_eq!(tools(&client).await.len(), 5, "its tools stay listed");
        assert!(servers(&up).is_empty(), "to list wakes nobody");

        let began = Instant::now();
        assert!(read(&client, "read_file", "note.md").await.contains("first"));
        let took = began.elapsed();
        let woken = up.until("alpha", "starting").await;
        assert_eq!((&woken["desired"], &woken["reason"]), (&json!(1), &json!("Woken")), "{woken}");
        up.until("alpha", "ready").await;
        let again = Instant::now();
        read(&client, "read_file", "note.md").await;
        let (call, start) = (again.elapsed(), start_alone(folder.path()));
        println!(
            "first call {took:.1?}: process start to listening {start:.1?}, a call {call:.1?}, the rest {:.1?}",
            took.saturating_sub(start + call)
        );
    }
    assert!(up.interrupt().await.success());
}

/// Calls made all the time by many callers, and whether all were answered.
struct Load {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
    callers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    /// So many callers make one call after the other, with a pause after each however long it took; none may fail.
    fn of(client: &Arc<Client>, callers: usize, pause: Duration) -> Self {
        let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let caller = |_| {
            let (client, stop, made) = (Arc::clone(client), Arc::clone(&stop), Arc::clone(&made));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    assert!(read(&client, "read_file", "note.md").await.contains("first"));
                    made.fetch_add(1, Ordering::Relaxed);
                    sleep(pause).await;
                }
            })
        };
        Self { callers: (0..callers).map(caller).collect(), stop, made }
    }

    /// Ends it; every caller must have been answered every time.
    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for ended in join_all(self.callers).await {
            ended.unwrap();
        }
        self.made.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_raises_the_processes_and_no_call_fails_while_they_go_again() {
    let folder = one(
        "  scaling: {min: 0, max: 3, targetConcurrency: 1, windowSeconds: 5, scaleInSeconds: 2, drainSeconds: 5}\n",
    );
    let mut up = Up::start(folder.path()).await;
    up.until("alpha", "ready").await;
    let client = Arc::new(modern(&up.url).await);
    // So seldom that slow calls, too, leave one process idle most of the time.
    let few = Load::of(&client, 1, Duration::from_millis(500));
    let many = Load::of(&client, 32, Duration::from_millis(1));
    let risen = until_replicas(&mut up, "alpha", 3).await;
    assert!(["LoadRose", "Burst"].contains(&risen["reason"].as_str().unwrap()), "{risen}");
    assert_eq!(servers(&up).len(), 3);
    let at_once = many.end().await;
    let fallen = until_replicas(&mut up, "alpha", 1).await;
    assert_eq!(fallen["reason"], "LoadFell", "{fallen}");
    eventually("the end of the processes that are too many", || servers(&up).len() == 1).await;
    let one_by_one = few.end().await;
    println!("{at_once} calls by 32 callers at once and {one_by_one} by one: all answered");
    assert!(up.interrupt().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_of_two_that_is_killed_loses_no_call_that_can_be_repeated() {
    let folder = one("  replicas: 2\n");
    let mut up = Up::start(folder.path()).await;
    until_replicas(&mut up, "alpha", 2).await;
    let client = Arc::new(modern(&up.url).await);
    let load = Load::of(&client, 8, Duration::from_millis(5));
    eventually("some calls", || load.made.load(Ordering::Relaxed) > 50).await;
    for _ in 0..3 {
        let victim = servers(&up)[0];
        signal(victim, "KILL").await;
        let told = up.wait_for(|event| event["name"] == "alpha").await;
        assert_eq!(told["state"], "ready", "the other one serves: {told}");
        assert_eq!((&told["replicas"], &told["desired"]), (&json!(1), &json!(2)), "{told}");
        assert!(told["reason"].as_str().unwrap().contains("SIGKILL"), "{told}");
        until_replicas(&mut up, "alpha", 2).await;
    }
    println!("{} calls while processes were killed: all answered", load.end().await);
    assert!(up.interrupt().await.success());
}

#[tokio::test]
async fn an_edit_of_scaling_takes_effect_at_once_and_leaves_the_first_process_alone() {
    let folder = one("  scaling: {min: 2, max: 3}\n");
    let mut up = Up::start(folder.path()).await;
    let two = until_replicas(&mut up, "alpha", 2).await;
    assert_eq!(two["reason"], "BelowMinimum", "{two}");
    for (rest, count) in [
        ("  scaling: {min: 3, max: 3}\n", 3),
        ("  scaling: {min: 1, max: 2}\n", 2),
        ("  scaling: {min: 1, max: 1}\n", 1),
        ("  replicas: 2\n", 2),
        ("  scaling: {min: 3, max: 3}\n", 3),
    ] {
        write(folder.path(), "alpha", rest);
        let ready = up
            .wait_for(|event| {
                event["state"] == "ready" && event["desired"] == count && event["replicas"] == count
            })
            .await;
        assert_eq!(ready["pid"], two["pid"], "{ready}");
        eventually("as many processes", || servers(&up).len() == count).await;
    }
    write(folder.path(), "alpha", "");
    let ready = up.wait_for(|event| event["state"] == "ready" && event["desired"].is_null()).await;
    assert_eq!(ready["pid"], two["pid"], "{ready}");
    eventually("one process", || servers(&up).len() == 1).await;
    assert!(read(&modern(&up.url).await, "read_file", "note.md").await.contains("first"));
    assert!(up.interrupt().await.success());
}

#[tokio::test]
async fn a_server_that_never_starts_is_told_with_its_reason_and_costs_the_others_nothing() {
    let folder = one("");
    let broken = files_server("beta", "second").replace("value: /docs", "value: /no/such/folder");
    let scaling = "  scaling: {min: 0, max: 3, startSeconds: 5}\n";
    fs::write(folder.path().join("beta.yaml"), broken + scaling).unwrap();
    let mut up = Up::start(folder.path()).await;
    let alpha = up.until_ready(&["alpha"]).await;
    let client = modern(&up.url).await;
    let given_up = up
        .wait_for(|event| event["name"] == "beta" && event["state"] == "failed" && event["desired"] == 0)
        .await;
    let reason = given_up["reason"].as_str().unwrap();
    assert!(reason.contains("/no/such/folder") && reason.contains("not started again before"), "{reason}");
    assert!(read(&client, "read_file", "note.md").await.contains("first"));
    // It is tried again by itself: nobody can call tools that are not known.
    let again = up.wait_for(|event| event["name"] == "beta" && event["desired"] == 1).await;
    assert_ne!(again["state"], "ready", "{again}");
    write(folder.path(), "beta", scaling);
    until_replicas(&mut up, "beta", 1).await;
    assert!(lives(pid(&alpha["alpha"])), "the other one was never touched");
    assert!(up.interrupt().await.success());
}

#[tokio::test]
async fn an_edit_of_a_server_at_zero_starts_it_so_that_its_tools_are_those_of_the_edit() {
    let scaling = "  scaling: {min: 0, max: 3, idleSeconds: 10}\n";
    let folder = one(scaling);
    let mut up = Up::start(folder.path()).await;
    let idle = up.until("alpha", "idle").await;
    assert_eq!(idle["tools"], 5);
    let writable = files_server("alpha", "first").replace(
        "      value: /docs\n",
        "      value: /docs\n    - name: FILES_WRITABLE\n      value: 'true'\n",
    );
    fs::write(folder.path().join("alpha.yaml"), writable + scaling).unwrap();
    let ready = up.wait_for(|event| event["state"] == "ready" && event["tools"] != 5).await;
    assert_eq!(ready["desired"], 1, "{ready}");
    assert!(up.interrupt().await.success());
}

#[tokio::test]
async fn an_interrupt_leaves_no_process_of_a_server_with_several() {
    let folder = one("  scaling: {min: 3, max: 3}\n");
    let mut up = Up::start(folder.path()).await;
    until_replicas(&mut up, "alpha", 3).await;
    let all = descendants(up.pid());
    assert!(servers(&up).len() == 3 && all.len() == 6, "each has a keeper: {all:?}");
    assert!(up.interrupt().await.success());
    assert!(all.iter().all(|pid| !lives(*pid)), "something is left");
    let runs = up.state.path().join("portico/runs");
    let left: Vec<_> = fs::read_dir(runs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"]);
}
