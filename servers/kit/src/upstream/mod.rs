//! The HTTP client for the API behind a server: bounded in time, size, rate and attempts.
//!
//! A failure has a [`Class`]; what passes by is tried again as [`Retry`] says and within a budget, and an API that fails time after time is
//! left alone as [`Trip`] says. [`Batch`] makes one request of many look-ups, [`fetch_all`] runs several side by side.

mod batch;
mod breaker;
mod call;
mod client;
mod error;
mod quota;
mod retry;
mod wish;

pub use batch::{Batch, Bounds, fetch_all};
pub use breaker::Trip;
pub use call::{Answer, Body, Call};
pub use client::{Client, Explain, Policy};
pub use error::{Class, Error};
/// The method of a [`Call`].
pub use http::Method;
pub use quota::{DailyQuota, Taken};
pub use retry::{Retry, Strategy};
