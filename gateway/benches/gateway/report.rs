//! The figures, for people and for machines.

use std::time::Duration;

use serde_json::{Value, json};

use crate::load::{Figures, Held, Load};
use crate::memory::milliseconds;

/// Rows in the order they were measured.
#[derive(Default)]
pub struct Report {
    calls: Vec<Value>,
    lists: Vec<Value>,
    starts: Vec<Value>,
    memory: Vec<Value>,
    runtimes: Vec<Value>,
    watched: Vec<Value>,
}

impl Report {
    /// Adds what a load of calls came to through floor and gateway, and through one that checks tokens, judges by rules, counts
    /// quotas and writes an audit log, beside the direct control.
    pub fn calls(
        &mut self,
        load: Load,
        direct: &Figures,
        floor: &Figures,
        (gateway, guarded): (&Figures, Option<&Figures>),
    ) {
        let ways = [("floor", Some(floor)), ("gateway", Some(gateway)), ("guarded", guarded)];
        for (way, figures) in ways.into_iter().filter_map(|(way, figures)| Some((way, figures?))) {
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
    pub fn lists(&mut self, hung: bool, figures: &Figures) {
        self.lists.push(json!({
            "oneServerHangs": hung,
            "p50Microseconds": figures.within(0.5),
            "p99Microseconds": figures.within(0.99),
            "cpuMicrosecondsPerList": figures.cpu_per_call(),
            "bytes": figures.bytes,
        }));
    }

    /// Adds what calls came to through a gateway of one kind of runtime.
    pub fn runtime(&mut self, role: &str, sessions: usize, figures: &Figures) {
        self.runtimes.push(json!({
            "runtime": if role == "current" { "one thread" } else { "worker threads" },
            "sessions": sessions,
            "callsPerSecond": figures.rate().round(),
            "cpuMicrosecondsPerCall": figures.cpu_per_call(),
            "p50Microseconds": figures.within(0.5),
        }));
    }

    /// Adds how long a start took, and what the gateway took then.
    pub fn start(&mut self, (servers, hung): (usize, bool), first: Duration, resident_kib: u64) {
        self.starts.push(json!({
            "servers": servers,
            "oneServerHangs": hung,
            "firstListMilliseconds": milliseconds(first),
            "residentKib": resident_kib,
        }));
    }

    /// Adds what one of many things takes that clients hold open.
    pub fn held(&mut self, held: Held, count: usize, kib_each: f64) {
        let held = match held {
            Held::Connection => "connection",
            Held::Session => "session",
            Held::Stream => "session with its stream",
        };
        self.memory.push(json!({ "open": held, "count": count, "kibEach": kib_each }));
    }

    /// Adds what the gateway took while sessions came and went.
    pub fn dropped(&mut self, count: usize, resident_kib: &[u64], each: Duration) {
        self.memory.push(json!({
            "openedAndDropped": count,
            "residentKibAfterEachFifth": resident_kib,
            "millisecondsEach": milliseconds(each),
        }));
    }

    /// Prints all rows.
    /// `plain` and `scaled` are CPU in microseconds a second and resident KiB.
    pub fn watched(&mut self, servers: usize, plain: (f64, f64), scaled: (f64, f64)) {
        let each = |of: fn(&(f64, f64)) -> f64| (of(&scaled) - of(&plain)) / servers as f64;
        self.watched.push(json!({
            "servers": servers,
            "plainCpuMicrosecondsPerSecond": plain.0, "scaledCpuMicrosecondsPerSecond": scaled.0,
            "cpuMicrosecondsPerServer": each(|cost| cost.0), "kibPerServer": each(|cost| cost.1),
        }));
    }

    pub fn print(&self, as_json: bool) {
        if as_json {
            println!(
                "{}",
                json!({ "calls": self.calls, "lists": self.lists, "starts": self.starts, "memory": self.memory, "runtimes": self.runtimes, "watched": self.watched })
            );
            return;
        }
        self.print_calls();
        for row in &self.runtimes {
            println!(
                "{:<16}{:>5} sessions {:>8} calls/s {:>7.1} µs CPU/call {:>8.0} µs p50",
                row["runtime"].as_str().unwrap_or_default(),
                row["sessions"],
                row["callsPerSecond"],
                number(row, "cpuMicrosecondsPerCall"),
                number(row, "p50Microseconds")
            );
        }
        self.print_lists();
        self.print_memory();
        self.print_watched();
    }

    fn print_calls(&self) {
        if self.calls.is_empty() {
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
    }

    fn print_lists(&self) {
        if self.lists.is_empty() {
            return;
        }
        println!("\ntools/list over 20 servers of 10 tools");
        println!(
            "{:<18}{:>10}{:>10}{:>14}{:>10}",
            "one server hangs", "p50 µs", "p99 µs", "CPU µs/list", "bytes"
        );
        for row in &self.lists {
            println!(
                "{:<18}{:>10.0}{:>10.0}{:>14.0}{:>10}",
                row["oneServerHangs"].to_string(),
                number(row, "p50Microseconds"),
                number(row, "p99Microseconds"),
                number(row, "cpuMicrosecondsPerList"),
                number(row, "bytes"),
            );
        }
    }
}

impl Report {
    fn print_watched(&self) {
        if self.watched.is_empty() {
            return;
        }
        println!(
            "\nservers at zero that are watched once a second, beside the same number that are not scaled"
        );
        println!(
            "{:<10}{:>22}{:>22}{:>18}{:>16}",
            "servers", "not scaled, µs/s", "scaled, µs/s", "µs/s a server", "KiB a server"
        );
        for row in &self.watched {
            println!(
                "{:<10}{:>22.0}{:>22.0}{:>18.2}{:>16.2}",
                number(row, "servers"),
                number(row, "plainCpuMicrosecondsPerSecond"),
                number(row, "scaledCpuMicrosecondsPerSecond"),
                number(row, "cpuMicrosecondsPerServer"),
                number(row, "kibPerServer"),
            );
        }
    }

    fn print_memory(&self) {
        if self.starts.is_empty() {
            return;
        }
        println!("\nfrom the start of the process to the first whole list, and what is resident then");
        println!("{:<10}{:<18}{:>10}{:>12}", "servers", "one server hangs", "ms", "KiB");
        for row in &self.starts {
            println!(
                "{:<10}{:<18}{:>10.1}{:>12}",
                number(row, "servers"),
                row["oneServerHangs"].to_string(),
                number(row, "firstListMilliseconds"),
                number(row, "residentKib"),
            );
        }
        println!("\nmemory, with 5 servers");
        for row in &self.memory {
            match row["open"].as_str() {
                Some(open) => {
                    println!("{open:<26}{:>8.1} KiB each of {}", number(row, "kibEach"), row["count"]);
                }
                None => println!(
                    "{} sessions opened, used and dropped, {:.2} ms each: resident KiB after each fifth {}",
                    row["openedAndDropped"],
                    number(row, "millisecondsEach"),
                    row["residentKibAfterEachFifth"]
                ),
            }
        }
    }
}

fn number(row: &Value, field: &str) -> f64 {
    row[field].as_f64().unwrap_or(f64::NAN)
}
