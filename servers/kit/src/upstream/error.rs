//! What can go wrong between a server and the API behind it.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

/// What kind of failure it was; retries, codes and metric labels follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The API could not be reached, or the connection broke.
    Network,
    /// No answer in time.
    Timeout,
    /// Too many requests: the API's own limit, or ours in front of it.
    RateLimited,
    /// The API failed (status 5xx).
    Server,
    /// The request is one that the API does not take, whatever its values are (most of 4xx): the server asks wrongly.
    Client,
    /// The API does not accept our credentials (401).
    Authentication,
    /// The credentials are good and do not cover this (403).
    Authorization,
    /// The API refuses the values of the request (400, 409, 422).
    Validation,
    /// There is no such thing (404, 410).
    NotFound,
    /// An answer that is not what the API promises.
    Malformed,
    /// The requests of the day are used up.
    Quota,
    /// The API was not asked, because it has failed time after time a moment ago.
    CircuitOpen,
    /// A change was sent and nobody knows whether it was made: the answer was lost. It must not simply be sent again.
    UnknownOutcome,
}

impl Class {
    /// The label in metrics, logs and error data.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limit",
            Self::Server => "server",
            Self::Client => "client",
            Self::Authentication => "authentication",
            Self::Authorization => "authorization",
            Self::Validation => "validation",
            Self::NotFound => "not_found",
            Self::Malformed => "malformed",
            Self::Quota => "quota",
            Self::CircuitOpen => "circuit_open",
            Self::UnknownOutcome => "unknown_outcome",
        }
    }

    /// The JSON-RPC code: -32003 rate limit, -32002 authentication, -32001 any other upstream failure.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::RateLimited | Self::Quota => -32003,
            Self::Authentication | Self::Authorization => -32002,
            _ => -32001,
        }
    }

    /// Whether the same request may succeed a moment later.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Network | Self::Timeout | Self::RateLimited | Self::Server)
    }

    /// Whether an older answer is better than none: the API cannot be asked now, and has not said no.
    #[must_use]
    pub const fn allows_stale(self) -> bool {
        self.is_transient() || matches!(self, Self::Quota | Self::CircuitOpen | Self::Malformed)
    }

    /// Whether the API itself is down, rather than answering.
    pub(super) const fn is_outage(self) -> bool {
        matches!(self, Self::Network | Self::Timeout | Self::Server)
    }

    pub(super) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            400 | 409 | 422 => Self::Validation,
            401 => Self::Authentication,
            403 => Self::Authorization,
            404 | 410 => Self::NotFound,
            408 => Self::Timeout,
            429 => Self::RateLimited,
            402..=499 => Self::Client,
            500..=599 => Self::Server,
            _ => Self::Malformed,
        }
    }
}

/// A failed request: which API, what kind of failure, and the API's own reason where it gave one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{api}: {reason}{}", advice(*.class, *.retry_after))]
pub struct Error {
    api: &'static str,
    class: Class,
    reason: String,
    retry_after: Option<Duration>,
    correlation: Option<Box<str>>,
    status: Option<StatusCode>,
}

fn advice(class: Class, retry_after: Option<Duration>) -> String {
    match (class, retry_after) {
        (Class::UnknownOutcome, _) => {
            "; whether it was done is not known: look before doing it again".to_owned()
        }
        (_, Some(wait)) => format!("; try again in {} s", wait.as_secs().max(1)),
        (Class::Network | Class::Server | Class::Timeout, None) => "; try again shortly".to_owned(),
        (Class::Authentication, None) => "; check the server's credentials".to_owned(),
        _ => String::new(),
    }
}

impl Error {
    /// A failure of `api`.
    pub fn new(api: &'static str, class: Class, reason: impl Into<String>) -> Self {
        Self { api, class, reason: reason.into(), retry_after: None, correlation: None, status: None }
    }

    /// With the time after which it is worth trying again.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// With another reason, for whoever knows more of what was asked for.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// With the id under which the API's own people find the request.
    #[must_use]
    pub(super) fn correlated(mut self, id: Option<Box<str>>) -> Self {
        self.correlation = id;
        self
    }

    #[must_use]
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// The same for a change that may have been made all the same: what lost its answer leaves that unknown.
    pub(super) fn of_change(mut self) -> Self {
        if self.class.is_outage() {
            self.class = Class::UnknownOutcome;
            self.retry_after = None;
        }
        self
    }

    /// The API, by its name.
    #[must_use]
    pub fn api(&self) -> &'static str {
        self.api
    }

    /// The kind of failure.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// How long to wait before trying again, where that is known.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The reason alone.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The status that the API answered with; none where it did not answer.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// The API's own id of the request (`X-Correlation-Id`), where it gave one.
    #[must_use]
    pub fn correlation(&self) -> Option<&str> {
        self.correlation.as_deref()
    }

    pub(crate) fn data(&self) -> Value {
        let mut data = json!({ "code": self.class.code(), "class": self.class.label(), "api": self.api });
        if let Some(wait) = self.retry_after {
            data["retry_after_seconds"] = wait.as_secs().max(1).into();
        }
        if let Some(id) = &self.correlation {
            data["upstream_correlation_id"] = id.as_ref().into();
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Class::Network, "network", -32001, true)]
    #[case(Class::Timeout, "timeout", -32001, true)]
    #[case(Class::RateLimited, "rate_limit", -32003, true)]
    #[case(Class::Server, "server", -32001, true)]
    #[case(Class::Client, "client", -32001, false)]
    #[case(Class::Authentication, "authentication", -32002, false)]
    #[case(Class::Authorization, "authorization", -32002, false)]
    #[case(Class::Validation, "validation", -32001, false)]
    #[case(Class::NotFound, "not_found", -32001, false)]
    #[case(Class::Malformed, "malformed", -32001, false)]
    #[case(Class::Quota, "quota", -32003, false)]
    #[case(Class::CircuitOpen, "circuit_open", -32001, false)]
    #[case(Class::UnknownOutcome, "unknown_outcome", -32001, false)]
    fn each_class_has_its_label_its_code_and_says_whether_to_try_again(
        #[case] class: Class,
        #[case] label: &str,
        #[case] code: i32,
        #[case] transient: bool,
    ) {
        assert_eq!((class.label(), class.code(), class.is_transient()), (label, code, transient));
    }

    #[rstest]
    #[case(302, Class::Malformed)]
    #[case(400, Class::Validation)]
    #[case(401, Class::Authentication)]
    #[case(402, Class::Client)]
    #[case(403, Class::Authorization)]
    #[case(404, Class::NotFound)]
    #[case(405, Class::Client)]
    #[case(408, Class::Timeout)]
    #[case(409, Class::Validation)]
    #[case(415, Class::Client)]
    #[case(422, Class::Validation)]
    #[case(429, Class::RateLimited)]
    #[case(500, Class::Server)]
    #[case(503, Class::Server)]
    fn a_status_tells_the_class(#[case] status: u16, #[case] class: Class) {
        assert_eq!(Class::of_status(StatusCode::from_u16(status).unwrap()), class);
    }

    #[test]
    fn a_change_that_lost_its_answer_is_not_said_to_have_failed() {
        let lost = Error::new("Shop", Class::Timeout, "no answer in time").of_change();
        assert_eq!(lost.class(), Class::UnknownOutcome);
        assert_eq!(
            lost.to_string(),
            "Shop: no answer in time; whether it was done is not known: look before doing it again"
        );
        let refused = Error::new("Shop", Class::Validation, "no").of_change();
        assert_eq!(refused.class(), Class::Validation);
    }
}
