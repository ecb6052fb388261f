//! The HTTP client for the API behind a server: bounded in time, size, rate and attempts.

mod client;
mod error;
mod quota;

pub use client::{Answer, Body, Call, Client, Policy};
pub use error::{Class, Error};
pub use quota::DailyQuota;
