//! The tools of a signed-in customer, against the stand-in.

#[path = "../support/mod.rs"]
mod support;

mod cart;
mod coupons;
mod lists;
mod orders;
mod pages;
mod places;
mod planner;
mod prices;
mod profile;
mod stale;
mod tokens;
mod ways;
mod weight;
