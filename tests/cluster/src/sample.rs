//! A small server to be a pod in tests of the cluster itself.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

/// Answers every request with `$HOSTNAME` and `$GREETING`, on `$HOST:$PORT`, until it is asked to end. The path
/// `/crash` ends it with exit code 3.
pub(crate) async fn serve() -> io::Result<()> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let listener = TcpListener::bind(format!("{}:{}", variable("HOST"), variable("PORT"))).await?;
    let text = format!("{} {}\n", variable("HOSTNAME"), variable("GREETING"));
    let mut end = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            _ = end.recv() => return Ok(()),
            Ok((stream, _)) = listener.accept() => drop(tokio::spawn(answer(stream, text.clone()))),
        }
    }
}

async fn answer(mut stream: TcpStream, text: String) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && stream.read_buf(&mut request).await? > 0 {}
    if request.starts_with(b"GET /crash") {
        std::process::exit(3);
    }
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
    stream.write_all((head + &text).as_bytes()).await
}
