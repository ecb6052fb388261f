//! Keeps one command running: starts it, asks whether it serves, starts it again when it ends, and leaves nothing of
//! it behind.

mod backoff;
mod child;
mod environment;
mod files;
mod output;
mod probe;
mod supervise;

pub use child::{Ending, Keeper};
pub use output::{Output, telling};
pub use supervise::{Policy, Process, Status};
