//! Redis and PostgreSQL for tests: real servers of the test's own, on free ports of the loopback interface, that end with it.
//!
//! They are Debian's packages `redis-server` and `postgresql`; `cargo xtask test` installs them.

mod error;
mod postgres;
mod process;
mod redis;

pub use error::Error;
pub use postgres::Postgres;
pub use redis::Redis;

/// A port of the loopback interface that was free a moment ago.
fn free_port() -> Result<u16, Error> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr().map(|at| at.port()));
    taken.map_err(Error::io("looking for a free port"))
}
