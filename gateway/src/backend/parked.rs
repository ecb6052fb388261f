//! Calls of modern clients that wait for input. A legacy server asks in the middle of a call; a modern client is asked by a
//! result and sends its request once more. In between the call is parked here, and the client holds a sealed ticket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::fault::Fault;
use super::question::Question;
use super::upstream::Upstream;
use crate::client::Client;
use crate::core::Core;
use crate::envelope::{Object, quoted};
use crate::frontend::peers;
use crate::method::Method;

/// Binds a sealed text to its use.
const PURPOSE: &[u8] = b"portico parked call v1";
/// Bytes of a ticket as text; longer ones are not looked at.
const MAX_TICKET: usize = 1024;

/// What a ticket is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ticket {
    /// The call with this number goes on.
    Parked { replica: u64, call: u128 },
    /// The user was sent to a page; the call is made anew.
    Again,
}

impl Ticket {
    fn seal(self, core: &Core) -> Result<String, Fault> {
        let mut plain = Vec::with_capacity(25);
        if let Self::Parked { replica, call } = self {
            plain.extend_from_slice(&replica.to_be_bytes());
            plain.extend_from_slice(&call.to_be_bytes());
            plain.extend_from_slice(peers::own(core));
        }
        let sealed = core.keyring.seal_for(PURPOSE, &plain);
        sealed.ok_or_else(|| Fault::Input("the gateway cannot seal its state; try again".into()))
    }

    fn open(core: &Core, text: &str) -> Option<Self> {
        let plain = core.keyring.open_for(PURPOSE, text, MAX_TICKET)?;
        if plain.is_empty() {
            return Some(Self::Again);
        }
        let (replica, call) = plain.split_first_chunk::<8>()?;
        let (call, _) = call.split_first_chunk::<16>()?;
        let (call, replica) = (u128::from_be_bytes(*call), u64::from_be_bytes(*replica));
        Some(Self::Parked { replica, call })
    }
}

/// Where the replica is that gave the ticket `text`, if that is another one and said where it is.
pub(crate) fn giver(core: &Core, text: &str) -> Option<String> {
    let plain = core.keyring.open_for(PURPOSE, text, MAX_TICKET)?;
    elsewhere(&plain, core.parking.replica)
}

/// The URL in a ticket of another replica than `own`.
pub(crate) fn elsewhere(plain: &[u8], own: u64) -> Option<String> {
    let (replica, rest) = plain.split_first_chunk::<8>()?;
    let (_, url) = rest.split_first_chunk::<16>()?;
    let is_other = u64::from_be_bytes(*replica) != own && !url.is_empty();
    String::from_utf8(url.to_vec()).ok().filter(|_| is_other)
}

/// What was called: a retry must call the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Who called.
    pub(crate) principal: u128,
    pub(crate) method: Method,
    pub(crate) name: String,
}

/// A call that waits.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) upstream: Upstream,
    /// What the client is asked, each under a key.
    questions: Vec<(String, Question)>,
    target: Target,
    /// Ends the watch over its time.
    watch: Option<DropGuard>,
}

/// The calls that wait.
#[derive(Debug)]
pub(crate) struct Parking {
    replica: u64,
    calls: Mutex<HashMap<u128, Parked>>,
    limit: usize,
}

