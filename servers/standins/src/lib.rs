//! Local stand-ins for upstream APIs that cannot be had in tests, nor without an account.
//!
//! A stand-in answers as the published API does, over data made up for this project. Every answer
//! carries the header `X-Portico-Standin`, so nobody can take it for the real one.

pub mod kroger;
