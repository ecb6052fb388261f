//! Serves the fixture until it is stopped: `cargo run -p portico-conformance --example serve legacy`.

use std::io;

use portico_conformance::{Era, Fixture};

#[tokio::main]
async fn main() -> io::Result<()> {
    let era = if std::env::args().any(|argument| argument == "legacy") { Era::Legacy } else { Era::Modern };
    let fixture = Fixture::start(era).await?;
    println!("{}", fixture.url());
    std::future::pending().await
}
