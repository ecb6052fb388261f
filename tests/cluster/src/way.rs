//! A way to the API server, which a test cuts and mends.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Passes connections on to an address, until it is cut.
#[derive(Debug)]
pub struct Way {
    /// Where it begins.
    pub listening: SocketAddr,
    to: SocketAddr,
    open: Option<DropGuard>,
}

impl Way {
    /// An open way to `to`.
    ///
    /// # Errors
    /// When there is no port for it.
    pub async fn to(to: SocketAddr) -> io::Result<Self> {
        // Its port is taken and given back, so that the way can be opened there again and again.
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let listening = listener.local_addr()?;
        drop(listener);
        let mut way = Self { listening, to, open: None };
        way.mend()?;
        Ok(way)
    }

    /// Ends all connections, and takes no more.
    pub fn cut(&mut self) {
        self.open = None;
    }

    /// Takes connections again.
    ///
    /// # Errors
    /// When somebody else has its port meanwhile.
    pub fn mend(&mut self) -> io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.listening)?;
        let (listener, to, open) = (socket.listen(64)?, self.to, CancellationToken::new());
        self.open = Some(open.clone().drop_guard());
        tokio::spawn(async move {
            while let Some(Ok((mut near, _))) = open.run_until_cancelled(listener.accept()).await {
                let open = open.clone();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(to).await else { return };
                    open.run_until_cancelled(tokio::io::copy_bidirectional(&mut near, &mut far)).await;
                });
            }
        });
        Ok(())
    }
}
