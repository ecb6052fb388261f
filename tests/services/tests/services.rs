//! What the tests of other crates rest on: the services work, and leave nothing.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use portico_services::{Postgres, Redis};

fn answers(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[tokio::test]
async fn postgresql_keeps_what_was_committed_through_a_kill() {
    let mut postgres = Postgres::start(&["fsync=on"]).await.unwrap();
    postgres.database("shop").unwrap();
    postgres.query("shop", "CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (7)").unwrap();
    postgres.kill();
    assert!(!answers(postgres.port()));
    postgres.start_again().await.unwrap();
    assert_eq!(postgres.query("shop", "SELECT n FROM t").unwrap(), "7");
    assert_eq!(postgres.query("shop", "SHOW fsync").unwrap(), "on");
}

#[tokio::test]
async fn a_replica_of_postgresql_follows_and_takes_no_writes() {
    let postgres = Postgres::start(&[]).await.unwrap();
    let replica = postgres.replica().await.unwrap();
    postgres.query("postgres", "CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (7)").unwrap();
    eventually("the row arrives", || {
        replica.query("postgres", "SELECT n FROM t").is_ok_and(|rows| rows == "7")
    });
    let refused = replica.query("postgres", "INSERT INTO t VALUES (8)").unwrap_err().to_string();
    assert!(refused.contains("read-only transaction"), "{refused}");
}

#[tokio::test]
async fn redis_answers_and_hangs_on_request() {
    let redis = Redis::start(&[]).await.unwrap();
    let ask = |within| {
        let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
        stream.set_read_timeout(Some(within)).unwrap();
        stream.write_all(b"PING\r\n").unwrap();
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).map(|()| answer)
    };
    let patience = Duration::from_mins(1);
    assert_eq!(&ask(patience).unwrap(), b"+PONG\r\n");
    redis.pause();
    assert!(ask(Duration::from_millis(300)).is_err(), "it hangs");
    redis.resume();
    assert_eq!(&ask(patience).unwrap(), b"+PONG\r\n");
}

/// Not a test of its own: this program, started again with `holder` after `--`, holds services until it is killed.
#[tokio::test]
async fn as_holder() {
    if !std::env::args().skip_while(|arg| arg != "--").any(|arg| arg == "holder") {
        return;
    }
    let (postgres, redis) = (Postgres::start(&[]).await.unwrap(), Redis::start(&[]).await.unwrap());
    println!("\nports {} {}", postgres.port(), redis.port());
    std::future::pending::<()>().await;
}

#[test]
fn services_end_with_a_test_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .env("TMPDIR", folder.path())
        .args(["as_holder", "--exact", "--nocapture", "--", "holder"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.into_iter().find(|line| line.starts_with("ports ")).expect("the ports");
    let ports: Vec<u16> = line.split(' ').skip(1).map(|port| port.parse().unwrap()).collect();
    assert!(ports.iter().all(|&port| answers(port)));
    holder.kill().unwrap();
    holder.wait().unwrap();
    eventually("both have ended", || !ports.iter().any(|&port| answers(port)));
}
