//! A tiny server, hosted: what every server has without writing it.

mod greeter;
mod limits;
mod observed;
mod rest;
mod ways;
