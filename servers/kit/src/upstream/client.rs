//! Sending one call: wait for the rate limit, send, read within bounds, class, and retry where that is safe.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use backon::{ExponentialBuilder, Retryable};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::{HeaderMap, Method, StatusCode, header};
use reqwest::Url;
use serde::de::DeserializeOwned;

use super::{
    error::{Class, Error},
    quota::{DailyQuota, Taken},
};
use crate::{ConfigError, Secret, metrics::Metrics, trace::Trace};

/// Longest reason of an API that is passed on, in characters.
const MAX_REASON: usize = 300;

/// Bounds on calls to one API.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Time to connect.
    pub connect_timeout: Duration,
    /// Time for one attempt, from the request to the last byte of the answer.
    pub attempt_timeout: Duration,
    /// Time for all attempts and the waits between them.
    pub call_timeout: Duration,
    /// Attempts for a call that may be repeated; 1 means no retry.
    pub attempts: usize,
    /// Wait before the second attempt; it doubles from there, with jitter.
    pub first_delay: Duration,
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
            attempts: 3,
            first_delay: Duration::from_millis(200),
            per_minute: NonZeroU32::MIN.saturating_add(59),
            max_body_bytes: 8 * 1024 * 1024,
        }
    }
}

/// What a request carries.
#[derive(Debug, Clone, Default)]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// Form fields.
    Form(Vec<(&'static str, String)>),
    /// A JSON document.
    Json(serde_json::Value),
}

/// Who the request is from.
#[derive(Debug, Clone, Default)]
enum Auth {
    #[default]
    None,
    Bearer(Secret),
    Basic(String, Secret),
}

/// One call of the API.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    segments: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Body,
    auth: Auth,
    repeatable: bool,
    quota: Option<Arc<DailyQuota>>,
}

impl Call {
    /// A GET of `path`; it may be repeated.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self { repeatable: true, ..Self::new(Method::GET, path) }
    }

    /// A call that is sent once, unless it is marked with [`Call::repeatable`].
    #[must_use]
    pub fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            segments: path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            query: Vec::new(),
            body: Body::Empty,
            auth: Auth::None,
            repeatable: false,
            quota: None,
        }
    }

    /// Adds one path segment; it is percent-encoded, so it stays one segment.
    #[must_use]
    pub fn segment(mut self, segment: &str) -> Self {
        self.segments.push(segment.to_owned());
        self
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// Sends a bearer token.
    #[must_use]
    pub fn bearer(mut self, token: Secret) -> Self {
        self.auth = Auth::Bearer(token);
        self
    }

    /// Sends a user name and password.
    #[must_use]
    pub fn basic(mut self, user: &str, password: Secret) -> Self {
        self.auth = Auth::Basic(user.to_owned(), password);
        self
    }

    /// Says that sending this twice does no more than sending it once.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Counts every attempt against a daily allowance.
    #[must_use]
    pub fn quota(mut self, quota: &Arc<DailyQuota>) -> Self {
        self.quota = Some(Arc::clone(quota));
        self
    }
}

/// A successful answer.
#[derive(Debug, Clone)]
pub struct Answer {
    api: &'static str,
    /// Status, always 2xx.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON of a known shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Error::new(
                self.api,
                Class::Malformed,
                format!("the answer does not have the expected form ({error})"),
            )
        })
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
        Ok(Self { api, http, base, policy, limiter, explain, metrics })
    }

    /// Sends `call`, again where that is safe and may help.
    pub async fn send(&self, call: &Call) -> Result<Answer, Error> {
        let attempts = if call.repeatable { self.policy.attempts.max(1) } else { 1 };
        let backoff = ExponentialBuilder::default()
            .with_min_delay(self.policy.first_delay)
            .with_max_delay(self.policy.call_timeout)
            .with_jitter()
            .with_max_times(attempts - 1);
        let limit = self.policy.call_timeout;
        let sending = (|| self.attempt(call))
            .retry(backoff)
            .when(|error| error.class().is_transient())
            .adjust(|error, wait| wait_within(error, wait, limit));
        tokio::time::timeout(limit, sending).await.unwrap_or_else(|_| {
            Err(self.error(Class::Timeout, format!("no answer within {} s", limit.as_secs())))
        })
    }

    fn error(&self, class: Class, reason: impl Into<String>) -> Error {
        Error::new(self.api, class, reason)
    }

    async fn attempt(&self, call: &Call) -> Result<Answer, Error> {
        self.wait_for_turn().await?;
        self.take_quota(call).await?;
        let (since, begun) = (Instant::now(), SystemTime::now());
        let trace = Trace::child(format!("{} {}", self.api, call.method));
        let result = tokio::time::timeout(self.policy.attempt_timeout, self.exchange(call))
            .await
            .unwrap_or_else(|_| Err(self.error(Class::Timeout, "no answer in time")));
        let class = result.as_ref().map_or_else(|error| error.class().label(), |_| "ok");
        self.metrics.upstream_answered(class, since.elapsed());
        if let Some(trace) = trace {
            trace.end(begun, result.is_err().then_some(class), &[]);
        }
        if let Err(error) = &result {
            tracing::debug!(api = self.api, class, %error, "upstream request failed");
        }
        result
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
                self.metrics.quota(quota.name(), used);
                Ok(())
            }
            Taken::Exhausted(wait) => Err(self
                .error(Class::Quota, format!("the {} requests of the day are used up", quota.limit()))
                .retry_after(Some(wait))),
        }
    }

    async fn exchange(&self, call: &Call) -> Result<Answer, Error> {
        let response = self.request(call)?.send().await.map_err(|error| self.network(&error))?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = self.read(response).await;
        if status.is_success() {
            return Ok(Answer { api: self.api, status, headers, body: body? });
        }
        Err(self.refusal(status, &headers, &body.unwrap_or_default()))
    }

    fn request(&self, call: &Call) -> Result<reqwest::RequestBuilder, Error> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| self.error(Class::Invalid, "the base address cannot have a path"))?
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
        self.error(Class::Unavailable, what)
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Error {
        let reason = (self.explain)(body).map_or_else(
            || format!("HTTP {}", status.as_u16()),
            |reason| format!("{} (HTTP {})", shorten(&reason), status.as_u16()),
        );
        self.error(class_of(status), reason).retry_after(retry_after(headers))
    }
}

fn shorten(reason: &str) -> String {
    reason.chars().filter(|letter| !letter.is_control()).take(MAX_REASON).collect()
}

fn class_of(status: StatusCode) -> Class {
    match status.as_u16() {
        401 => Class::Unauthorised,
        403 => Class::Forbidden,
        404 | 410 => Class::NotFound,
        408 => Class::Timeout,
        429 => Class::RateLimited,
        400..=499 => Class::Invalid,
        500..=599 => Class::Unavailable,
        _ => Class::Malformed,
    }
}

/// `Retry-After` in its form of seconds (RFC 9110, 10.2.3), at most a day.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(86_400)))
}

/// The API's own wait goes before ours; a wait beyond the call's time ends the attempts.
fn wait_within(error: &Error, wait: Option<Duration>, limit: Duration) -> Option<Duration> {
    let wait = wait?;
    let asked = error.wait().unwrap_or(wait).max(wait);
    (asked < limit).then_some(asked)
}
