//! Asks a process whether it serves.

use std::{net::Ipv4Addr, time::Duration};

use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::plan::Probe;

/// Time for one answer.
const WITHIN: Duration = Duration::from_secs(2);

/// Whether the process on `port` of 127.0.0.1 serves.
pub async fn serves(port: u16, probe: &Probe) -> bool {
    matches!(timeout(WITHIN, ask(port, probe)).await, Ok(Ok(true)))
}

async fn ask(port: u16, probe: &Probe) -> io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let Probe::Get(path) = probe else { return Ok(true) };
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    // "HTTP/1.1 200": nothing behind it matters.
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    Ok(is_good(&head))
}

fn is_good(head: &[u8; 12]) -> bool {
    head.starts_with(b"HTTP/1.") && head[8] == b' ' && matches!(head[9], b'2' | b'3')
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn answer(listener: TcpListener, text: &'static str) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 256];
        let read = stream.read(&mut request).await.unwrap();
        assert!(request[..read].starts_with(b"GET /readyz HTTP/1.1\r\n"));
        stream.write_all(text.as_bytes()).await.unwrap();
    }

    #[tokio::test]
    async fn a_get_counts_by_its_status() {
        for (text, good) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.0 302 Found\r\n\r\n", true),
            ("HTTP/1.1 404 Not Found\r\n\r\n", false),
            ("HTTP/1.1 503 Busy\r\n\r\n", false),
            ("SSH-2.0-OpenSSH_9\r\n", false),
            ("HTTP", false),
        ] {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let probe = Probe::Get("/readyz".into());
            let (served, ()) = tokio::join!(serves(port, &probe), answer(listener, text));
            assert_eq!(served, good, "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_is_enough_where_nothing_else_is_asked() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(serves(port, &Probe::Connect).await);
        drop(listener);
        assert!(!serves(port, &Probe::Connect).await);
    }
}
