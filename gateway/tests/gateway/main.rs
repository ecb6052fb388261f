//! The gateway in front of real servers, driven by real clients and by hand-written requests.

mod bad_input;
mod catalogue;
mod exposed;
mod faults;
mod kept;
mod lossless;
mod pairings;
mod pins;
mod raw_server;
mod real_client;
mod real_server;
mod restarts;
mod schemas;
mod sessions;
mod streams;
mod support;
mod tls;
mod views;
