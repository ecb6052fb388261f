//! Sending one call: wait for the rate limit, send, read within bounds, class, and retry where that is safe.

use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::{HeaderMap, StatusCode, header};
use reqwest::Url;
use tokio::time::Instant;

use super::{
    breaker::{Breaker, State, Trip, Verdict},
    call::{Answer, Auth, Body, Call},
    error::{Class, Error},
    quota::Taken,
    retry::{Budget, Retry},
    wish::retry_after,
};
use crate::{
    Check, ConfigError,
    caller::{CORRELATION_ID, Correlation},
    metrics::Metrics,
    trace::Trace,
};

/// Longest reason of an API that is passed on, in characters.
const MAX_REASON: usize = 300;
/// Longest correlation id of an API that is passed on, in bytes.
const MAX_ID: usize = 128;

/// Bounds on calls to one API.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time for one attempt, from the request to the last byte of the answer.
    pub attempt_timeout: Duration,
    /// Time for all attempts and the waits between them.
    pub call_timeout: Duration,
    /// When a call that may be repeated is sent again.
    pub retry: Retry,
    /// When an API that fails is left alone.
    pub trip: Trip,
    /// Requests a minute, with a burst of as many.
    pub per_minute: NonZeroU32,
    /// Longest answer body, in bytes, after decompression.
    pub max_body_bytes: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            attempt_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(25),
            retry: Retry::default(),
            trip: Trip::default(),
            per_minute: NonZeroU32::MIN.saturating_add(59),
            max_body_bytes: 8 * 1024 * 1024,
        }
    }
}

/// Finds the reason in an error body of the API.
pub type Explain = fn(&[u8]) -> Option<String>;

/// A client for one API.
#[derive(Clone)]
pub struct Client {
    api: &'static str,
    http: reqwest::Client,
    base: Url,
    policy: Policy,
    limiter: Arc<DefaultDirectRateLimiter>,
    explain: Explain,
    metrics: Arc<Metrics>,
    budget: Arc<Budget>,
    /// One for each group of operations; their names are the program's own, so they are few.
    circuits: Arc<Mutex<BTreeMap<&'static str, Arc<Breaker>>>>,
    check: Option<Check>,
}

impl Client {
    /// A client for `api` at `base`; `explain` reads its error bodies.
    pub fn new(
        api: &'static str,
        base: Url,
        policy: Policy,
        explain: Explain,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ConfigError> {
        let http = reqwest::Client::builder()
            .connect_timeout(policy.connect_timeout)
            // Credentials must not follow a redirect to another place.
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .user_agent(concat!("portico/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                ConfigError::new(api, format!("no HTTP client: {error}"), "check the system's certificates")
            })?;
        let limiter = Arc::new(RateLimiter::direct(Quota::per_minute(policy.per_minute)));
        let budget = Arc::new(Budget::new(policy.retry.percent));
        let circuits = Arc::default();
        Ok(Self { api, http, base, policy, limiter, explain, metrics, budget, circuits, check: None })
    }

    /// Tells `check` whether the API is asked or left alone.
    #[must_use]
    pub fn with_check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    /// Sends `call`, again where that is safe and may help. A change that may not be repeated is sent once; when its answer is lost,
    /// the error is [`Class::UnknownOutcome`].
    pub async fn send(&self, call: &Call) -> Result<Answer, Error> {
        let limit = self.policy.call_timeout;
        let sent = AtomicBool::new(false);
        let sending = self.attempts(call, &sent, Instant::now() + limit);
        tokio::time::timeout(limit, sending).await.unwrap_or_else(|_| {
            let error = self.error(Class::Timeout, format!("no answer within {} s", limit.as_secs()));
            let unknown = call.is_change() && sent.load(Ordering::Relaxed);
            Err(if unknown { error.of_change() } else { error })
        })
    }

    async fn attempts(&self, call: &Call, sent: &AtomicBool, end: Instant) -> Result<Answer, Error> {
        self.budget.earn();
        let mut retries = 0;
        loop {
            let error = match self.attempt(call, sent).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            retries += 1;
            match self.wait_before(call, &error, (retries, end)) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            }
        }
    }

