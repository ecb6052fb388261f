//! The client for an API, against a local server that answers as it is told.

use std::{
    collections::VecDeque,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body as Content, Bytes},
    extract::State,
    http::{HeaderMap, Method as HttpMethod, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::future::join_all;
use portico_kit::{
    Checks, Correlation, Metrics,
    upstream::{Body, Call, Class, Client, Error, Method, Policy, Retry, Strategy, Trip},
};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore};

/// What the server does with a request.
#[derive(Clone)]
enum Reply {
    Ok,
    Status(u16),
    With(u16, Vec<(&'static str, String)>),
    /// Breaks the connection where the body should be.
    Broken,
    Never,
    /// Answers when it is let.
    Held(Arc<Semaphore>),
}

#[derive(Default)]
struct Api {
    replies: Mutex<VecDeque<Reply>>,
    last: Mutex<Option<Reply>>,
    seen: Mutex<Vec<(HttpMethod, String, HeaderMap)>>,
}

impl Api {
    /// Answers with these, one after the other, and then with the last of them.
    fn answer(&self, replies: impl IntoIterator<Item = Reply>) {
        *self.replies.lock().unwrap() = replies.into_iter().collect();
    }

    fn next(&self) -> Reply {
        let mut last = self.last.lock().unwrap();
        if let Some(next) = self.replies.lock().unwrap().pop_front() {
            *last = Some(next);
        }
        last.clone().unwrap_or(Reply::Ok)
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    fn header(&self, name: &str) -> String {
        self.seen.lock().unwrap().last().unwrap().2[name].to_str().unwrap().to_owned()
    }
}

async fn reply(State(api): State<Arc<Api>>, request: axum::extract::Request) -> Response {
    let path = request.uri().path().to_owned();
    api.seen.lock().unwrap().push((request.method().clone(), path, request.headers().clone()));
    match api.next() {
        Reply::Ok => axum::Json(json!({"ok": true})).into_response(),
        Reply::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Reply::With(status, headers) => {
            let mut response = StatusCode::from_u16(status).unwrap().into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Reply::Broken => {
            let broken = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("broken")) });
            ([(header::CONTENT_LENGTH, "64")], Content::from_stream(broken)).into_response()
        }
        Reply::Never => std::future::pending().await,
        Reply::Held(gate) => {
            gate.acquire().await.unwrap().forget();
            axum::Json(json!({})).into_response()
        }
    }
}

struct World {
    api: Arc<Api>,
    client: Client,
    metrics: Arc<Metrics>,
    checks: Arc<Checks>,
}

fn quick() -> Policy {
    Policy {
        attempt_timeout: Duration::from_secs(20),
        call_timeout: Duration::from_mins(1),
        retry: Retry { strategy: Strategy::Fixed(Duration::from_millis(1)), ..Retry::default() },
        per_minute: NonZeroU32::new(60_000).unwrap(),
        ..Policy::default()
    }
}

fn client(address: &str, policy: Policy, metrics: &Arc<Metrics>) -> Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    let base = format!("http://{address}/api").parse().unwrap();
    Client::new("Shop", base, policy, |_| None, Arc::clone(metrics)).unwrap()
}

async fn world(policy: Policy) -> World {
    let api: Arc<Api> = Arc::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let app = Router::new().fallback(reply).with_state(Arc::clone(&api));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let (metrics, checks) = (Arc::new(Metrics::default()), Arc::new(Checks::default()));
    let client = client(&address, policy, &metrics).with_check(checks.add("upstream"));
    World { api, client, metrics, checks }
}

impl World {
    async fn get(&self) -> Result<(), Error> {
        self.client.send(&Call::get("/things").group("things")).await.map(drop)
    }

    async fn add(&self) -> Result<(), Error> {
        let call = Call::new(Method::PUT, "/cart").group("cart").body(Body::Json(json!({"quantity": 1})));
        self.client.send(&call).await.map(drop)
    }

    fn check(&self) -> Value {
        let all: Value = serde_json::from_str(&self.checks.render()).unwrap();
        all["checks"][0].clone()
    }

