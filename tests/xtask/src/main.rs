//! The project's chores: tests, generated files, benches.
fn main() {}
