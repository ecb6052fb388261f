//! Turns what a server sends back into what the client asked for: its id, its progress token, its era.

use std::sync::Arc;

use bytes::Bytes;

use super::control::malformed;
use super::fault::Fault;
use super::question::is_question;
use super::{Backend, links, task, wrapped};
use crate::catalog::View;
use crate::core::Core;
use crate::envelope::{Edits, Message, Object, quoted};
use crate::meta;
use crate::method::Method;
use crate::rpc::code;
use crate::source::ServerKey;
use crate::version::Era;

/// What of a request must come back in its answer.
#[derive(Debug, Clone)]
pub(crate) struct Restore {
    /// The id we gave the request.
    pub(crate) ours: u64,
    /// The client's id, as it wrote it.
    pub(crate) id: String,
    /// The client's progress token, as it wrote it.
    pub(crate) token: Option<String>,
    /// Whether the client wants log messages.
    pub(crate) wants_log: bool,
    pub(crate) client: Era,
    pub(crate) server: Era,
    pub(crate) method: Method,
    /// The URI the client read and the one the server knows, where they differ.
    pub(crate) renamed: Option<(String, String)>,
    /// The digest of the call, if a person approved it and the client goes on with it by itself.
    pub(crate) approved: Option<(Arc<Core>, u128)>,
    /// What the client sees, and the server that answers, where links may have to change.
    pub(crate) links: Option<(Arc<View>, Arc<Backend>)>,
    /// How tasks are called, if the client can deal with them.
    pub(crate) tasks: Option<TaskNames>,
}

/// How tasks are called.
#[derive(Debug, Clone)]
pub(crate) enum TaskNames {
    /// The answer may be a new task of this server, for this principal.
    New(Arc<Core>, ServerKey, u128),
    /// The answer is about the task that the client calls so.
    Known(String),
}

/// The answer of a server, as the client must get it or as what it asks for instead.
#[derive(Debug)]
pub(crate) enum Restored {
    /// A message for the client.
    Done(Bytes),
    /// The same, saying that the client cannot do what the call needs: it goes under another HTTP status.
    Lacking(Bytes),
    /// A legacy client is to be asked, and the call made again with its answers.
    Input(Input),
    /// The user of a modern client is to visit pages, each an elicitation as the server wrote it.
    Visit(Vec<String>),
}

/// What a modern server wants to know.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub(crate) requests: Vec<InputRequest>,
    /// The server's `requestState`, as written.
    pub(crate) state: Option<String>,
    /// The rule by which the gateway itself asks for an approval, rather than the server for input.
    pub(crate) rule: Option<String>,
}

/// One question of a modern server.
#[derive(Debug)]
pub(crate) struct InputRequest {
    pub(crate) key: String,
    pub(crate) method: String,
    /// The parameters as written.
    pub(crate) params: Option<String>,
}

impl InputRequest {
    /// The parameters.
    pub(crate) fn params(&self) -> Option<Object<'_>> {
        self.params.as_deref().and_then(|params| Object::parse(params).ok())
    }
}

/// What to do with a message of a server.
#[derive(Debug)]
pub(crate) enum Step {
    /// Send it to the client; more follow.
    Pass(Bytes),
    /// It is the answer.
    Last(Restored),
    /// A request of the server that the client may answer.
    Ask,
    /// The server takes back a request of its own.
    Withdraw,
    /// A request of the server: refuse it.
    Refuse,
    /// The server's lists changed.
    Stale,
    /// Not for the client.
    Drop,
}

impl Restore {
    /// What to do with `text`.
    pub(crate) fn step(&self, text: &str) -> Result<Step, Fault> {
        match Message::parse(text).map_err(malformed)? {
            Message::Request { method, .. } if self.server == Era::Legacy && is_question(&method) => {
                Ok(Step::Ask)
            }
            Message::Request { .. } => Ok(Step::Refuse),
            Message::Response { .. } => self.response(text).map(Step::Last),
            Message::Notification { method, params } => Ok(self.notification(text, &method, params)),
        }
    }

