//! The endpoint's socket, and who has it already.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

/// Why the endpoint cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else listens there.
    #[error("port {} is in use{}: end that program, or choose another port with --listen {}:0 (0 takes a free one)",
        .address.port(), owner_words(.owner.as_deref()), .address.ip())]
    Busy {
        /// The address that was asked for.
        address: SocketAddr,
        /// Name and number of the process, where it can be found out.
        owner: Option<String>,
    },
    /// The system does not give the address.
    #[error(
        "cannot listen on {address}: {source}; choose another address with --listen, such as 127.0.0.1:7300"
    )]
    Refused {
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
}

fn owner_words(owner: Option<&str>) -> String {
    owner.map(|owner| format!(" by {owner}")).unwrap_or_default()
}

/// A listener on `address`.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => Error::Busy { address, owner: owner(address.port()) },
        _ => Error::Refused { address, source },
    })
}

/// The process that listens on `port`: of this user, or of anyone for root.
#[cfg(target_os = "linux")]
fn owner(port: u16) -> Option<String> {
    use std::{fs, path::PathBuf};
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let inode = tables.iter().find_map(|table| table.lines().find_map(|row| listening_inode(row, port)))?;
    let socket = format!("socket:[{inode}]");
    let holds = |process: &std::path::Path| {
        let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        files
            .into_iter()
            .any(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == socket.as_str()))
    };
    // "/proc/self" is a process, too, and no number.
    let numbered =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes()[0].is_ascii_digit());
    let mut processes = fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.path()).filter(numbered);
    let process = processes.find(|process| holds(process))?;
    let name = fs::read_to_string(process.join("comm")).ok()?;
    Some(format!("'{}' (process {})", name.trim(), process.file_name()?.to_str()?))
}

#[cfg(not(target_os = "linux"))]
fn owner(_port: u16) -> Option<String> {
    None
}

/// Of a row of `/proc/net/tcp` (`sl local_address rem_address st … inode`) the inode, if it listens on `port`.
#[cfg(target_os = "linux")]
fn listening_inode(row: &str, port: u16) -> Option<&str> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = row.split_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let local = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
    (local == port && *state == LISTEN).then_some(inode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_port_is_named_with_its_owner_and_what_to_do() {
        let first = listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = first.local_addr().unwrap();
        let words = listen(address).await.unwrap_err().to_string();
        assert!(words.contains(&address.port().to_string()) && words.contains("--listen"), "{words}");
        #[cfg(target_os = "linux")]
        assert!(words.contains(&format!("(process {})", std::process::id())), "{words}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_refused_in_words() {
        let words = listen(([192, 0, 2, 1], 0).into()).await.unwrap_err().to_string();
        assert!(words.contains("192.0.2.1") && words.contains("--listen"), "{words}");
    }
}
