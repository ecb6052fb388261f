//! One request that is answered by running something, and what it may ask of its client meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{sleep, timeout};

use crate::legacy::{LEVELS, Session};
use crate::wire::Refusal;
use crate::{State, definitions, prompts, resources, tasks, tools};

/// Time for a client's answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two messages of a tool that sends several; the suite asks for it.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// A request being answered.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) state: Arc<State>,
    /// The client's session, in the session-based era.
    session: Option<Arc<Session>>,
    method: String,
    pub(crate) params: Value,
    out: UnboundedSender<Value>,
}

/// Something to ask the client: a key, a method and its parameters.
pub(crate) type Question<'a> = (&'a str, &'a str, Value);

/// The answers, or the result that asks for them.
pub(crate) enum Asked {
    Answers(Vec<Value>),
    Result(Value),
}

impl Call {
    pub(crate) fn new(
        state: Arc<State>,
        session: Option<Arc<Session>>,
        (message, out): (&Value, UnboundedSender<Value>),
    ) -> Self {
        let method = message["method"].as_str().unwrap_or_default().to_owned();
        let params = message.get("params").cloned().unwrap_or_else(|| json!({}));
        Self { state, session, method, params, out }
    }

    /// The result.
    pub(crate) async fn run(&self) -> Result<Value, Refusal> {
        match self.method.as_str() {
            "tools/call" => tools::call(self).await,
            "tasks/get" | "tasks/update" | "tasks/cancel" if self.is_modern() => {
                tasks::about(self, &self.method)
            }
            "prompts/get" => prompts::get(self).await,
            "resources/read" => resources::read(self),
            "completion/complete" => {
                Ok(json!({ "completion": { "values": ["paris", "park"], "total": 2, "hasMore": false } }))
            }
            method => definitions::list(&self.state, method)
                .ok_or_else(|| Refusal::new(-32_601, format!("Method not found: {method}"))),
        }
    }

    pub(crate) fn argument(&self, name: &str) -> &str {
        self.params["arguments"][name].as_str().unwrap_or_default()
    }

    pub(crate) fn is_modern(&self) -> bool {
        self.session.is_none()
    }

    fn capabilities(&self) -> &Value {
        match &self.session {
            Some(session) => &session.capabilities,
            None => &self.params["_meta"]["io.modelcontextprotocol/clientCapabilities"],
        }
    }

    /// Whether the client declared this extension.
    pub(crate) fn extends(&self, extension: &str) -> bool {
        self.capabilities()["extensions"][extension].is_object()
    }

    /// A number that no other call gets.
    pub(crate) fn number(&self) -> u64 {
        self.state.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether the client declared what `method` needs.
    pub(crate) fn can(&self, method: &str) -> bool {
        self.capabilities()[capability(method)].is_object()
    }

    pub(crate) async fn pause(&self) {
        sleep(PAUSE).await;
    }

    pub(crate) fn progress(&self, progress: u32) {
        let token = &self.params["_meta"]["progressToken"];
        if !token.is_null() {
            let params = json!({ "progressToken": token, "progress": progress, "total": 100 });
            self.notify("notifications/progress", &params);
        }
    }

    pub(crate) fn log(&self, data: &str) {
        let wanted = if let Some(session) = &self.session {
            session.logs("info")
        } else {
            let level = self.params["_meta"]["io.modelcontextprotocol/logLevel"].as_str();
            level.is_some_and(|level| LEVELS[..2].contains(&level))
        };
        if wanted {
            self.notify("notifications/message", &json!({ "level": "info", "data": data }));
        }
    }

    fn notify(&self, method: &str, params: &Value) {
        self.out.send(json!({ "jsonrpc": "2.0", "method": method, "params": params })).ok();
    }

    /// Asks the client everything at once. In the stateless era `state` comes back with the answers.
    pub(crate) async fn ask(
        &self,
        questions: &[Question<'_>],
        state: Option<&str>,
    ) -> Result<Asked, Refusal> {
        // Servers with sessions exist that ask whatever their client declared.
        let careless = !self.is_modern() && self.params["name"] == "test_missing_capability";
        for (_, method, _) in questions {
            if !careless && !self.can(method) {
                let data = json!({ "requiredCapabilities": { capability(method): {} } });
                let code = if self.is_modern() { -32_021 } else { -32_603 };
                return Err(Refusal::new(code, format!("the client cannot do `{method}`")).data(data));
            }
        }
        match &self.session {
            Some(session) => self.send(session, questions).await.map(Asked::Answers),
            None => Ok(self.require(questions, state)),
        }
    }

    async fn send(&self, session: &Session, questions: &[Question<'_>]) -> Result<Vec<Value>, Refusal> {
        let mut waiting = Vec::new();
        for (_, method, params) in questions {
            let id = self.state.next.fetch_add(1, Ordering::Relaxed);
            waiting.push(session.expect(id));
            self.out.send(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).ok();
        }
        let mut answers = Vec::new();
        for answer in waiting {
            let answer = timeout(PATIENCE, answer).await;
            let Ok(Ok(answer)) = answer else {
                return Err(Refusal::new(-32_603, "the client does not answer"));
            };
            match answer.get("result") {
                Some(result) => answers.push(result.clone()),
                None => {
                    return Err(Refusal::new(-32_603, format!("the client refuses: {}", answer["error"])));
                }
            }
        }
        Ok(answers)
    }

    fn require(&self, questions: &[Question<'_>], state: Option<&str>) -> Asked {
        let given = &self.params["inputResponses"];
        let answers: Vec<Value> =
            questions.iter().map(|(key, ..)| given[key].clone()).filter(Value::is_object).collect();
        if answers.len() == questions.len() {
            return Asked::Answers(answers);
        }
        let requests: Map<String, Value> = questions
            .iter()
            .map(|(key, method, params)| ((*key).to_owned(), json!({ "method": method, "params": params })))
            .collect();
        let mut result = json!({ "resultType": "input_required", "inputRequests": requests });
        if let Some(state) = state {
            result["requestState"] = self.state.sealed(state).into();
        }
        Asked::Result(result)
    }

    /// The state that came back, `None` without one.
    pub(crate) fn returned(&self) -> Result<Option<&str>, Refusal> {
        let Some(sealed) = self.params["requestState"].as_str() else { return Ok(None) };
        let state = self.state.opened(sealed);
        state.map(Some).ok_or_else(|| Refusal::new(-32_602, "the requestState was changed"))
    }
}

fn capability(method: &str) -> &'static str {
    match method {
        "elicitation/create" => "elicitation",
        "sampling/createMessage" => "sampling",
        _ => "roots",
    }
}