    fn notification(&self, text: &str, method: &str, params: Option<&str>) -> Step {
        match method {
            "notifications/progress" => self.progress(text, params).map_or(Step::Drop, Step::Pass),
            "notifications/message" if self.client == Era::Modern && !self.wants_log => Step::Drop,
            "notifications/tools/list_changed"
            | "notifications/resources/list_changed"
            | "notifications/prompts/list_changed" => Step::Stale,
            "notifications/cancelled" if self.server == Era::Legacy => Step::Withdraw,
            "notifications/cancelled" | "notifications/resources/updated" => Step::Drop,
            _ => Step::Pass(Bytes::copy_from_slice(text.as_bytes())),
        }
    }

    fn progress(&self, text: &str, params: Option<&str>) -> Option<Bytes> {
        let params = Object::parse(params?).ok()?;
        let token = params.get(meta::PROGRESS_TOKEN)?;
        if token != self.ours.to_string() {
            return None;
        }
        let mut edits = Edits::of(text);
        edits.replace(token, self.token.as_deref()?);
        Some(edits.finish())
    }

    /// What the answer `text` means for the client.
    pub(crate) fn response(&self, text: &str) -> Result<Restored, Fault> {
        let Message::Response { id, outcome } = Message::parse(text).map_err(malformed)? else {
            return Err(Fault::Malformed { reason: "it is not an answer".into() });
        };
        let mut edits = Edits::of(text);
        match id {
            Some(id) if id == self.ours.to_string() => edits.replace(id, self.id.as_str()),
            // Some servers cannot tell the id of what they refuse.
            None if outcome.is_err() => return self.refusal_without_id(outcome.err().unwrap_or_default()),
            _ => return Err(Fault::Malformed { reason: "it answers under another id".into() }),
        }
        match outcome {
            Ok(result) => match self.result(&mut edits, result)? {
                Some(input) => Ok(Restored::Input(input)),
                None => Ok(Restored::Done(edits.finish())),
            },
            Err(error) => Ok(self.error(edits, error)),
        }
    }

