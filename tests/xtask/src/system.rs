//! Programs of the system that the tests need: Redis, PostgreSQL, Chromium, and what makes real Services of the test cluster, rules of the kernel.

use std::path::Path;
use std::process::Command;

use crate::steps::step;

/// Program, and the Debian package that has it.
const NEEDED: [(&str, &str); 6] = [
    ("chromium", "chromium"),
    ("redis-server", "redis-server"),
    ("postgres", "postgresql"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("unshare", "util-linux"),
];

/// Where Debian puts programs of PostgreSQL: a folder a version, none of them in `PATH`.
const POSTGRESQL: &str = "/usr/lib/postgresql";

/// Makes sure that they are there: root on Debian gets them installed, others are told how to.
pub fn prepare() -> Result<(), String> {
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !is_there("apt-get") || !is_root() {
        return Err(format!(
            "the tests need {}: install them (on Debian: `sudo apt-get install {}`), or without the test cluster run \
             `cargo xtask test --no-cluster`",
            missing.join(", "),
            missing.join(" ")
        ));
    }
    let mut install = apt(&["install", "--yes", "--no-install-recommends"]);
    install.args(&missing);
    // A new machine has no list of packages yet.
    step("install system packages", &mut install).or_else(|_| {
        step("list of system packages", &mut apt(&["update"]))
            .and_then(|()| step("install system packages", &mut install))
    })
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// In `PATH`, or where administrators' programs or those of PostgreSQL are.
fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir(POSTGRESQL).into_iter().flatten().flatten();
    let folders = std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(Into::into))
        .chain(versions.map(|version| version.path().join("bin")));
    folders.into_iter().any(|folder| folder.join(program).is_file())
}

/// The owner of a process's folder is its user.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    Path::new("/proc/self").metadata().is_ok_and(|own| own.uid() == 0)
}
