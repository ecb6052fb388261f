//! Whether tests that need a cluster are to run.

use std::io::Write;

use crate::{Level, network};

/// Set to `1` by `cargo xtask test`: tests that need a cluster run, and fail where none can be had.
pub const WANTED_VARIABLE: &str = "PORTICO_CLUSTER_TESTS";

/// Whether a test that needs a cluster of this level is to run: it begins with
/// `if !portico_cluster::wanted(Level::Kwok) { return; }`.
///
/// Where it is not, it says so on standard error, which the test harness does not keep back. For
/// [`Level::Processes`] the whole test program first starts anew in a network of its own, see [`network::enter`];
/// where that cannot be, the start of the cluster will fail the test.
#[must_use]
pub fn wanted(level: Level) -> bool {
    if std::env::var_os(WANTED_VARIABLE).is_none_or(|value| value.is_empty() || value == "0") {
        say(&left_out(std::thread::current().name().unwrap_or("a test"), level));
        return false;
    }
    if level == Level::Processes
        && let Err(error) = network::enter()
    {
        say(&format!("{error}\n"));
    }
    true
}

fn left_out(test: &str, level: Level) -> String {
    format!(
        "left out: {test} (needs a cluster of level {level}: `cargo xtask test` or {WANTED_VARIABLE}=1)\n"
    )
}

fn say(line: &str) {
    // A test harness keeps back what the printing macros print, not what is written.
    std::io::stderr().write_all(line.as_bytes()).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_named_with_the_way_to_run_it() {
        let line = left_out("a_pod_runs", Level::Kwok);
        assert!(
            line.contains("a_pod_runs") && line.contains("level kwok") && line.contains("cargo xtask test"),
            "{line}"
        );
    }
}