    /// The wait before the next attempt, where there is to be one. A wait beyond the call's end would only delay the bad news.
    fn wait_before(&self, call: &Call, error: &Error, (retry, end): (u32, Instant)) -> Option<Duration> {
        let wait = self.policy.retry.wait(error, retry).filter(|_| call.repeatable)?;
        if Instant::now() + wait >= end {
            return None;
        }
        let allowed = self.budget.spend();
        self.metrics.upstream_retried(call.group, allowed);
        allowed.then_some(wait)
    }

    fn error(&self, class: Class, reason: impl Into<String>) -> Error {
        Error::new(self.api, class, reason)
    }

    async fn attempt(&self, call: &Call, sent: &AtomicBool) -> Result<Answer, Error> {
        let circuit = self.circuit(call.group);
        let leave = circuit.admit().map_err(|wait| self.left_alone(call.group, wait))?;
        if circuit.state() == State::HalfOpen {
            self.metrics.circuit(call.group, State::HalfOpen.number(), false);
        }
        self.wait_for_turn().await?;
        self.take_quota(call).await?;
        sent.store(true, Ordering::Relaxed);
        let result = self.measured(call).await;
        let (before, after) = leave.end(verdict(&result));
        self.note_circuit(call.group, before, after);
        result.map_err(|failed| failed.known(call))
    }

    /// One exchange within its time, counted and traced.
    async fn measured(&self, call: &Call) -> Result<Answer, Failed> {
        let (since, begun) = (Instant::now(), SystemTime::now());
        let trace = Trace::child(format!("{} {}", self.api, call.method));
        let correlation = Correlation::current().unwrap_or_else(Correlation::new);
        let limit = self.policy.attempt_timeout;
        let result = tokio::time::timeout(limit, self.exchange(call, &correlation))
            .await
            .unwrap_or_else(|_| Err(Failed::after(self.error(Class::Timeout, "no answer in time"))));
        let class = result.as_ref().map_or_else(|failed| failed.error.class().label(), |_| "ok");
        self.metrics.upstream_answered(class, call.group, since.elapsed());
        if let Some(trace) = trace {
            trace.end(begun, result.is_err().then_some(class), &[]);
        }
        if let Err(Failed { error, .. }) = &result {
            let (api, upstream) = (self.api, error.correlation());
            tracing::debug!(api, class, %error, %correlation, upstream, "upstream request failed");
        }
        result
    }

    fn circuit(&self, group: &'static str) -> Arc<Breaker> {
        let mut circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(circuits.entry(group).or_insert_with(|| Arc::new(Breaker::new(self.policy.trip))))
    }

    fn left_alone(&self, group: &'static str, wait: Duration) -> Error {
        self.metrics.upstream_answered(Class::CircuitOpen.label(), group, Duration::ZERO);
        let reason = format!("{group} is not asked, because it has failed time after time");
        self.error(Class::CircuitOpen, reason).retry_after(Some(wait))
    }

    /// Says once when a circuit opens or closes.
    fn note_circuit(&self, group: &'static str, before: State, after: State) {
        if before == after {
            return;
        }
        self.metrics.circuit(group, after.number(), after == State::Open);
        if after == State::Open {
            let rest = self.policy.trip.rest.as_secs();
            tracing::warn!(api = self.api, group, "the API fails; it is left alone for {rest} s");
        } else {
            tracing::info!(api = self.api, group, "the API answers again");
        }
        self.tell_check();
    }

    fn tell_check(&self) {
        let Some(check) = &self.check else { return };
        let circuits = self.circuits.lock().unwrap_or_else(PoisonError::into_inner);
        let open: Vec<&str> = circuits
            .iter()
            .filter(|(_, circuit)| circuit.state() != State::Closed)
            .map(|(group, _)| *group)
            .collect();
        if open.is_empty() {
            check.ok("Answering", "the API answers");
        } else {
            check.failing("CircuitOpen", &format!("the API fails and is left alone: {}", open.join(", ")));
        }
    }

    /// Waits for the per-minute limit, but no longer than one attempt may take.
    async fn wait_for_turn(&self) -> Result<(), Error> {
        tokio::time::timeout(self.policy.attempt_timeout, self.limiter.until_ready()).await.map_err(|_| {
            self.error(Class::RateLimited, format!("more than {} requests a minute", self.policy.per_minute))
                .retry_after(Some(Duration::from_mins(1)))
        })
    }

