//! What can be set about a gateway.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::secret::Secrets;

/// Settings of a gateway; `Options::default()` fits a laptop and a cluster alike.
#[derive(Clone)]
pub struct Options {
    /// Host names (with or without a port) under which clients reach the gateway, besides loopback ones. They are
    /// accepted in `Host` and as the host of `Origin`.
    pub public_hosts: Vec<String>,
    /// URL under which other replicas reach this one, without a path, such as `http://10.1.2.3:7300`: what a client answers to
    /// a question of this replica is then handed on to it by whichever gets the answer. They must share `session_keys`.
    pub peer_url: Option<String>,
    /// Bytes in a request's body.
    pub max_body_bytes: usize,
    /// Bytes in a server's answer, or in one event of it.
    pub max_answer_bytes: usize,
    /// Levels of objects and arrays in a request.
    pub max_depth: usize,
    /// Definitions in one page of a list.
    pub page_size: usize,
    /// Keys that seal session ids: the first seals, all open, so that keys can be rotated and replicas can share them.
    /// None means one random key, good for one process.
    pub session_keys: Vec<[u8; 32]>,
    /// How long a client's session id is accepted.
    pub session_lifetime: Duration,
    /// Streams that clients may hold open together.
    pub max_streams: usize,
    /// Requests answered at the same time.
    pub max_requests: usize,
    /// Calls that one server may have open at the same time: one that hangs must not take the room of all.
    pub max_server_calls: usize,
    /// Calls that may wait for one server to start.
    pub max_waiting: u32,
    /// Bytes of these; all servers together may hold eight times as many.
    pub max_waiting_bytes: u64,
    /// How long a call waits for a server that has answered lately and is away, as when it is restarted.
    pub hold: Duration,
    /// How long clients are still served after the stop, while they learn that this gateway goes: `/readyz` fails meanwhile.
    pub shutdown_delay: Duration,
    /// Sessions with servers kept at the same time, over all clients; the least recently used one gives way.
    pub max_backend_sessions: usize,
    /// How long an unused session with a server is kept.
    pub backend_session_idle: Duration,
    /// What servers ask clients, open at the same time over all clients; as many calls may wait for their client.
    pub max_questions: usize,
    /// How long a client may take to answer what a server asks it.
    pub answer_timeout: Duration,
    /// PEM certificates of authorities that may vouch for remote servers, besides those the system trusts.
    pub extra_authorities: Vec<u8>,
    /// Networks besides the public Internet in which remote servers may be.
    pub allowed_remotes: Vec<IpNet>,
    /// Where the secrets are read that servers ask of the gateway; none: servers that ask for one cannot be used.
    pub secrets: Option<Arc<dyn Secrets>>,
    /// Time for a TCP connection to a server.
    pub connect_timeout: Duration,
    /// Time for a handshake, or for one page of a list, with a server.
    pub list_timeout: Duration,
    /// How often a server that sends no notifications is asked for its lists, and any server whether it lives.
    pub refresh: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            public_hosts: Vec::new(),
            peer_url: None,
            max_body_bytes: 4 * 1024 * 1024,
            max_answer_bytes: 32 * 1024 * 1024,
            max_depth: 128,
            page_size: 1000,
            session_keys: Vec::new(),
            session_lifetime: Duration::from_hours(24),
            max_streams: 4096,
            max_requests: 8192,
            max_server_calls: 1024,
            max_waiting: 1024,
            max_waiting_bytes: 16 * 1024 * 1024,
            hold: Duration::from_secs(10),
            shutdown_delay: Duration::ZERO,
            max_backend_sessions: 8192,
            backend_session_idle: Duration::from_mins(30),
            max_questions: 4096,
            answer_timeout: Duration::from_mins(5),
            extra_authorities: Vec::new(),
            allowed_remotes: vec![
                Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8).into(),
                Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128).into(),
            ],
            secrets: None,
            connect_timeout: Duration::from_secs(5),
            list_timeout: Duration::from_secs(15),
            refresh: Duration::from_mins(1),
        }
    }
}

impl fmt::Debug for Options {
    /// Leaves out the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("public_hosts", &self.public_hosts)
            .field("session_keys", &self.session_keys.len())
            .finish_non_exhaustive()
    }
}