    fn counts(&self, line: &str) {
        let text = self.metrics.render();
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

fn class(result: Result<(), Error>) -> Class {
    result.unwrap_err().class()
}

#[rstest]
#[case::broken(Reply::Broken)]
#[case::failed(Reply::Status(503))]
#[case::gateway(Reply::Status(502))]
#[case::silent(Reply::Never)]
#[tokio::test]
async fn a_change_that_got_no_answer_is_sent_once_and_not_said_to_have_failed(#[case] reply: Reply) {
    let is_silent = matches!(reply, Reply::Never);
    let attempt_timeout = if is_silent { Duration::from_millis(500) } else { quick().attempt_timeout };
    let world = world(Policy { attempt_timeout, ..quick() }).await;
    world.api.answer([reply]);
    let error = world.add().await.unwrap_err();
    assert_eq!(error.class(), Class::UnknownOutcome, "{error}");
    assert!(error.to_string().contains("look before doing it again"), "{error}");
    assert_eq!(world.api.count(), 1);
}

#[tokio::test]
async fn a_change_that_runs_out_of_its_whole_time_is_unknown_too() {
    let policy = Policy { call_timeout: Duration::from_millis(500), ..quick() };
    let world = world(Policy { attempt_timeout: Duration::from_mins(1), ..policy }).await;
    world.api.answer([Reply::Never]);
    assert_eq!(class(world.add().await), Class::UnknownOutcome);
    assert_eq!(class(world.get().await), Class::Timeout);
}

#[tokio::test]
async fn a_change_that_never_left_has_failed() {
    let metrics = Arc::new(Metrics::default());
    let client = client("127.0.0.1:1", quick(), &metrics);
    let error = client.send(&Call::new(Method::PUT, "/cart")).await.unwrap_err();
    assert_eq!(error.class(), Class::Network);
}

#[rstest]
#[case(400, Class::Validation)]
#[case(401, Class::Authentication)]
#[case(403, Class::Authorization)]
#[case(429, Class::RateLimited)]
#[tokio::test]
async fn a_change_that_was_refused_was_not_made(#[case] status: u16, #[case] expected: Class) {
    let world = world(quick()).await;
    world.api.answer([Reply::Status(status)]);
    let error = world.add().await.unwrap_err();
    assert_eq!((error.class(), error.status().unwrap().as_u16()), (expected, status));
    assert_eq!(world.api.count(), 1);
}

#[tokio::test]
async fn what_may_be_repeated_is_until_it_succeeds() {
    let world = world(quick()).await;
    world.api.answer([Reply::Status(503), Reply::Broken, Reply::Ok]);
    world.client.send(&Call::new(Method::PUT, "/price").group("things").repeatable()).await.unwrap();
    assert_eq!(world.api.count(), 3);
    world.counts(r#"portico_server_upstream_retries_total{group="things",made="yes"} 2"#);
    world.counts(r#"portico_server_upstream_requests_total{class="server",group="things"} 1"#);
    world.counts(r#"portico_server_upstream_requests_total{class="network",group="things"} 1"#);
    world.counts(r#"portico_server_upstream_requests_total{class="ok",group="things"} 1"#);
}

#[tokio::test]
async fn only_listed_classes_are_tried_again() {
    let retry = Retry { classes: &[Class::RateLimited], ..quick().retry };
    let world = world(Policy { retry, ..quick() }).await;
    world.api.answer([Reply::Status(503)]);
    assert_eq!(class(world.get().await), Class::Server);
    assert_eq!(world.api.count(), 1);
    world.api.answer([Reply::Status(429), Reply::Ok]);
    world.get().await.unwrap();
}

#[rstest]
#[case::seconds(vec![("retry-after", "3600".to_owned())])]
#[case::date(vec![
    ("retry-after", "Thu, 26 Nov 2026 11:00:00 GMT".to_owned()),
    ("date", "Thu, 26 Nov 2026 10:00:00 GMT".to_owned()),
])]
#[tokio::test]
async fn a_wait_that_the_api_asks_for_and_the_call_has_not_ends_it(
    #[case] headers: Vec<(&'static str, String)>,
) {
    let world = world(quick()).await;
    world.api.answer([Reply::With(429, headers)]);
    let error = world.get().await.unwrap_err();
    assert_eq!((error.class(), error.wait()), (Class::RateLimited, Some(Duration::from_hours(1))));
    assert_eq!(world.api.count(), 1);
    // What is not sent again is no retry, and uses none up.
    assert!(!world.metrics.render().contains("portico_server_upstream_retries_total{"));
}

#[tokio::test]
async fn a_short_wait_that_the_api_asks_for_is_kept() {
    let world = world(quick()).await;
    world.api.answer([Reply::With(503, vec![("retry-after", "1".to_owned())]), Reply::Ok]);
    let begun = tokio::time::Instant::now();
    world.get().await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn retries_are_a_share_of_the_calls_when_everything_fails() {
    let world = world(Policy { trip: Trip { failures: 0, ..Trip::default() }, ..quick() }).await;
    world.api.answer([Reply::Status(500)]);
    for _ in 0..100 {
        assert_eq!(class(world.get().await), Class::Server);
    }
    // Ten retries to begin with and a fifth of the calls; without a budget there would be two hundred.
    assert!((120..=130).contains(&world.api.count()), "{}", world.api.count());
    assert!(world.metrics.render().contains(r#"made="withheld""#));
}

#[tokio::test]
async fn an_api_that_fails_is_left_alone_and_the_other_group_is_not() {
    let world = world(quick()).await;
    world.api.answer([Reply::Status(500)]);
    for _ in 0..2 {
        class(world.get().await);
    }
    assert_eq!(world.api.count(), 5, "the second call goes on only until the circuit opens");
    let error = world.get().await.unwrap_err();
    assert_eq!(error.class(), Class::CircuitOpen);
    assert!(error.wait().unwrap() > Duration::from_secs(50), "{error}");
    assert_eq!(world.api.count(), 5);
    assert_eq!(
        (&world.check()["state"], &world.check()["reason"]),
        (&json!("failing"), &json!("CircuitOpen"))
    );
    world.counts(r#"portico_server_upstream_circuit{group="things"} 2"#);
    world.counts(r#"portico_server_upstream_circuit_opened_total{group="things"} 1"#);

    world.api.answer([Reply::Ok]);
    world.add().await.unwrap();
    assert_eq!(class(world.get().await), Class::CircuitOpen);
}

#[tokio::test]
async fn after_its_rest_one_request_tries_while_the_others_are_refused() {
    let trip = Trip { failures: 1, rest: Duration::from_millis(20) };
    let retry = Retry { attempts: 1, ..quick().retry };
    let world = world(Policy { trip, retry, attempt_timeout: Duration::from_secs(20), ..quick() }).await;
    world.api.answer([Reply::Status(500)]);
    class(world.get().await);
    let gate = Arc::new(Semaphore::new(0));
    world.api.answer([Reply::Held(Arc::clone(&gate))]);
    let probing = async {
        // As soon as one is let through, it is held.
        while world.get().await.is_err_and(|error| error.class() == Class::CircuitOpen) {
            tokio::task::yield_now().await;
        }
    };
    let others = async {
        while world.api.count() < 2 {
            tokio::task::yield_now().await;
        }
        let refused = join_all((0..10).map(|_| world.get())).await;
        world.counts(r#"portico_server_upstream_circuit{group="things"} 1"#);
        assert!(refused.into_iter().all(|result| class(result) == Class::CircuitOpen));
        gate.add_permits(100);
    };
    tokio::time::timeout(Duration::from_mins(1), async { tokio::join!(probing, others) }).await.unwrap();
    assert_eq!(world.api.count(), 2);
    world.get().await.unwrap();
    assert_eq!(world.check()["state"], "ok");
    world.counts(r#"portico_server_upstream_circuit{group="things"} 0"#);
}

#[tokio::test]
async fn what_the_api_refuses_opens_no_circuit() {
    let world = world(quick()).await;
    world.api.answer([Reply::Status(404)]);
    for _ in 0..10 {
        assert_eq!(class(world.get().await), Class::NotFound);
    }
    assert_eq!(world.api.count(), 10);
}

#[tokio::test]
async fn a_request_carries_the_id_of_its_call_and_an_error_that_of_the_api() {
    let world = world(quick()).await;
    world.api.answer([Reply::With(400, vec![("x-correlation-id", "their-17".to_owned())])]);
    let id = Correlation::new();
    let error = id.clone().scope(world.get()).await.unwrap_err();
    assert_eq!(world.api.header("x-correlation-id"), id.to_string());
    assert_eq!(error.correlation(), Some("their-17"));
    world.api.answer([Reply::With(400, vec![("x-correlation-id", "x".repeat(129))])]);
    assert_eq!(world.get().await.unwrap_err().correlation(), None);
}

#[tokio::test]
async fn an_answer_may_come_compressed() {
    let world = world(quick()).await;
    world.get().await.unwrap();
    assert!(world.api.header("accept-encoding").contains("gzip"));
}
