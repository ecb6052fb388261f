//! Redis.

use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{Error, free_port, process::Process};

const PROGRAM: &str = "redis-server";

/// A Redis server of one test, without persistence, on a free port of the loopback interface.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    _folder: TempDir,
}

impl Redis {
    /// Starts one, with `more` arguments, such as `--requirepass WORD`.
    pub async fn start(more: &[&str]) -> Result<Self, Error> {
        loop {
            match Self::at(free_port()?, more).await {
                Err(error) if error.is_taken() => {}
                started => return started,
            }
        }
    }

    /// As [`Redis::start`], on this port.
    pub async fn at(port: u16, more: &[&str]) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::io("making a folder"))?;
        let mut command = Command::new(PROGRAM);
        command
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
                "--dir",
            ])
            .arg(folder.path())
            .args(more);
        let mut process = Process::start(PROGRAM, &command, &folder.path().join("log"))?;
        match process.until(|log| log.contains("Ready to accept connections")).await {
            Err(Error::Failed { log, .. })
                if log.contains("No such file or directory") && log.starts_with("setpriv") =>
            {
                Err(Error::Missing { program: PROGRAM, package: PROGRAM })
            }
            ready => ready.map(|()| Self { process, port, _folder: folder }),
        }
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address, without a password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Makes it hang: connections stay open, and nothing answers.
    pub fn pause(&self) {
        self.process.signal_all(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.signal_all(Signal::SIGCONT);
    }
}
