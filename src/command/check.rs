//! `portico check`.

use std::process::ExitCode;

use portico_local::check::{Report, check_path};
use portico_local::manifest::Problem;
use serde_json::json;

use crate::cli::Check;
use crate::failure::Failure;

pub fn run(arguments: &Check) -> Result<ExitCode, Failure> {
    let mut valid = true;
    for path in &arguments.paths {
        let report = check_path(path).map_err(Failure::file(path))?;
        valid &= report.problems.is_empty() && (report.unresolved.is_empty() || !arguments.strict);
        if arguments.json {
            print_json(&report, arguments.strict);
        } else {
            print_text(&report, arguments.strict);
        }
    }
    Ok(ExitCode::from(u8::from(!valid)))
}

fn print_json(report: &Report, strict: bool) {
    let line = |problem: &Problem, severity: &str| {
        println!(
            "{}",
            json!({ "file": problem.file, "line": problem.line, "field": problem.field,
                "message": problem.message, "severity": severity })
        );
    };
    report.problems.iter().for_each(|problem| line(problem, "error"));
    let severity = if strict { "error" } else { "warning" };
    report.unresolved.iter().for_each(|problem| line(problem, severity));
}

fn print_text(report: &Report, strict: bool) {
    for problem in &report.problems {
        println!("error: {problem}");
    }
    for problem in &report.unresolved {
        let kind = if strict { "error" } else { "warning" };
        println!("{kind}: {problem}");
    }
    let checked = report.documents.len();
    let noun = if checked == 1 { "manifest" } else { "manifests" };
    match (report.problems.len(), report.unresolved.len()) {
        (0, 0) => println!("{checked} {noun} checked: all valid"),
        (0, open) => {
            println!(
                "{checked} {noun} checked: valid; {open} reference(s) must exist in the cluster already"
            );
        }
        (wrong, _) => println!("{checked} {noun} checked: {wrong} problem(s)"),
    }
}
