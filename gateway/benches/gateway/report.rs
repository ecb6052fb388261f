//! The figures, for people and for machines.

use std::time::Duration;

use serde_json::{Value, json};

use crate::load::Figures;

/// Rows in the order they were measured.
#[derive(Default)]
pub struct Report {
    calls: Vec<Value>,
    lists: Vec<Value>,
}

impl Report {
    /// Adds what a load of calls came to, beside the direct control.
    pub fn calls(&mut self, sessions: usize, direct: &Figures, (way, figures): (&str, &Figures)) {
        self.calls.push(json!({
            "way": way,
            "sessions": sessions,
            "callsPerSecond": figures.rate().round(),
            "ratioToDirect": figures.rate() / direct.rate(),
            "addedP50Microseconds": figures.within(0.5) - direct.within(0.5),
            "addedP99Microseconds": figures.within(0.99) - direct.within(0.99),
            "cpuMicrosecondsPerCall": figures.cpu_per_call(),
            "answerBytes": figures.bytes,
        }));
    }

    /// Adds what a load of lists came to.
    pub fn lists(&mut self, hung: bool, first: Duration, figures: &Figures) {
        self.lists.push(json!({
            "oneServerHangs": hung,
            "firstListMilliseconds": first.as_secs_f64() * 1000.0,
            "p50Microseconds": figures.within(0.5),
            "p99Microseconds": figures.within(0.99),
            "cpuMicrosecondsPerList": figures.cpu_per_call(),
            "bytes": figures.bytes,
        }));
    }

    /// Prints all rows.
    pub fn print(&self, as_json: bool) {
        if as_json {
            println!("{}", json!({ "calls": self.calls, "lists": self.lists }));
            return;
        }
        println!("calls of one tool, 100 bytes in and out");
        println!(
            "{:<12}{:>9}{:>10}{:>17}{:>15}{:>15}{:>13}",
            "way", "sessions", "calls/s", "ratio to direct", "added p50 µs", "added p99 µs", "CPU µs/call"
        );
        for row in &self.calls {
            println!(
                "{:<12}{:>9}{:>10}{:>17.3}{:>15.0}{:>15.0}{:>13.1}",
                row["way"].as_str().unwrap_or_default(),
                number(row, "sessions"),
                number(row, "callsPerSecond"),
                number(row, "ratioToDirect"),
                number(row, "addedP50Microseconds"),
                number(row, "addedP99Microseconds"),
                number(row, "cpuMicrosecondsPerCall"),
            );
        }
        println!("\ntools/list over 20 servers of 10 tools");
        println!(
            "{:<18}{:>15}{:>10}{:>10}{:>14}{:>10}",
            "one server hangs", "first list ms", "p50 µs", "p99 µs", "CPU µs/list", "bytes"
        );
        for row in &self.lists {
            println!(
                "{:<18}{:>15.0}{:>10.0}{:>10.0}{:>14.0}{:>10}",
                row["oneServerHangs"].to_string(),
                number(row, "firstListMilliseconds"),
                number(row, "p50Microseconds"),
                number(row, "p99Microseconds"),
                number(row, "cpuMicrosecondsPerList"),
                number(row, "bytes"),
            );
        }
    }
}

fn number(row: &Value, field: &str) -> f64 {
    row[field].as_f64().unwrap_or(f64::NAN)
}
