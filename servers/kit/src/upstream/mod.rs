//! The HTTP client for the API behind a server: bounded in time, size, rate and attempts.

mod client;
mod error;
mod quota;

pub use client::{Answer, Body, Call, Client, Policy};
pub use error::{Class, Error};
/// The method of a [`Call`].
pub use http::Method;
pub use quota::{DailyQuota, Taken};
