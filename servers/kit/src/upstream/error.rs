//! What can go wrong between a server and the API behind it.

use std::time::Duration;

use serde_json::{Value, json};

/// What kind of failure it was; retries, codes and metric labels follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Too many requests: the API's own limit, or ours in front of it.
    RateLimited,
    /// The API does not accept our credentials.
    Unauthorised,
    /// The credentials are good and do not cover this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The API refuses the request as it is.
    Invalid,
    /// The API failed or could not be reached.
    Unavailable,
    /// No answer in time.
    Timeout,
    /// An answer that is not what the API promises.
    Malformed,
    /// The requests of the day are used up.
    Quota,
}

impl Class {
    /// The label in metrics, logs and error data.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::Unauthorised => "unauthorised",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Invalid => "invalid_request",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::Quota => "quota",
        }
    }

    /// The JSON-RPC code: -32003 rate limit, -32002 authentication, -32001 any other upstream failure.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::RateLimited | Self::Quota => -32003,
            Self::Unauthorised | Self::Forbidden => -32002,
            _ => -32001,
        }
    }

    /// Whether the same request may succeed a moment later.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable | Self::Timeout)
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
}

fn advice(class: Class, retry_after: Option<Duration>) -> String {
    match (class, retry_after) {
        (_, Some(wait)) => format!("; try again in {} s", wait.as_secs().max(1)),
        (Class::Unavailable | Class::Timeout, None) => "; try again shortly".to_owned(),
        (Class::Unauthorised, None) => "; check the server's credentials".to_owned(),
        _ => String::new(),
    }
}

impl Error {
    /// A failure of `api`.
    pub fn new(api: &'static str, class: Class, reason: impl Into<String>) -> Self {
        Self { api, class, reason: reason.into(), retry_after: None }
    }

    /// With the time after which it is worth trying again.
    #[must_use]
    pub fn retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
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

    pub(crate) fn data(&self) -> Value {
        let mut data = json!({ "code": self.class.code(), "class": self.class.label(), "api": self.api });
        if let (Some(wait), Some(object)) = (self.retry_after, data.as_object_mut()) {
            object.insert("retryAfterSeconds".to_owned(), wait.as_secs().max(1).into());
        }
        data
    }
}
