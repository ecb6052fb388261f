//! A network of this process's own, in which pods have addresses, Services work and names resolve.
//!
//! Every user may make one: a user namespace, and in it a network, a mount and a process namespace. Nothing of the
//! machine's own network is seen or changed, and when the first process in there ends, all others do.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Error;

/// Set in the environment of all that runs inside, to the number that the outermost process has outside.
const INSIDE: &str = "PORTICO_OWN_NETWORK";
/// The address of the node, the API server and the name server inside. The range is for tests between networks
/// (RFC 2544): nothing real has such an address.
pub(crate) const ADDRESS: &str = "198.18.0.1";
/// Nodes' and pods' addresses.
pub(crate) const RANGE: &str = "198.18.0.0/16";
/// Inside, a file system in memory that no other process sees and that goes with the last one.
pub(crate) const PRIVATE: &str = "/run";

const NAMESPACES: [&str; 7] =
    ["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL"];

const SCRIPT: &str = include_str!("network.sh");

/// Whether this process has a network of its own.
#[must_use]
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Starts this program anew, with the same arguments, in a network of its own; inside it does nothing.
///
/// It takes the place of this process, so it returns only with an error: when this machine does not let its users
/// make namespaces. What other threads are doing is cut off; call it before anything else.
pub fn enter() -> Result<(), Error> {
    if is_inside() {
        return Ok(());
    }
    let program =
        std::env::current_exe().map_err(Error::file("finding the program", Path::new("/proc/self/exe")))?;
    allowed()?;
    let mut command = Command::new("unshare");
    command.args(NAMESPACES).args(["--mount-proc", "--", "/bin/sh", "-c", SCRIPT, "network.sh", ADDRESS]);
    command.arg(program).args(std::env::args_os().skip(1)).env(INSIDE, std::process::id().to_string());
    Err(Error::file("starting", Path::new("unshare"))(command.exec()))
}

/// The beginning of a command that runs the rest of it inside, for a person outside. Nothing for a process that is
/// outside itself.
#[must_use]
pub fn way_in() -> Option<String> {
    let outermost = std::env::var(INSIDE).ok()?;
    Some(format!("nsenter --target {outermost} --user --preserve-credentials --net --mount --"))
}

/// A trial, for the real thing could no longer say what is wrong.
fn allowed() -> Result<(), Error> {
    let mut command = Command::new("unshare");
    command
        .args(NAMESPACES)
        .args(["--mount-proc", "--", "ip", "link", "set", "lo", "up"])
        .stdin(Stdio::null());
    let output = command.output().map_err(Error::file("starting", Path::new("unshare")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::NoNamespaces(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// The right to run Services here, until it is dropped: a network has room for one cluster's.
pub(crate) fn claim() -> Result<File, Error> {
    if !is_inside() {
        return Err(Error::NoOwnNetwork);
    }
    let path = Path::new(PRIVATE).join("portico.lock");
    let file = File::create(&path).map_err(Error::file("opening", &path))?;
    file.try_lock().map_err(|_| Error::NetworkTaken)?;
    Ok(file)
}
