//! What the gateway asks for, on its way to the processes and back.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use portico_gateway::{
    scaling::{Change, Error, Scaler},
    source::{Server, ServerKey},
};
use tokio::sync::{mpsc, oneshot};

use crate::manifest::Key;

/// Wishes that wait to be carried out; who has more waits.
const WISHES: usize = 64;

/// What the gateway asks for.
#[derive(Debug)]
pub struct Wish {
    /// The server.
    pub key: Key,
    /// What is to be done with it.
    pub what: What,
    /// Where to say whether it was.
    pub answer: oneshot::Sender<Result<(), Error>>,
}

/// What is to be done with a server.
#[derive(Debug)]
pub enum What {
    /// It gets another number of processes.
    Scale(Change),
    /// The processes at these URLs are going soon, or stay.
    Drain {
        /// Where they are.
        urls: Vec<String>,
        /// Whether they are going.
        draining: bool,
    },
}

/// Hands wishes on to who runs the processes, and waits for the answers.
#[derive(Debug)]
pub struct LocalScaler(mpsc::Sender<Wish>);

impl LocalScaler {
    /// With where its wishes arrive.
    pub fn new() -> (Self, mpsc::Receiver<Wish>) {
        let (sender, wishes) = mpsc::channel(WISHES);
        (Self(sender), wishes)
    }

    fn ask(&self, key: &ServerKey, what: What) -> BoxFuture<'_, Result<(), Error>> {
        let key = Key { namespace: key.namespace.clone(), name: key.name.clone() };
        let (answer, answered) = oneshot::channel();
        let ending = || Error::Failed("`portico up` is ending".to_owned());
        async move {
            self.0.send(Wish { key, what, answer }).await.map_err(|_| ending())?;
            answered.await.unwrap_or_else(|_| Err(ending()))
        }
        .boxed()
    }
}

impl Scaler for LocalScaler {
    fn scale<'a>(&'a self, server: &'a Server, change: Change) -> BoxFuture<'a, Result<(), Error>> {
        self.ask(&server.key, What::Scale(change))
    }

    fn drain<'a>(
        &'a self,
        server: &'a Server,
        urls: &'a [String],
        draining: bool,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.ask(&server.key, What::Drain { urls: urls.to_vec(), draining })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server::new(ServerKey { namespace: "default".into(), name: "a".into() }, Vec::new())
    }

    #[tokio::test]
    async fn a_wish_is_answered_by_who_runs_the_processes() {
        let (scaler, mut wishes) = LocalScaler::new();
        let (server, urls) = (server(), ["http://127.0.0.1:7/mcp".to_owned()]);
        let serve = async {
            let wish = wishes.recv().await.unwrap();
            assert!(
                matches!(&wish.what, What::Drain { urls, draining: true } if urls.len() == 1),
                "{wish:?}"
            );
            assert_eq!(wish.key.to_string(), "default/a");
            wish.answer.send(Err(Error::Changed)).unwrap();
        };
        let (answer, ()) = tokio::join!(scaler.drain(&server, &urls, true), serve);
        assert!(matches!(answer, Err(Error::Changed)));
    }

    #[tokio::test]
    async fn at_the_end_every_wish_fails() {
        let (scaler, mut wishes) = LocalScaler::new();
        let (server, change) = (server(), Change { from: 0, to: 1 });
        let (answer, ()) = tokio::join!(scaler.scale(&server, change), async {
            drop(wishes.recv().await);
        });
        assert!(matches!(answer, Err(Error::Failed(_))));
        drop(wishes);
        assert!(matches!(scaler.scale(&server, change).await, Err(Error::Failed(_))));
    }
}
