//! The project's chores, run as `cargo xtask COMMAND`.
//!
//! It has no dependencies of its own: it starts cargo and the project's programs, so that it is there within seconds.

mod bench;
mod clusters;
mod generate;
mod lint;
mod mirror;
mod pages;
mod planted;
mod steps;
mod suites;
mod system;
mod test;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "\
The project's chores.

Usage: cargo xtask COMMAND

  test [FILTER …]     every test, on a real control plane started for the run; FILTER picks tests by name
  test --no-cluster   what needs no cluster
  pages               the interface components of ui/, in Chromium
  lint                what CI checks besides tests: format, clippy, documentation, licences, generated files, examples
  generate            write the files that are made from code: crds/yaml
  generate --check    say whether they are up to date
  bench [--quick] [calls] [lists] [memory]
                      the gateway beside direct calls and a floor that only routes; its memory, and how long it takes to start
  bench --gate        fail when a call costs more over the floor than it may
  bench operator      the operator with 100, 1,000 and 5,000 servers, beside bare Deployments
  bench kroger [--quick] [RATE ...]
                      the Kroger server beside its stand-in, with requests that arrive by the clock
  bench scaling       what a scaling decision costs, with 10 to 10,000 servers
  soak [MINUTES]      random lives of resources, with operators killed on the way; 60 minutes unless said
  fuzz [SECONDS]      mutated messages for the gateway's readers, other ones each time; 60 seconds each unless said
  planted [NAME …]    bugs put into the operator and the scaling decision on purpose (their tests/planted), each of which
                      a test must catch
  coverage            lines that the tests without a cluster run
  ci                  lint and test, as CI runs them, the quickstart of the release build, and the gate
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let done = match arguments.first().map(String::as_str) {
        Some("test") => test::run(rest),
        Some("pages") => system::prepare().and_then(|()| pages::test()),
        Some("lint") => lint::run(),
        Some("generate") => generate::run(rest.iter().any(|argument| argument == "--check")),
        Some("bench") => bench::run(rest),
        Some("soak") => test::soak(rest),
        Some("fuzz") => test::fuzz(rest),
        Some("planted") => planted::run(rest),
        Some("coverage") => test::coverage(),
        Some("ci") => lint::run()
            .and_then(|()| test::run(&[]))
            .and_then(|()| test::fuzz(&["8".to_owned()]))
            .and_then(|()| test::quickstart())
            .and_then(|()| bench::gate()),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
