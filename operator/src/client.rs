//! The client that everything goes through: it counts requests, and it writes nothing once this process may no longer
//! act.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use http::{Method, Request, Response};
use kube::{Client, client::Body};
use tokio::time::Instant;
use tower::{BoxError, Service};

use crate::metrics::Metrics;

/// Until when this process may write. Without a Lease it always may.
///
/// The election moves the end on with each renewal. A process that was stopped for longer than the Lease lasts, and
/// then goes on in the middle of a pass, finds the fence closed before it has looked at the Lease again.
#[derive(Clone, Debug, Default)]
pub struct Fence(Arc<Mutex<Option<Instant>>>);

/// The request was not sent: another process acts by now.
#[derive(Debug, thiserror::Error)]
#[error("not sent: the Lease has run out, so another operator may act by now")]
pub struct Closed;

impl Fence {
    /// Lets writes pass for `time` from now, and not after.
    pub fn open_for(&self, time: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
    }

    fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none_or(|end| Instant::now() < end)
    }
}

/// `client`, counted and fenced. The Lease itself is written through the client below.
#[must_use]
pub fn wrap(client: Client, metrics: Metrics, fence: Fence) -> Client {
    let namespace = client.default_namespace().to_owned();
    Client::new(Layered { inner: client, metrics, fence }, namespace)
}

#[derive(Clone)]
struct Layered {
    inner: Client,
    metrics: Metrics,
    fence: Fence,
}

type Answer = Result<Response<Body>, BoxError>;

impl Service<Request<Body>> for Layered {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (method, began) = (request.method().clone(), Instant::now());
        if method != Method::GET && !self.fence.is_open() {
            return Box::pin(std::future::ready(Err(Closed.into())));
        }
        let (inner, metrics) = (self.inner.clone(), self.metrics.clone());
        Box::pin(async move {
            let answer = inner.send(request).await;
            let code = answer.as_ref().map_or(0, |response| response.status().as_u16());
            metrics.request(&method, code, began.elapsed());
            answer.map_err(Into::into)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers everything, and counts what it is asked.
    fn counted() -> (Client, Arc<Mutex<Vec<Method>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&asked);
        let answer = tower::service_fn(move |request: Request<Body>| {
            to.lock().unwrap().push(request.method().clone());
            std::future::ready(Ok::<_, BoxError>(Response::new(Body::from(b"{}".to_vec()))))
        });
        (Client::new(answer, "default"), asked)
    }

    #[tokio::test(start_paused = true)]
    async fn once_the_lease_has_run_out_reads_are_sent_and_writes_are_not() {
        let ((inner, asked), fence) = (counted(), Fence::default());
        let client = wrap(inner, Metrics::default(), fence.clone());
        let send = async |method: Method| {
            let request = Request::builder().method(method).uri("/api").body(Body::empty()).unwrap();
            client.send(request).await.is_ok()
        };
        fence.open_for(Duration::from_secs(10));
        assert!(send(Method::PATCH).await);
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(send(Method::GET).await);
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(!send(method).await);
        }
        assert_eq!(*asked.lock().unwrap(), [Method::PATCH, Method::GET]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fence_is_open_without_a_lease_and_closes_when_the_lease_is_not_renewed() {
        let fence = Fence::default();
        assert!(fence.is_open());
        fence.open_for(Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(fence.is_open());
        fence.open_for(Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(fence.is_open());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!fence.is_open());
    }
}
