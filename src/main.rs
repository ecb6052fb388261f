//! Portico's command line.
fn main() {}
