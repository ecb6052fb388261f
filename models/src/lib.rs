//! Language models. So far: how the file of one is fetched.

pub mod fetch;
