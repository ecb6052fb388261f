//! The replicas of the gateway tell each other the load of the servers: the one that decides asks the others, over their own
//! addresses. Nothing is stored, and nothing else has to run for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures::future::{BoxFuture, join_all};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::demand::Told;
use crate::core::Core;

/// Where a replica is asked.
const PATH: &str = "/peer/load";
/// The header that shows that a replica asks: a moment, sealed with the keys that all replicas share.
const ASKS: &str = "portico-peer";
/// Binds the sealed moment to its use.
const PURPOSE: &[u8] = b"portico peer load v1";
/// For how long before and after it a sealed moment is good.
const GOOD_FOR: Duration = Duration::from_mins(1);
/// Bytes of a sealed moment.
const MAX_SEALED: usize = 256;
/// Bytes of an answer: some thousand servers.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// Time for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// For how long what a silent replica told last still counts.
const LAST_FOR: Duration = Duration::from_secs(30);

/// URLs of the replicas of the gateway, without a path; this one's may be among them.
pub type Peers = watch::Receiver<Arc<Vec<String>>>;

/// What replicas tell, and what they told last.
#[derive(Debug, Default)]
pub(super) struct Others {
    last: BTreeMap<String, (Instant, Told)>,
    /// URLs that lead to this process itself.
    own: Option<String>,
}

impl Others {
    /// What each other replica tells, or told last; and why one does not tell it now, if so.
    pub(super) async fn ask(&mut self, core: &Arc<Core>, peers: &Peers) -> (Vec<Told>, Option<String>) {
        let named = Arc::clone(&peers.borrow());
        let others: Vec<&String> = named
            .iter()
            .filter(|url| core.options.peer_url.as_ref() != Some(url) && self.own.as_ref() != Some(url))
            .collect();
        self.last.retain(|url, (when, _)| others.contains(&url) && when.elapsed() < LAST_FOR);
        let asking: Vec<BoxFuture<'_, Result<Told, String>>> =
            others.iter().map(|url| Box::pin(ask(core, url)) as _).collect();
        let asked = join_all(asking).await;
        let mut silent = None;
        for (url, answer) in others.into_iter().zip(asked) {
            match answer {
                Ok(told) if told.process == core.process => self.own = Some(url.clone()),
                Ok(told) => {
                    self.last.insert(url.clone(), (Instant::now(), told));
                }
                Err(reason) => {
                    silent.get_or_insert(format!(
                        "the gateway's replica at {url} does not tell its load: {reason}"
                    ));
                }
            }
        }
        (self.last.values().map(|(_, told)| told.clone()).collect(), silent)
    }
}

async fn ask(core: &Core, url: &str) -> Result<Told, String> {
    let sealed =
        core.keyring.seal_for(PURPOSE, &now().to_be_bytes()).ok_or("the request cannot be sealed")?;
    let request = Request::get(format!("{url}{PATH}")).header(ASKS, sealed);
    let request = request.body(Body::empty()).map_err(|error| error.to_string())?;
    let answer = async {
        let response = core.control.http.to_replica(request).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::FORBIDDEN => {
                return Err("it has other keys; give all replicas the same --session-keys-file".to_owned());
            }
            status => return Err(format!("it answers HTTP {status}")),
        }
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        serde_json::from_slice(&body).map_err(|error| error.to_string())
    };
    timeout(ANSWER_WITHIN, answer).await.unwrap_or_else(|_| Err("it does not answer in time".to_owned()))
}

/// Where other replicas ask this one.
pub(crate) fn router(core: &Arc<Core>) -> Router {
    Router::new().route(PATH, get(tell)).with_state(Arc::clone(core))
}

async fn tell(State(core): State<Arc<Core>>, headers: HeaderMap) -> Response {
    if !is_replica(&core, &headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    match serde_json::to_vec(&Told::by(&core)) {
        Ok(told) => told.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn is_replica(core: &Core, headers: &HeaderMap) -> bool {
    let sealed = headers.get(ASKS).and_then(|value| value.to_str().ok());
    let plain = sealed.and_then(|sealed| core.keyring.open_for(PURPOSE, sealed, MAX_SEALED));
    let moment = plain.and_then(|plain| Some(u64::from_be_bytes(plain.try_into().ok()?)));
    moment.is_some_and(|moment| moment.abs_diff(now()) <= GOOD_FOR.as_secs())
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