impl Parking {
    /// Room for `limit` calls.
    pub(crate) fn new(limit: usize) -> Self {
        Self { replica: rand::random(), calls: Mutex::default(), limit }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn put(&self, parked: Parked) -> Result<u128, Fault> {
        let mut calls = self.lock();
        if calls.len() >= self.limit {
            return Err(Fault::Input("too many calls wait for input; try again later".into()));
        }
        let call = rand::random();
        calls.insert(call, parked);
        Ok(call)
    }

    fn take(&self, call: u128) -> Option<Parked> {
        self.lock().remove(&call)
    }

    /// The call that `state` is the ticket of; `None` if the call is to be made anew.
    pub(crate) fn resume(&self, core: &Core, state: &str, target: &Target) -> Result<Option<Parked>, Fault> {
        let unknown = || Fault::State("is not one this gateway gave, or it was changed");
        let call = match Ticket::open(core, state).ok_or_else(unknown)? {
            Ticket::Again => return Ok(None),
            Ticket::Parked { replica, .. } if replica != self.replica => {
                return Err(Fault::State(
                    "was given by another replica of the gateway, where the call waits",
                ));
            }
            Ticket::Parked { call, .. } => call,
        };
        let mut calls = self.lock();
        match calls.get(&call) {
            None => Err(Fault::State("belongs to a call that was answered, or waited too long")),
            Some(parked) if parked.target != *target => Err(Fault::State("belongs to another call")),
            Some(_) => Ok(calls.remove(&call)),
        }
    }

    /// Whether `state` is the ticket of a call that is to be made anew, as if for the first time.
    pub(crate) fn is_anew(core: &Core, state: &str) -> bool {
        Ticket::open(core, state) == Some(Ticket::Again)
    }

    /// Whether `state` is the ticket of a call that waits here; calling it again makes no new call.
    pub(crate) fn waits(&self, core: &Core, state: &str) -> bool {
        match Ticket::open(core, state) {
            Some(Ticket::Parked { call, .. }) => self.lock().contains_key(&call),
            Some(Ticket::Again) | None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u128, Parked>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parked {
    /// A call whose server asks `first`, and what else it asks at the same time.
    pub(crate) async fn new(mut upstream: Upstream, first: Question, target: Target) -> Self {
        let mut questions = Vec::new();
        for question in upstream.together(first).await {
            upstream.asked += 1;
            questions.push((format!("input-{}", upstream.asked), question));
        }
        Self { upstream, questions, target, watch: None }
    }

    /// Passes the answers in `responses` on to the server; questions without one stay.
    pub(crate) fn answer(&mut self, responses: Option<&Object<'_>>) {
        let mut open = Vec::new();
        for (key, question) in std::mem::take(&mut self.questions) {
            let given = responses.and_then(|responses| responses.get(&key));
            match given.filter(|given| given.starts_with('{')) {
                Some(result) => question.answer(Ok(result)),
                None => open.push((key, question)),
            }
        }
        self.questions = open;
    }

    /// Whether the server waits for an answer.
    pub(crate) fn is_open(&self) -> bool {
        !self.questions.is_empty()
    }

    /// Parks the call; gives the answer that asks the client.
    pub(crate) fn park(mut self, core: &Arc<Core>) -> Result<Bytes, Fault> {
        let mut requests = Vec::new();
        for (key, question) in &self.questions {
            let Some((_, method, params)) = question.parts() else { continue };
            requests.push(request(key, &method, params));
        }
        self.upstream.wait_for_client(core.options.answer_timeout);
        let id = self.upstream.restore.id.clone();
        let until = Instant::now() + core.options.answer_timeout;
        let taken = CancellationToken::new();
        self.watch = Some(taken.clone().drop_guard());
        let call = core.parking.put(self)?;
        let waiting = Arc::clone(core);
        core.spawn(async move {
            if taken.run_until_cancelled(sleep_until(until)).await.is_some() {
                drop(waiting.parking.take(call));
            }
        });
        let state = Ticket::Parked { replica: core.parking.replica, call }.seal(core)?;
        Ok(input_required(&id, &requests, &state))
    }
}

/// One member of `inputRequests`.
pub(crate) fn request(key: &str, method: &str, params: Option<&str>) -> String {
    let params = params.map(|params| format!(r#","params":{params}"#)).unwrap_or_default();
    format!(r#"{}:{{"method":{}{params}}}"#, quoted(key), quoted(method))
}

/// The answer that asks a client without a session `requests`, each a member of `inputRequests`.
pub(crate) fn input_required(id: &str, requests: &[String], state: &str) -> Bytes {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"input_required","inputRequests":{{{}}},"requestState":"{state}"}}}}"#,
        requests.join(",")
    )
    .into()
}

/// The answer that sends the user to the pages of error -32042 (2025-11-25, elicitation); with it the call is over and is
/// made anew by the retry.
pub(crate) fn visit(
    core: &Core,
    client: &Client,
    (id, elicitations): (&str, &[String]),
) -> Result<Bytes, Fault> {
    if !client.capabilities.has(crate::client::Capabilities::URL) {
        return Err(Fault::Lacking(crate::client::Capabilities::URL));
    }
    let requests: Vec<String> = elicitations
        .iter()
        .enumerate()
        .map(|(at, params)| request(&format!("input-{}", at + 1), "elicitation/create", Some(params)))
        .collect();
    Ok(input_required(id, &requests, &Ticket::Again.seal(core)?))
}
