//! The gateway in front of real servers, driven by real clients and by hand-written requests.

mod auth;
mod bad_input;
mod catalogue;
mod exposed;
mod faults;
mod issuer;
mod kept;
mod logging;
mod lossless;
mod outside;
mod pairings;
mod parking;
mod pins;
mod questions;
mod raw_server;
mod real_client;
mod real_server;
mod restarts;
mod schemas;
mod sessions;
mod stdio;
mod streams;
mod subscriptions;
mod support;
mod tls;
mod views;
