//! The figures, for people and for machines.

use std::time::Duration;

use serde_json::{Value, json};

use crate::load::{Figures, Load};

/// Rows in the order they were measured.
#[derive(Default)]
pub struct Report {
    calls: Vec<Value>,
    lists: Vec<Value>,
}

impl Report {
    /// Adds what a load of calls came to through floor and gateway, beside the direct control.
    pub fn calls(&mut self, load: Load, direct: &Figures, (floor, gateway): (&Figures, &Figures)) {
        for (way, figures) in [("floor", floor), ("gateway", gateway)] {
            let cpu = figures.cpu_per_call();
            let over = cpu.zip(floor.cpu_per_call()).map(|(cpu, floor)| cpu / floor);
            self.calls.push(json!({
                "way": way,
                "era": if load.modern { "2026-07-28" } else { "2025-11-25" },
                "sessions": load.sessions,
                "bytes": load.bytes,
                "callsPerSecond": figures.rate().round(),
                "ratioToDirect": figures.rate() / direct.rate(),
                "addedP50Microseconds": figures.within(0.5) - direct.within(0.5),
                "addedP99Microseconds": figures.within(0.99) - direct.within(0.99),
                "cpuMicrosecondsPerCall": cpu,
                "cpuOverFloor": over,
            }));
        }
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
        println!("calls of one tool of one of 5 servers");
        println!(
            "{:<10}{:<12}{:>9}{:>8}{:>10}{:>17}{:>14}{:>14}{:>13}{:>12}",
            "way",
            "era",
            "sessions",
            "bytes",
            "calls/s",
            "ratio to direct",
            "added p50 µs",
            "added p99 µs",
            "CPU µs/call",
            "over floor"
        );
        for row in &self.calls {
            println!(
                "{:<10}{:<12}{:>9}{:>8}{:>10}{:>17.3}{:>14.0}{:>14.0}{:>13.1}{:>12.2}",
                row["way"].as_str().unwrap_or_default(),
                row["era"].as_str().unwrap_or_default(),
                number(row, "sessions"),
                number(row, "bytes"),
                number(row, "callsPerSecond"),
                number(row, "ratioToDirect"),
                number(row, "addedP50Microseconds"),
                number(row, "addedP99Microseconds"),
                number(row, "cpuMicrosecondsPerCall"),
                number(row, "cpuOverFloor"),
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
