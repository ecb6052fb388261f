//! Fetching from a real web server that misbehaves.

mod server;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use portico_models::fetch::{
    self, Failure, Fetched, Order, Progress, Reason, Reporter, Source, State, Verified, free_space, line,
};
use sha2::Digest as _;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use server::{Act, Asked, Server};

const MIB: usize = 1024 * 1024;

fn content(bytes: usize) -> Vec<u8> {
    (0..=250_u8).cycle().take(bytes).collect()
}

fn sum(content: &[u8]) -> String {
    format!("{:x}", sha2::Sha256::digest(content))
}

/// An order for the server's file, in a folder of its own.
fn order(server: &Server, folder: &TempDir, sha256: &str) -> Order {
    rustls::crypto::ring::default_provider().install_default().ok();
    Order {
        source: Source::url(&server.url()).unwrap(),
        sha256: Some(sha256.parse().unwrap()),
        size: None,
        into: folder.path().join("cache/small.gguf"),
        token: None,
        deadline: Duration::from_mins(1),
        first_pause: Duration::from_millis(1),
        free_space,
    }
}

async fn run(order: &Order) -> Result<Fetched, Failure> {
    fetch::fetch(order, &Reporter::new().0, &CancellationToken::new()).await
}

fn beside(order: &Order, ending: &str) -> PathBuf {
    Path::new(&format!("{}{ending}", order.into.display())).to_owned()
}

#[track_caller]
fn is_there(order: &Order, content: &[u8]) {
    assert!(std::fs::read(&order.into).unwrap() == content, "the file has other content");
    for ending in [".partial", ".partial.json"] {
        assert!(!beside(order, ending).exists(), "{ending} was left");
    }
}

fn ranges(server: &Server) -> Vec<Option<String>> {
    server.asked().into_iter().map(|asked| asked.range).collect()
}

