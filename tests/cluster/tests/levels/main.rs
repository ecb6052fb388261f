//! Each level does what it promises, with the real programs.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod api;
mod death;
mod kwok;
mod processes;

use std::time::Duration;

/// For what takes a moment; on a busy machine with two cores some seconds.
const SOON: Duration = Duration::from_mins(1);
