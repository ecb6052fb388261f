//! Calls that a person must agree to: the client's user is asked by elicitation, and the call is made only after that.
//!
//! A client with a session is asked by a request; one without by a result, and sends its request once more with a sealed
//! ticket. A ticket is good once, for the same call of the same principal, in the replica that gave it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::admission::{refusal, refused};
use super::answer;
use super::door::Door;
use super::peers;
use crate::backend::call::Call;
use crate::backend::restore::{Input, InputRequest};
use crate::backend::{parked, wrapped};
use crate::catalog::canonical;
use crate::client::{Capabilities, Client};
use crate::config::access::Rule;
use crate::core::Core;
use crate::envelope::{Object, quoted};
use crate::method::Method;
use crate::rpc::{RpcError, code};
use crate::version::Era;

/// Binds a sealed text to its use.
const PURPOSE: &[u8] = b"portico approval v1";
const MAX_TICKET: usize = 1024;
/// The key of the question.
const KEY: &str = "approval";
/// Characters of the arguments that the user is shown.
const MAX_SHOWN: usize = 1000;

/// What was asked and not answered yet.
#[derive(Debug)]
pub(crate) struct Approvals {
    replica: u64,
    open: Mutex<HashMap<u128, (u128, Instant)>>,
    limit: usize,
}

/// What is to be done with a call that needs an approval.
#[derive(Debug)]
pub(super) enum Gate {
    /// It waits for its client, having been approved before.
    GoOn,
    /// It is approved; this is the client's message as its server is to see it.
    Open(String),
    /// Answer this, and wait for the client to send it again.
    Answer(Response),
    /// Ask the client this, and make the call if it says yes.
    Ask(Input),
}

impl Approvals {
    /// Room for `limit` questions.
    pub(crate) fn new(limit: usize) -> Self {
        Self { replica: rand::random(), open: Mutex::default(), limit }
    }

    /// How many were asked and not answered, those that are too old among them until there is no room.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// A ticket for the call with this digest, good until then; none if there is no room.
    fn ask(&self, core: &Core, call: u128) -> Option<String> {
        let now = Instant::now();
        let mut open = self.lock();
        if open.len() >= self.limit {
            open.retain(|_, (_, until)| *until > now);
        }
        if open.len() >= self.limit {
            return None;
        }
        let number: u128 = rand::random();
        open.insert(number, (call, now + core.options.answer_timeout));
        drop(open);
        let plain = [self.replica.to_be_bytes().as_slice(), &number.to_be_bytes(), peers::own(core)].concat();
        core.keyring.seal_for(PURPOSE, &plain)
    }

    /// Where the replica is that gave the ticket `text`, if that is another one and said where it is.
    pub(super) fn giver(&self, core: &Core, text: &str) -> Option<String> {
        let plain = core.keyring.open_for(PURPOSE, text, MAX_TICKET)?;
        parked::elsewhere(&plain, self.replica)
    }