#[tokio::test]
async fn a_file_is_verified_and_the_next_time_needs_no_network() {
    let (content, folder) = (content(3 * MIB), TempDir::new().unwrap());
    let server = Server::start(&content, []).await;
    let order = order(&server, &folder, &sum(&content));
    for _ in 0..2 {
        let fetched = run(&order).await.unwrap();
        assert_eq!(fetched.bytes, content.len() as u64);
        assert_eq!(fetched.verified, Verified::AsAsked(sum(&content).parse().unwrap()));
    }
    is_there(&order, &content);
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_file_in_its_place_with_another_checksum_is_replaced() {
    let (content, folder) = (content(100), TempDir::new().unwrap());
    let server = Server::start(&content, []).await;
    let order = order(&server, &folder, &sum(&content));
    std::fs::create_dir(folder.path().join("cache")).unwrap();
    std::fs::write(&order.into, "an earlier version").unwrap();
    run(&order).await.unwrap();
    is_there(&order, &content);
}

#[tokio::test]
async fn after_a_cut_only_the_rest_is_fetched() {
    let (content, folder) = (content(2 * MIB), TempDir::new().unwrap());
    let server = Server::start(&content, [Act::CutAfter(MIB), Act::CutAfter(MIB / 2)]).await;
    let order = order(&server, &folder, &sum(&content));
    run(&order).await.unwrap();
    is_there(&order, &content);
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!((&asked[0].range, &asked[0].if_range), (&None, &None));
    for (before, asked) in asked.iter().zip(&asked[1..]) {
        let start = |asked: &Asked| {
            asked.range.as_ref().map(|range| range[6..range.len() - 1].parse::<u64>().unwrap())
        };
        assert!(start(asked).unwrap() > start(before).unwrap_or(0), "{asked:?}");
        assert_eq!(asked.if_range.as_deref(), Some("\"one\""));
    }
}

#[tokio::test]
async fn a_server_that_ignores_ranges_begins_again() {
    let (content, folder) = (content(MIB), TempDir::new().unwrap());
    let server = Server::start(&content, [Act::CutAfter(MIB / 2), Act::IgnoreRange]).await;
    let order = order(&server, &folder, &sum(&content));
    run(&order).await.unwrap();
    is_there(&order, &content);
    assert!(ranges(&server)[1].is_some(), "it was asked for the rest");
}

#[tokio::test]
async fn a_file_that_changed_between_two_tries_is_never_mixed() {
    let (old, new, folder) = (content(MIB), content(MIB + 7), TempDir::new().unwrap());
    let server = Server::start(&old, [Act::CutAfter(MIB / 2)]).await;
    let mut order = order(&server, &folder, &sum(&new));
    order.first_pause = order.deadline;
    assert_eq!(run(&order).await.unwrap_err().reason(), Reason::Unreachable, "no time for a second try");
    server.replace(&new, "\"two\"");
    run(&order).await.unwrap();
    is_there(&order, &new);
    assert_eq!(server.asked()[1].if_range.as_deref(), Some("\"one\""));
}

#[tokio::test]
async fn another_content_is_removed_and_never_put_in_its_place() {
    let (content, folder) = (content(1000), TempDir::new().unwrap());
    let server = Server::start(&content, []).await;
    let order = order(&server, &folder, &sum(b"something else"));
    let failure = run(&order).await.unwrap_err();
    assert_eq!(failure.reason(), Reason::ChecksumMismatch);
    let said = failure.to_string();
    assert!(said.contains(&sum(&content)) && said.contains("check spec.source.url"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path().join("cache")).unwrap().count(), 0);
    assert_eq!(server.asked().len(), 1, "the same content would come again");
}

#[tokio::test]
async fn what_an_earlier_run_left_damaged_is_fetched_again() {
    let (content, folder) = (content(MIB), TempDir::new().unwrap());
    let server = Server::start(&content, [Act::CutAfter(MIB / 2)]).await;
    let mut order = order(&server, &folder, &sum(&content));
    order.first_pause = order.deadline;
    run(&order).await.unwrap_err();
    let length = std::fs::metadata(beside(&order, ".partial")).unwrap().len();
    std::fs::write(beside(&order, ".partial"), vec![0; usize::try_from(length).unwrap()]).unwrap();
    order.first_pause = Duration::ZERO;
    run(&order).await.unwrap();
    is_there(&order, &content);
    assert!(ranges(&server)[1].is_some() && ranges(&server)[2].is_none(), "{:?}", server.asked());
}

#[tokio::test]
async fn a_file_of_another_size_is_not_even_begun() {
    let (content, folder) = (content(1000), TempDir::new().unwrap());
    let server = Server::start(&content, []).await;
    let mut order = order(&server, &folder, &sum(&content));
    order.size = Some(999);
    let failure = run(&order).await.unwrap_err();
    assert_eq!(failure.reason(), Reason::ChecksumMismatch);
    assert!(failure.to_string().contains("has 1000 bytes, not 999"), "{failure}");
}

#[tokio::test]
async fn what_no_second_try_can_mend_ends_at_once_and_says_what_to_check() {
    for (code, token, reason, words) in [
        (404, None, Reason::NotFound, "does not exist (HTTP status 404): check spec.source.url"),
        (401, None, Reason::Unauthorized, "no token was sent: check spec.source.url.tokenSecret"),
        (403, Some("s3cret"), Reason::Unauthorized, "though a token was sent"),
        (451, None, Reason::Unreachable, "HTTP status 451"),
    ] {
        let folder = TempDir::new().unwrap();
        let server = Server::start(b"x", [Act::Status(code, &[])]).await;
        let mut order = order(&server, &folder, &sum(b"x"));
        order.token = token.map(Into::into);
        let outcome = run(&order).await;
        assert_eq!(outcome.as_ref().unwrap_err().reason(), reason);
        let said = line(&outcome);
        assert!(said.starts_with(reason.as_str()) && said.contains(words), "{said}");
        assert!(
            said.contains("/files/small.gguf") && !said.contains("hidden") && !said.contains("s3cret"),
            "{said}"
        );
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again_when_the_server_says_so() {
    let (content, folder) = (content(100), TempDir::new().unwrap());
    let soon: &[(&str, &str)] = &[("retry-after", "0")];
    let server =
        Server::start(&content, [Act::Status(503, soon), Act::Status(429, soon), Act::Status(500, soon)])
            .await;
    let mut order = order(&server, &folder, &sum(&content));
    order.first_pause = order.deadline;
    run(&order).await.unwrap();
    is_there(&order, &content);
    let late: &[(&str, &str)] = &[("retry-after", "3600")];
    let server = Server::start(&content, [Act::Status(503, late)]).await;
    let folder = TempDir::new().unwrap();
    let failure = run(&self::order(&server, &folder, &sum(&content))).await.unwrap_err();
    assert!(failure.to_string().contains("HTTP status 503"), "an hour is past the deadline: {failure}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_unreachable() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(b"x", []).await;
    let mut order = order(&server, &folder, &sum(b"x"));
    order.source = Source::url("http://127.0.0.1:1/x").unwrap();
    order.first_pause = order.deadline;
    let failure = run(&order).await.unwrap_err();
    assert_eq!(failure.reason(), Reason::Unreachable);
    assert!(failure.to_string().contains("cannot connect"), "{failure}");
}

#[tokio::test]
async fn a_server_that_falls_silent_does_not_hold_the_fetch_past_its_deadline() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&content(MIB), [Act::HangAfter(MIB / 2)]).await;
    let mut order = order(&server, &folder, &sum(b"x"));
    order.deadline = Duration::from_millis(300);
    let failure = run(&order).await.unwrap_err();
    assert!(failure.to_string().contains("the deadline has passed"), "{failure}");
}

#[tokio::test]
async fn too_small_a_volume_is_noticed_before_the_download_and_says_how_much_is_missing() {
    let (content, folder) = (content(MIB), TempDir::new().unwrap());
    let server = Server::start(&content, []).await;
    let mut order = order(&server, &folder, &sum(&content));
    order.free_space = |_| Ok(1000);
    let failure = run(&order).await.unwrap_err();
    assert_eq!(failure.reason(), Reason::NoSpace);
    assert!(failure.to_string().contains("1047576 bytes of space are missing"), "{failure}");
    assert_eq!(std::fs::metadata(beside(&order, ".partial")).unwrap().len(), 0);
}

#[tokio::test]
async fn a_volume_that_fills_up_meanwhile_is_noticed_and_what_came_is_kept() {
    static LOOKS: AtomicU64 = AtomicU64::new(0);
    let (content, folder) = (content(9 * MIB), TempDir::new().unwrap());
    let server = Server::start(&content, []).await;
    let mut order = order(&server, &folder, &sum(&content));
    order.free_space = |_| Ok(if LOOKS.fetch_add(1, Ordering::Relaxed) == 0 { u64::MAX } else { 0 });
    assert_eq!(run(&order).await.unwrap_err().reason(), Reason::NoSpace);
    assert!(std::fs::metadata(beside(&order, ".partial")).unwrap().len() >= 4 * MIB as u64);
    order.free_space = free_space;
    run(&order).await.unwrap();
    is_there(&order, &content);
    assert!(ranges(&server)[1].is_some(), "it went on from there");
}

#[tokio::test]
async fn a_token_goes_to_its_own_origin_alone() {
    let (content, folder) = (content(100), TempDir::new().unwrap());
    let store = Server::start(&content, []).await;
    let hops = [Act::Redirect("/moved".into(), None), Act::Redirect(store.url(), None)];
    let server = Server::start(b"", hops).await;
    let mut order = order(&server, &folder, &sum(&content));
    order.token = Some("s3cret".into());
    run(&order).await.unwrap();
    is_there(&order, &content);
    let tokens = |server: &Server| server.asked().into_iter().map(|asked| asked.token).collect::<Vec<_>>();
    assert_eq!(tokens(&server), [Some("Bearer s3cret".to_owned()), Some("Bearer s3cret".to_owned())]);
    assert_eq!(tokens(&store), [None]);
}

#[tokio::test]
async fn redirects_without_end_are_given_up() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(b"", vec![Act::Redirect("/again".into(), None); 40]).await;
    let failure = run(&order(&server, &folder, &sum(b""))).await.unwrap_err();
    assert!(failure.to_string().contains("too many redirects"), "{failure}");
}

/// Starts a fetch of a server that falls silent in the middle, and waits until that much has come.
async fn half(order: &Order, stop: &CancellationToken) -> tokio::task::JoinHandle<Result<Fetched, Failure>> {
    let (reporter, mut progress) = Reporter::new();
    let (order, stop) = (order.clone(), stop.clone());
    let fetch = tokio::spawn(async move { fetch::fetch(&order, &reporter, &stop).await });
    progress.wait_for(|progress| progress.bytes >= MIB as u64).await.unwrap();
    fetch
}

#[tokio::test]
async fn a_fetch_that_was_killed_goes_on_where_it_was() {
    let (content, folder) = (content(2 * MIB), TempDir::new().unwrap());
    let server = Server::start(&content, [Act::HangAfter(MIB)]).await;
    let order = order(&server, &folder, &sum(&content));
    let killed = half(&order, &CancellationToken::new()).await;
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    assert!(!order.into.exists());
    run(&order).await.unwrap();
    is_there(&order, &content);
    assert!(ranges(&server)[1].is_some(), "{:?}", server.asked());
}

#[tokio::test]
async fn a_fetch_that_is_told_to_stop_keeps_every_byte() {
    let (content, folder) = (content(2 * MIB), TempDir::new().unwrap());
    let server = Server::start(&content, [Act::HangAfter(MIB)]).await;
    let (order, stop) = (order(&server, &folder, &sum(&content)), CancellationToken::new());
    let stopped = half(&order, &stop).await;
    stop.cancel();
    let outcome = stopped.await.unwrap();
    assert_eq!(
        line(&outcome),
        "Interrupted: stopped; 1048576 bytes are kept and a later run goes on from there"
    );
    run(&order).await.unwrap();
    is_there(&order, &content);
    assert_eq!(ranges(&server)[1].as_deref(), Some("bytes=1048576-"));
}

#[tokio::test]
async fn of_two_at_once_one_downloads_and_both_have_the_file() {
    let (content, folder) = (content(2 * MIB), TempDir::new().unwrap());
    let server = Server::start(&content, []).await;
    let order = order(&server, &folder, &sum(&content));
    let (one, other) = tokio::join!(run(&order), run(&order));
    assert_eq!(one.unwrap(), other.unwrap());
    is_there(&order, &content);
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn progress_can_be_asked_for() {
    let (content, folder) = (content(2 * MIB), TempDir::new().unwrap());
    let server = Server::start(&content, [Act::HangAfter(MIB)]).await;
    let (order, stop) = (order(&server, &folder, &sum(&content)), CancellationToken::new());
    let (reporter, mut progress) = Reporter::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/progress", listener.local_addr().unwrap());
    tokio::spawn(fetch::serve(listener, progress.clone()));
    let (ordered, told) = (order.clone(), stop.clone());
    let running = tokio::spawn(async move { fetch::fetch(&ordered, &reporter, &told).await });
    progress.wait_for(|progress| progress.bytes >= MIB as u64).await.unwrap();
    let ask = async || reqwest::get(&url).await.unwrap().json::<serde_json::Value>().await.unwrap();
    let expected = serde_json::json!({"state": "downloading", "bytes": MIB, "total": 2 * MIB, "percent": 50, "message": "downloading"});
    assert_eq!(ask().await, expected);
    stop.cancel();
    running.await.unwrap().unwrap_err();
    assert_eq!(ask().await["state"], "failed");
    let (reporter, progress) = Reporter::new();
    fetch::fetch(&order, &reporter, &CancellationToken::new()).await.unwrap();
    let Progress { state, percent, total, .. } = progress.borrow().clone();
    assert_eq!((state, percent, total), (State::Done, Some(100), Some(2 * MIB as u64)));
}

#[tokio::test]
async fn a_hub_file_is_held_against_the_checksum_that_the_hub_states() {
    for (stated, reason) in [(sum(&content(100)), None), (sum(b"other"), Some(Reason::ChecksumMismatch))] {
        let folder = TempDir::new().unwrap();
        let store = Server::start(&content(100), []).await;
        let hub = Server::start(b"", [Act::Redirect(store.url(), Some(stated))]).await;
        let mut order = order(&hub, &folder, &sum(b""));
        let endpoint = format!("http://{}/", hub.address);
        order.source = Source::hugging_face(&endpoint, "shop/small", "q4/a b.gguf", "refs/pr/1").unwrap();
        order.sha256 = None;
        let outcome = run(&order).await;
        assert_eq!(hub.asked()[0].path, "/shop/small/resolve/refs%2Fpr%2F1/q4/a%20b.gguf");
        assert_eq!(outcome.as_ref().err().map(Failure::reason), reason);
        assert!(
            reason.is_some() || line(&outcome).contains("give `sha256` to rule out another file"),
            "{}",
            line(&outcome)
        );
    }
}

#[tokio::test]
async fn a_hub_file_of_which_no_checksum_is_known_is_said_not_to_be_verified() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(b"small", []).await;
    let mut order = order(&server, &folder, &sum(b""));
    order.sha256 = None;
    let outcome = run(&order).await;
    assert_eq!(line(&outcome), "Downloaded: 5 bytes, not verified: no SHA-256 is known; give `sha256`");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_to_is_named() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(b"small", []).await;
    std::fs::write(folder.path().join("cache"), "a file").unwrap();
    let failure = run(&order(&server, &folder, &sum(b"small"))).await.unwrap_err();
    assert_eq!(failure.reason(), Reason::Unwritable);
    assert!(failure.to_string().contains("cache/small.gguf"), "{failure}");
}

#[test]
fn what_is_no_url_or_no_checksum_is_refused() {
    for text in ["small.gguf", "file:///etc/passwd", "ftp://a.example/x", ""] {
        assert!(Source::url(text).is_err(), "{text}");
    }
    for text in ["", "abc", &"g".repeat(64)] {
        assert!(text.parse::<fetch::Sha256>().is_err(), "{text}");
    }
    assert_eq!("AB".repeat(32).parse::<fetch::Sha256>().unwrap().to_string(), "ab".repeat(32));
}
