//! The gateway against a real API server, with the rights that it is shipped with.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod away;
#[path = "../gateway/raw_server.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod raw_server;
mod secrets;
mod statuses;
mod world;
