//! Each rule of the decision, as a sentence.

mod clocks;
mod fresh;
mod load;
mod policies;
mod server;
mod starts;
mod waits;
mod zero;
