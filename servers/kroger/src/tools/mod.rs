//! The tools: what each takes, what it answers, and how it finds that out.

pub(crate) mod cart;
pub(crate) mod coupons;
mod ends;
mod hours;
mod items;
pub(crate) mod lists;
mod notices;
pub(crate) mod orders;
pub(crate) mod planner;
pub(crate) mod profile;
pub(crate) mod search;
pub(crate) mod stores;
