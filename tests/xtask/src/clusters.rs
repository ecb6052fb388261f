//! Control planes that all tests of one run share.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::steps::{built, step};

/// What tests of several programs share: a control plane with simulated nodes. Tests whose pods are processes start
/// theirs in a network of their own, which nobody can join from outside.
const LEVELS: [&str; 1] = ["kwok"];

/// Running clusters; they end when this is dropped, or when this process ends in any way.
pub struct Clusters {
    running: Vec<(Child, PathBuf)>,
}

impl Clusters {
    /// Builds the cluster's programs unless they are in the cache, and starts one cluster of each level.
    pub fn start() -> Result<Self, String> {
        step(
            "programs of the test cluster (minutes the first time)",
            Command::new(built("cluster")).arg("build"),
        )?;
        let mut clusters = Self { running: Vec::new() };
        for level in LEVELS {
            eprintln!("==> start a cluster of level {level}");
            let started = start(level)?;
            clusters.running.push(started);
        }
        Ok(clusters)
    }

    /// The folders, as `PORTICO_TEST_CLUSTER` wants them.
    pub fn folders(&self) -> std::ffi::OsString {
        std::env::join_paths(self.running.iter().map(|(_, folder)| folder)).unwrap_or_default()
    }
}

fn start(level: &str) -> Result<(Child, PathBuf), String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("the cluster of level {level} did not start: {error}");
    let mut child = Command::new(built("cluster"))
        .args(["up", "--level", level])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    let mut line = String::new();
    let output = child.stdout.take().ok_or_else(|| failed(&"it has no output"))?;
    let read = BufReader::new(output).read_line(&mut line);
    let folder = PathBuf::from(line.trim()).parent().map(ToOwned::to_owned);
    if let (Ok(1..), Some(folder)) = (read, folder.filter(|folder| folder.is_dir())) {
        return Ok((child, folder));
    }
    child.wait().ok();
    Err(failed(&"see its message above"))
}

impl Drop for Clusters {
    fn drop(&mut self) {
        for (child, _) in &mut self.running {
            // The end of its input tells it to stop.
            drop(child.stdin.take());
        }
        for (child, _) in &mut self.running {
            child.wait().ok();
        }
    }
}