    async fn take_quota(&self, call: &Call) -> Result<(), Error> {
        let Some(quota) = &call.quota else { return Ok(()) };
        match quota.take().await {
            Taken::Granted { used } => {
                self.metrics.quota(quota.name(), used, quota.limit());
                Ok(())
            }
            Taken::Exhausted(wait) => Err(self
                .error(Class::Quota, format!("the {} requests of the day are used up", quota.limit()))
                .retry_after(Some(wait))),
        }
    }

    async fn exchange(&self, call: &Call, correlation: &Correlation) -> Result<Answer, Failed> {
        let request = self.request(call).map_err(Failed::before)?;
        let sent = request.header(CORRELATION_ID, correlation.as_str()).send().await;
        // What could not connect was not sent.
        let response =
            sent.map_err(|error| Failed { sent: !error.is_connect(), error: self.network(&error) })?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = self.read(response).await;
        if status.is_success() {
            return body.map(|body| Answer { api: self.api, status, headers, body }).map_err(Failed::after);
        }
        Err(Failed::after(self.refusal(status, &headers, &body.unwrap_or_default())))
    }

    fn request(&self, call: &Call) -> Result<reqwest::RequestBuilder, Error> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| self.error(Class::Client, "the base address cannot have a path"))?
            .pop_if_empty()
            .extend(&call.segments);
        let request = self
            .http
            .request(call.method.clone(), url)
            .header(header::ACCEPT, "application/json")
            .query(&call.query);
        let request = match &call.auth {
            Auth::None => request,
            Auth::Bearer(token) => request.bearer_auth(token.expose()),
            Auth::Basic(user, password) => request.basic_auth(user, Some(password.expose())),
        };
        Ok(match &call.body {
            Body::Empty => request,
            Body::Form(fields) => request.form(fields),
            Body::Json(value) => request.json(value),
        })
    }

    async fn read(&self, response: reqwest::Response) -> Result<Bytes, Error> {
        let max = self.policy.max_body_bytes;
        let mut body = BytesMut::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| self.network(&error))?;
            if body.len() + chunk.len() > max {
                return Err(self.error(Class::Malformed, format!("the answer is longer than {max} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// Says what failed without the address, which may hold what a user searched for.
    fn network(&self, error: &reqwest::Error) -> Error {
        if error.is_timeout() {
            return self.error(Class::Timeout, "no answer in time");
        }
        let what = if error.is_connect() { "cannot connect" } else { "the connection broke" };
        self.error(Class::Network, what)
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
        let reason = (self.explain)(body).map_or_else(
            || format!("HTTP {}", status.as_u16()),
            |reason| format!("{} (HTTP {})", shorten(&reason), status.as_u16()),
        );
        self.error(Class::of_status(status), reason)
            .with_status(status)
            .retry_after(retry_after(headers))
            .correlated(correlation_of(headers))
    }
}

fn shorten(reason: &str) -> String {
    reason.chars().filter(|letter| !letter.is_control()).take(MAX_REASON).collect()
}

/// The API's own id of a request, where it is one that can be written down.
fn correlation_of(headers: &HeaderMap) -> Option<Box<str>> {
    let id = headers.get(CORRELATION_ID)?.to_str().ok()?;
    (1..=MAX_ID).contains(&id.len()).then(|| id.into())
}

/// An error, and whether the request had left us before it.
struct Failed {
    error: Error,
    sent: bool,
}

impl Failed {
    fn before(error: Error) -> Self {
        Self { error, sent: false }
    }

    fn after(error: Error) -> Self {
        Self { error, sent: true }
    }

    /// What the caller learns: of a change that was sent and got no answer, that its outcome is not known.
    fn known(self, call: &Call) -> Error {
        if self.sent && call.is_change() { self.error.of_change() } else { self.error }
    }
}

/// What a result tells of the API's health. One that limits us is up, and no reason to come back sooner.
fn verdict(result: &Result<Answer, Failed>) -> Verdict {
    match result {
        Err(failed) if failed.error.class().is_outage() => Verdict::Down,
        Err(failed) if failed.error.class() == Class::RateLimited => Verdict::Unknown,
        _ => Verdict::Up,
    }
}