    /// Takes the ticket `text` back; none if it is none of ours.
    fn take(&self, core: &Core, text: &str, call: u128) -> Option<Result<(), &'static str>> {
        let plain = core.keyring.open_for(PURPOSE, text, MAX_TICKET)?;
        let (replica, number) = plain.split_first_chunk::<8>()?;
        let number = u128::from_be_bytes(*number.first_chunk::<16>()?);
        if u64::from_be_bytes(*replica) != self.replica {
            return Some(Err("was given by another replica of the gateway"));
        }
        Some(match self.lock().remove(&number) {
            None => Err("was used already"),
            Some((of, _)) if of != call => Err("belongs to another call"),
            Some((_, until)) if until <= Instant::now() => Err("is too old"),
            Some(_) => Ok(()),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u128, (u128, Instant)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be done with `call`, which `rule` wants approved.
pub(super) fn gate(door: &Door, client: &Client, (call, rule): (&Call<'_>, &Rule)) -> Result<Gate, RpcError> {
    if !client.capabilities.has(Capabilities::FORM) {
        return Ok(Gate::Answer(nobody_to_ask(client, call, rule)));
    }
    if client.era == Era::Legacy {
        return Ok(Gate::Ask(question(call, rule)));
    }
    let (core, digest) = (&door.core, digest(call));
    let Some(state) = call.params.string("requestState") else { return asked(door, (call, rule), digest) };
    match core.approvals.take(core, &state, digest) {
        Some(Ok(())) if agrees(call.params.object("inputResponses").as_ref()) => {
            Ok(Gate::Open(with_state(call, &["requestState", "inputResponses"], None)))
        }
        Some(Ok(())) => Ok(Gate::Answer(refused((client.era, call.method), call.id, &declined(&rule.name)))),
        Some(Err(reason)) => {
            let message = format!("the requestState {reason}; send the request again without it");
            Err(RpcError::invalid_params(message))
        }
        // Any other server would take the ticket for nothing, and make a new call.
        None if call.route.backend.era() == Era::Legacy && core.parking.waits(core, &state) => Ok(Gate::GoOn),
        None => match wrapped::open(core, &state, digest) {
            Some(state) => {
                let state = Some(state.as_str()).filter(|state| !state.is_empty());
                Ok(Gate::Open(with_state(call, &["requestState"], state)))
            }
            None => asked(door, (call, rule), digest),
        },
    }
}

/// A digest of the call: who makes it, what is called, and with which arguments.
pub(super) fn digest(call: &Call<'_>) -> u128 {
    let mut text = format!("{:x} {} {} ", call.client.principal, call.method.as_str(), quoted(&call.exposed));
    // What cannot be read is compared as it was written.
    let arguments = call.params.get("arguments").unwrap_or("{}");
    if canonical(arguments, &mut text).is_err() {
        text.push_str(arguments);
    }
    let digest: [u8; 32] = Sha256::digest(text).into();
    digest.first_chunk::<16>().map_or(0, |bytes| u128::from_be_bytes(*bytes))
}

fn asked(door: &Door, (call, rule): (&Call<'_>, &Rule), digest: u128) -> Result<Gate, RpcError> {
    let busy = || answer::busy("too many calls wait for an approval; try again later");
    let ticket = door.core.approvals.ask(&door.core, digest).ok_or_else(busy)?;
    let question = question(call, rule);
    let requests: Vec<String> = question
        .requests
        .iter()
        .map(|request| parked::request(&request.key, &request.method, request.params.as_deref()))
        .collect();
    let message = parked::input_required(call.id, &requests, &ticket);
    Ok(Gate::Answer(answer::json(StatusCode::OK, [message])))
}

/// What the user is asked.
fn question(call: &Call<'_>, rule: &Rule) -> Input {
    let arguments = call.params.get("arguments").unwrap_or("{}");
    let shown = match arguments.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}… ({} bytes in all)", &arguments[..end], arguments.len()),
        None => arguments.to_owned(),
    };
    let (server, reason) = (call.route.backend.key(), rule.message.as_deref().unwrap_or_default());
    let text = format!("Call `{}` of {server}? {reason}\nArguments: {shown}", call.exposed);
    let params =
        format!(r#"{{"message":{},"requestedSchema":{{"type":"object","properties":{{}}}}}}"#, quoted(&text));
    let method = "elicitation/create".to_owned();
    Input {
        requests: vec![InputRequest { key: KEY.into(), method, params: Some(params) }],
        state: None,
        rule: Some(rule.name.clone()),
    }
}

/// Whether the answers to the question say yes.
pub(crate) fn agrees(responses: Option<&Object<'_>>) -> bool {
    let answer = responses.and_then(|responses| responses.object(KEY));
    answer.is_some_and(|answer| answer.string("action").as_deref() == Some("accept"))
}

/// The request with those members of its parameters that are `kept`, and this `requestState`: the server must not see what is
/// between client and gateway.
pub(super) fn rewritten(
    (id, method): (&str, Method),
    params: &Object<'_>,
    kept: impl Fn(&str) -> bool,
    state: Option<&str>,
) -> String {
    let members = params.members().iter().filter(|(name, _)| kept(name.as_ref()));
    let mut members: Vec<String> = members.map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
    members.extend(state.map(|state| format!(r#""requestState":{state}"#)));
    let (method, members) = (method.as_str(), members.join(","));
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{members}}}}}"#)
}

fn with_state(call: &Call<'_>, without: &[&str], state: Option<&str>) -> String {
    rewritten((call.id, call.method), &call.params, |name| !without.contains(&name), state)
}

fn declined(rule: &str) -> String {
    format!("This call was not made: it needs the approval of the user (rule `{rule}`), who did not give it.")
}

/// What is answered to the request `id` when the user said no.
pub(crate) fn declined_message(kind: (Era, Method), id: &str, rule: &str) -> Bytes {
    refusal(kind, id, &declined(rule))
}

fn nobody_to_ask(client: &Client, call: &Call<'_>, rule: &Rule) -> Response {
    let text = format!(
        "this call needs the approval of the user (rule `{}`), and this client did not declare that it can ask (elicitation)",
        rule.name
    );
    match client.era {
        Era::Modern => {
            let error = RpcError::new(code::MISSING_CAPABILITY, text).lacking(Capabilities::FORM);
            answer::error(&error, Some(call.id))
        }
        Era::Legacy => refused((client.era, call.method), call.id, &text),
    }
}
