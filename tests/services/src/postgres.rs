//! PostgreSQL.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{Error, free_port, process::Process};

const PACKAGE: &str = "postgresql";
/// Password of the one user, `postgres`.
const PASSWORD: &str = "a-password-of-tests";
/// What makes it quick and small. Nothing of a test outlives the machine, so nothing needs to reach its disk.
const SETTINGS: [&str; 5] = [
    "listen_addresses=127.0.0.1",
    "fsync=off",
    "shared_buffers=16MB",
    "max_wal_senders=4",
    "wal_level=replica",
];

/// A PostgreSQL server of one test, on a free port of the loopback interface and on a Unix socket in its folder.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
    settings: Vec<String>,
    folder: TempDir,
}

impl Postgres {
    /// Starts one, with `settings` such as `fsync=on` in force.
    pub async fn start(settings: &[&str]) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::io("making a folder"))?;
        let password = folder.path().join("password");
        std::fs::write(&password, PASSWORD).map_err(Error::io("writing a password"))?;
        let mut initdb = contained(&program("initdb")?);
        initdb.args([
            "--no-sync",
            "--username=postgres",
            // A password is wanted, and costs no client the tens of milliseconds that SCRAM is made to cost.
            "--auth=md5",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]);
        initdb.arg("--pwfile").arg(password).arg("-D").arg(folder.path().join("data"));
        finish("initdb", &mut initdb)?;
        Self::run(folder, settings.iter().map(|&setting| setting.to_owned()).collect()).await
    }

    /// Starts a replica of this one, which serves reads.
    pub async fn replica(&self) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::io("making a folder"))?;
        let mut copy = contained(&program("pg_basebackup")?);
        copy.args(["--no-sync", "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "-D"]);
        copy.arg(folder.path().join("data")).args(["-d", &self.url("postgres")]);
        finish("pg_basebackup", &mut copy)?;
        Self::run(folder, self.settings.clone()).await
    }

    async fn run(folder: TempDir, settings: Vec<String>) -> Result<Self, Error> {
        loop {
            let port = free_port()?;
            match Self::serve(folder.path(), port, &settings).await {
                Err(error) if error.is_taken() => {}
                served => return Ok(Self { process: served?, port, settings, folder }),
            }
        }
    }

    async fn serve(folder: &Path, port: u16, settings: &[String]) -> Result<Process, Error> {
        let mut command = contained(&program("postgres")?);
        command.arg("-D").arg(folder.join("data")).args(["-p", &port.to_string(), "-k"]).arg(folder);
        for setting in SETTINGS.into_iter().chain(settings.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        let mut process = Process::start("postgres", &command, &folder.join("log"))?;
        process.until(|log| log.contains("ready to accept")).await?;
        Ok(process)
    }

    /// The address of one of its databases, with the password.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.folder.path()
    }

    /// The password that its addresses hold.
    #[must_use]
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Makes an empty database and gives its address.
    pub fn database(&self, name: &str) -> Result<String, Error> {
        self.query("postgres", &format!("CREATE DATABASE \"{name}\""))?;
        Ok(self.url(name))
    }

    /// What `psql` answers in `database`: values alone, a row a line.
    pub fn query(&self, database: &str, sql: &str) -> Result<String, Error> {
        let mut psql = Command::new(program("psql")?);
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
        ]);
        finish("psql", psql.arg(self.url(database)))
    }

    /// Ends it as a failing machine would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again after [`Postgres::kill`], on the same port with the same data.
    pub async fn start_again(&mut self) -> Result<(), Error> {
        self.process.kill();
        self.process = Self::serve(self.folder.path(), self.port, &self.settings).await?;
        Ok(())
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

/// Runs `program` as a user that is not root, which PostgreSQL wants, in namespaces that take all its processes and
/// shared memory with them when it is killed.
fn contained(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args([
        "--user",
        "--map-user=65534",
        "--map-group=65534",
        "--ipc",
        "--pid",
        "--fork",
        "--kill-child",
        "--",
    ]);
    command.arg(program);
    command
}

/// Debian keeps these programs out of `PATH`, one folder a version; the newest one is taken.
fn program(name: &'static str) -> Result<PathBuf, Error> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = versions.into_iter().map(|(_, folder)| folder).chain(std::env::split_paths(&path));
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or(Error::Missing { program: name, package: PACKAGE })
}

/// Runs a command to its end and gives what it wrote.
fn finish(program: &'static str, command: &mut Command) -> Result<String, Error> {
    let output = command.output().map_err(Error::io("running a program of PostgreSQL"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let log = [output.stdout, output.stderr].concat();
    Err(Error::Failed { program, what: "failed", log: String::from_utf8_lossy(&log).into_owned() })
}
