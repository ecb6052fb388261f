//! What customers share: the replicas, the stand-in, and the record of what must not be.

use std::{
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use rand::{Rng as _, rngs::StdRng};
use reqwest::{Response, StatusCode, header, redirect};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::replica::Seat;

/// Longest time for one answer, and for a replica to be killed under a call whose connection broke.
const PATIENCE: Duration = Duration::from_secs(50);

/// What came of a call.
pub enum Reply {
    Answer(StatusCode, Value),
    /// The connection broke, because the replica was killed.
    Broken,
    /// There was no connection, so nothing was sent.
    NotSent,
}

pub struct Crowd {
    pub http: reqwest::Client,
    pub standin: SocketAddr,
    pub seats: Vec<watch::Receiver<Seat>>,
    pub stop: CancellationToken,
    /// Held by whoever signs in: the stand-in signs one customer in at a time.
    pub signing_in: tokio::sync::Mutex<()>,
    /// What went wrong otherwise than it may.
    pub failures: Mutex<Vec<String>>,
    /// Calls that a kill has cut off.
    pub broken: AtomicU32,
    /// Calls that failed because the database did not answer in time: so it is on a machine that is busy with other tests.
    pub away: AtomicU32,
    /// Changes that were answered as done.
    pub done: AtomicU32,
}

impl Crowd {
    pub fn new(standin: SocketAddr, seats: Vec<watch::Receiver<Seat>>) -> Self {
        let http = reqwest::Client::builder().redirect(redirect::Policy::none()).timeout(PATIENCE);
        Self {
            http: http.build().unwrap(),
            standin,
            seats,
            stop: CancellationToken::new(),
            signing_in: tokio::sync::Mutex::default(),
            failures: Mutex::default(),
            broken: AtomicU32::default(),
            away: AtomicU32::default(),
            done: AtomicU32::default(),
        }
    }

    pub fn fail(&self, what: String) {
        self.failures.lock().unwrap().push(what);
    }

    /// Takes down an answer that should not be. Of those by the server's own fault the replicas' logs say which may be.
    pub fn fail_by(&self, what: &str, status: StatusCode, body: &Value) {
        if body["class"] == "unavailable" {
            self.away.fetch_add(1, Ordering::Relaxed);
        } else {
            self.fail(format!("{what}: {status} {body}"));
        }
    }

    /// A replica that runs.
    async fn replica(&self, random: &mut StdRng) -> (watch::Receiver<Seat>, Seat, SocketAddr) {
        let mut seat = self.seats[random.random_range(0..self.seats.len())].clone();
        let running = seat.wait_for(|seat| seat.address.is_some()).await.map(|seat| *seat).unwrap();
        (seat, running, running.address.unwrap())
    }

    /// Calls a tool of a random replica.
    pub async fn call(&self, random: &mut StdRng, tool: &str, arguments: &Value) -> Reply {
        let (mut seat, before, address) = self.replica(random).await;
        let sent = self.http.post(format!("http://{address}/tools/{tool}")).json(arguments).send().await;
        let (error, answer) = match sent {
            Ok(answer) => {
                let status = answer.status();
                match answer.json().await {
                    Ok(body) => return Reply::Answer(status, body),
                    Err(error) => (error, true),
                }
            }
            Err(error) => (error, false),
        };
        let killed = tokio::time::timeout(PATIENCE, seat.wait_for(|seat| seat.kills > before.kills)).await;
        if killed.is_err() || error.is_timeout() {
            self.fail(format!("{tool}: {error:?} without a kill (answer begun: {answer})"));
        }
        if error.is_connect() { Reply::NotSent } else { Reply::Broken }
    }

    /// Signs a customer in for the first time; the id of the session.
    pub async fn sign_in(&self, random: &mut StdRng, customer: &str) -> String {
        let (_, _, address) = self.replica(random).await;
        let login = self.http.get(format!("http://{address}/auth/login")).send().await.unwrap();
        let answer = self.consent(customer, address, &login).await.unwrap();
        let body: Value = answer.json().await.unwrap();
        body["session_id"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
    }

    /// Follows the link of an answer that says that the sign-in has ended; says whether that was needed and has succeeded. A kill
    /// may come between: the next call tells.
    pub async fn sign_in_again(&self, random: &mut StdRng, customer: &str, link: &str) -> bool {
        let _alone = self.signing_in.lock().await;
        let (_, _, address) = self.replica(random).await;
        let code = link.split_once("link=").map_or("", |(_, code)| code);
        let login = self.http.post(format!("http://{address}/auth/login")).form(&[("link", code)]);
        let Ok(login) = login.send().await else { return false };
        match login.status() {
            StatusCode::SEE_OTHER => {}
            // The other device was faster.
            StatusCode::OK => return false,
            status => {
                self.fail(format!("signing {customer} in again by {link}: {status}"));
                return false;
            }
        }
        let Some(answer) = self.consent(customer, address, &login).await else { return false };
        let status = answer.status();
        if status != StatusCode::OK {
            self.fail(format!("the end of signing {customer} in again: {status}"));
        }
        status == StatusCode::OK
    }

    /// The customer consents at the stand-in and comes back; `None` where the replica is gone.
    async fn consent(&self, customer: &str, address: SocketAddr, login: &Response) -> Option<Response> {
        let settings = format!("http://{}/_standin/settings", self.standin);
        self.http.post(settings).json(&json!({ "customer": customer })).send().await.unwrap();
        let cookie =
            login.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
        let consent = self.http.get(location(login)).send().await.unwrap();
        // Browsers know all replicas by one name.
        let back = location(&consent);
        let (_, tail) = back.split_once("/auth/callback").unwrap();
        let back = self
            .http
            .get(format!("http://{address}/auth/callback{tail}"))
            .header(header::COOKIE, cookie)
            .header(header::ACCEPT, "application/json");
        back.send().await.ok()
    }
}

fn location(answer: &Response) -> String {
    answer.headers()[header::LOCATION].to_str().unwrap().to_owned()
}
