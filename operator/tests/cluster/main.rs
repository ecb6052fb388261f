//! The operator against a real API server, controllers and scheduler, on simulated nodes.
//!
//! Each test has a namespace of its own, which enforces restricted Pod Security, and an operator with the shipped
//! rights in it. The audit log knows each operator by its account.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod at_rest;
mod children;
mod composite;
mod election;
mod examples;
mod faults;
mod gateway;
mod gpu;
mod healing;
mod kroger;
mod kubectl;
mod models;
mod policies;
mod random;
mod references;
mod refusals;
mod rights;
mod rollouts;
mod scaling;
mod shop;
mod undecodable;
mod upgrade;
mod verdicts;
mod world;