    fn refusal_without_id(&self, error: &str) -> Result<Restored, Fault> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, self.ours);
        self.response(&text)
    }

    /// Rewrites a result, unless it asks for input that only a modern client could give.
    fn result(&self, edits: &mut Edits<'_>, result: &str) -> Result<Option<Input>, Fault> {
        let untouched =
            self.renamed.is_none() && self.approved.is_none() && self.tasks.is_none() && self.links.is_none();
        if self.client == self.server && untouched {
            return Ok(None);
        }
        let object = Object::parse(result).map_err(malformed)?;
        self.wrap(edits, &object);
        self.name_task(edits, &object)?;
        if let Some((view, backend)) = &self.links {
            links::rewrite(edits, &object, self.method, (view, backend));
        }
        match (self.client, self.server) {
            (Era::Modern, Era::Legacy) => self.complete(edits, &object),
            (Era::Legacy, Era::Modern) => {
                if let Some(input) = input(&object)? {
                    return Ok(Some(input));
                }
            }
            _ => {}
        }
        self.rename(edits, &object);
        Ok(None)
    }

    /// Gives a task the name that the client knows it by.
    fn name_task(&self, edits: &mut Edits<'_>, result: &Object<'_>) -> Result<(), Fault> {
        let is_task = result.string("resultType").as_deref() == Some("task");
        let named = match &self.tasks {
            Some(TaskNames::Known(id)) => task::rename(edits, result, |_| Some(id.clone())),
            Some(TaskNames::New(core, server, principal)) if is_task => {
                task::rename(edits, result, |id| task::seal(core, *principal, server, id))
            }
            _ => true,
        };
        let too_long = || Fault::Malformed { reason: "the id of its task is too long".into() };
        named.then_some(()).ok_or_else(too_long)
    }

    /// Seals the server's state with the approval of the call.
    fn wrap(&self, edits: &mut Edits<'_>, result: &Object<'_>) {
        let Some((core, call)) = self.approved.as_ref().filter(|_| self.server == Era::Modern) else {
            return;
        };
        if result.string("resultType").as_deref() != Some("input_required") {
            return;
        }
        let state = result.get("requestState");
        let Some(sealed) = wrapped::seal(core, *call, state) else { return };
        match state {
            Some(state) => edits.replace(state, quoted(&sealed)),
            None => edits.prepend(result.raw(), &format!(r#""requestState":"{sealed}""#)),
        }
    }

    /// Adds what the modern era requires of a result and a legacy server does not know.
    fn complete(&self, edits: &mut Edits<'_>, result: &Object<'_>) {
        let mut required = vec![("resultType", r#""complete""#)];
        if self.method == Method::ResourcesRead {
            required.extend([("ttlMs", "0"), ("cacheScope", r#""private""#)]);
        }
        let missing: Vec<String> = required
            .iter()
            .filter(|(key, _)| result.get(key).is_none())
            .map(|(key, value)| format!(r#""{key}":{value}"#))
            .collect();
        if !missing.is_empty() {
            edits.prepend(result.raw(), &missing.join(","));
        }
    }

    /// Gives the contents of a resource the URI that the client read.
    fn rename(&self, edits: &mut Edits<'_>, result: &Object<'_>) {
        let Some((exposed, original)) = &self.renamed else { return };
        let Some(contents) = result.get("contents") else { return };
        for content in super::control::elements(contents).unwrap_or_default() {
            let Ok(content) = Object::parse(content) else { continue };
            if content.string("uri").as_deref() == Some(original)
                && let Some(uri) = content.get("uri")
            {
                edits.replace(uri, quoted(exposed));
            }
        }
    }

    /// Replaces codes that the client would read as a statement about the gateway, or that its era does not know.
    fn error(&self, mut edits: Edits<'_>, error: &str) -> Restored {
        let object = Object::parse(error).ok();
        let raw = object.as_ref().and_then(|object| object.get("code")).unwrap_or_default();
        let Ok(code) = raw.parse() else { return Restored::Done(edits.finish()) };
        if (self.client, self.server, code) == (Era::Modern, Era::Legacy, code::URL_ELICITATION)
            && let Some(pages) = object.as_ref().and_then(pages)
        {
            return Restored::Visit(pages);
        }
        if let Some(new) = self.code(code) {
            edits.replace(raw, new.to_string());
        }
        let lacking = self.client == Era::Modern && code == code::MISSING_CAPABILITY;
        if lacking { Restored::Lacking(edits.finish()) } else { Restored::Done(edits.finish()) }
    }

    fn code(&self, given: i64) -> Option<i64> {
        let read = self.method == Method::ResourcesRead;
        match (self.client, given) {
            (_, code::HEADER_MISMATCH | code::UNSUPPORTED_VERSION)
            | (Era::Modern, code::METHOD_NOT_FOUND | code::URL_ELICITATION) => Some(code::INTERNAL),
            (Era::Modern, code::RESOURCE_NOT_FOUND) => Some(code::INVALID_PARAMS),
            (Era::Legacy, code::INVALID_PARAMS) if read && self.server == Era::Modern => {
                Some(code::RESOURCE_NOT_FOUND)
            }
            _ => None,
        }
    }
}

/// What a modern server's result asks a legacy client, which would take the asking for a result; `None` for a result.
fn input(result: &Object<'_>) -> Result<Option<Input>, Fault> {
    match result.string("resultType").as_deref() {
        None | Some("complete") => Ok(None),
        Some("input_required") => {
            let requests = result.object("inputRequests");
            let requests = requests.iter().flat_map(super::super::envelope::Object::members);
            let requests: Option<Vec<InputRequest>> =
                requests.map(|(key, raw)| input_request(key, raw)).collect();
            let requests = requests
                .ok_or_else(|| Fault::Malformed { reason: "an input request has no method".into() })?;
            let state = result.get("requestState").filter(|state| state.starts_with('"'));
            Ok(Some(Input { requests, state: state.map(str::to_owned), rule: None }))
        }
        Some(other) => {
            Err(Fault::Malformed { reason: format!("resultType `{}`", crate::rpc::shortened(other)) })
        }
    }
}

fn input_request(key: &str, raw: &str) -> Option<InputRequest> {
    let request = Object::parse(raw).ok()?;
    let (method, params) = (request.string("method")?.into_owned(), request.get("params"));
    let params = params.filter(|params| params.starts_with('{')).map(str::to_owned);
    Some(InputRequest { key: key.to_owned(), method, params })
}

/// The elicitations of error -32042.
fn pages(error: &Object<'_>) -> Option<Vec<String>> {
    let data = error.object("data")?;
    let pages = super::control::elements(data.get("elicitations")?).ok()?;
    (!pages.is_empty()).then(|| pages.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn restore(client: Era, server: Era) -> Restore {
        Restore {
            ours: 7,
            id: "\"mine\"".into(),
            token: Some("\"tok\"".into()),
            wants_log: false,
            client,
            server,
            method: Method::ToolsCall,
            renamed: None,
            approved: None,
            tasks: None,
            links: None,
        }
    }

    fn response(restore: &Restore, text: &str) -> String {
        let (Restored::Done(out) | Restored::Lacking(out)) = restore.response(text).unwrap() else {
            panic!()
        };
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn an_answer_within_one_era_differs_in_its_id_only() {
        let text =
            r#" {"result" : {"x":1e400, "structuredContent": 1.0 }, "id": 7 ,"jsonrpc":"2.0", "extra":[ ]} "#;
        for era in [Era::Legacy, Era::Modern] {
            assert_eq!(response(&restore(era, era), text), text.replace("\"id\": 7", "\"id\": \"mine\""));
        }
    }

    #[test]
    fn a_legacy_result_is_completed_for_a_modern_client() {
        let restore = Restore { method: Method::ResourcesRead, ..restore(Era::Modern, Era::Legacy) };
        let out = response(&restore, r#"{"jsonrpc":"2.0","id":7,"result":{"ttlMs":5}}"#);
        let expected = r#"{"jsonrpc":"2.0","id":"mine","result":{"resultType":"complete","cacheScope":"private","ttlMs":5}}"#;
        assert_eq!(out, expected);
    }

    #[test]
    fn what_a_modern_server_asks_is_taken_apart_for_a_legacy_client() {
        let text = r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required","inputRequests":{"a":{"method":"elicitation/create","params":{}}}}}"#;
        let Ok(Restored::Input(input)) = restore(Era::Legacy, Era::Modern).response(text) else { panic!() };
        assert_eq!(
            (input.requests[0].key.as_str(), input.requests[0].method.as_str()),
            ("a", "elicitation/create")
        );
        assert_eq!((input.requests[0].params.as_deref(), input.state.as_deref()), (Some("{}"), None));
        assert!(matches!(restore(Era::Modern, Era::Modern).response(text), Ok(Restored::Done(_))));
    }

    #[test]
    fn codes_that_speak_of_our_own_transport_are_replaced() {
        let code = |restore: &Restore, code: i64| {
            let out = response(
                restore,
                &format!(r#"{{"jsonrpc":"2.0","id":7,"error":{{"code":{code},"message":"m"}}}}"#),
            );
            serde_json::from_str::<serde_json::Value>(&out).unwrap()["error"]["code"].as_i64().unwrap()
        };
        let modern = restore(Era::Modern, Era::Legacy);
        assert_eq!(code(&modern, -32020), -32603);
        assert_eq!(code(&modern, -32601), -32603);
        assert_eq!(code(&modern, -32002), -32602);
        assert_eq!(code(&modern, -32099), -32099);
        let legacy = Restore { method: Method::ResourcesRead, ..restore(Era::Legacy, Era::Modern) };
        assert_eq!(code(&legacy, -32602), -32002);
        assert_eq!(code(&restore(Era::Legacy, Era::Legacy), -32602), -32602);
    }

    #[test]
    fn progress_goes_to_the_clients_token_and_foreign_progress_nowhere() {
        let restore = restore(Era::Legacy, Era::Legacy);
        let progress = |token: &str| {
            restore.step(&format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1.0}}}}"#
            ))
        };
        let Ok(Step::Pass(out)) = progress("7") else { panic!() };
        assert!(out.ends_with(br#""params":{"progressToken":"tok","progress":1.0}}"#));
        assert!(matches!(progress("8"), Ok(Step::Drop)));
    }

    #[test]
    fn an_answer_under_another_id_is_refused() {
        let restore = restore(Era::Legacy, Era::Legacy);
        assert!(restore.response(r#"{"jsonrpc":"2.0","id":8,"result":{}}"#).is_err());
        assert!(restore.response(r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}"#).is_ok());
    }

    proptest! {
        #[test]
        fn any_result_comes_back_byte_for_byte(result in "\\{\"a\":(1\\.0|1e999|\"[^\"\\\\\u{0}-\u{1f}]*\"|\\[ *\\])\\}", before: bool) {
            let text = if before {
                format!(r#"{{"jsonrpc":"2.0","id":7,"result":{result}}}"#)
            } else {
                format!(r#"{{"jsonrpc":"2.0","result":{result},"id":7}}"#)
            };
            let out = response(&restore(Era::Legacy, Era::Modern), &text);
            prop_assert_eq!(out, text.replace("\"id\":7", "\"id\":\"mine\""));
        }
    }
}
