//! One call of an API, and its answer.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde::de::DeserializeOwned;

use super::{
    error::{Class, Error},
    quota::DailyQuota,
};
use crate::Secret;

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
pub(super) enum Auth {
    #[default]
    None,
    Bearer(Secret),
    Basic(String, Secret),
}

/// One call of the API.
#[derive(Debug, Clone)]
pub struct Call {
    pub(super) method: Method,
    pub(super) group: &'static str,
    pub(super) segments: Vec<String>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Body,
    pub(super) auth: Auth,
    pub(super) repeatable: bool,
    pub(super) quota: Option<Arc<DailyQuota>>,
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
            group: "other",
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

    /// Names the group of operations it belongs to, such as `products`: they are counted together, and have a circuit of their own.
    #[must_use]
    pub fn group(mut self, group: &'static str) -> Self {
        self.group = group;
        self
    }

    /// Whether a lost answer leaves it unknown what was done.
    pub(super) fn is_change(&self) -> bool {
        !self.repeatable && !self.method.is_safe()
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
    pub(super) api: &'static str,
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
