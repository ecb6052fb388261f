//! The operator against a real API server, controllers and scheduler, on simulated nodes.
//!
//! Each test has a namespace of its own, which enforces restricted Pod Security, and an operator with the shipped
//! rights in it. The audit log knows each operator by its account.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod at_rest;
mod children;
mod election;
mod faults;
mod gpu;
mod kubectl;
mod models;
mod random;
mod references;
mod refusals;
mod rollouts;
mod verdicts;
mod world;
