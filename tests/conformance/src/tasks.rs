//! The extension `io.modelcontextprotocol/tasks` (SEP-2663): tools whose answer is a task that the client asks about.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::call::{Asked, Call};
use crate::schemas::form;
use crate::wire::Refusal;

/// The extension, as capabilities name it.
pub(crate) const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// The tools, of which the first is never a task.
pub(crate) const TOOLS: [&str; 7] = [
    "greet",
    "slow_compute",
    "failing_job",
    "protocol_error_job",
    "confirm_delete",
    "multi_input",
    "test_tool_with_task",
];
/// Those that can be nothing but tasks.
const REQUIRED: [&str; 2] = ["failing_job", "test_tool_with_task"];

type Outcome = Result<Value, Refusal>;

/// All tasks.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<HashMap<String, Arc<Task>>>);

/// One task.
#[derive(Debug)]
struct Task {
    id: String,
    created: String,
    now: Mutex<Now>,
    changed: Notify,
}

#[derive(Debug)]
struct Now {
    status: &'static str,
    /// `result` or `error`, once it has ended.
    end: Option<(&'static str, Value)>,
    requests: Map<String, Value>,
    updated: String,
}

impl Task {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn base(&self) -> Value {
        let now = self.now();
        json!({ "taskId": self.id, "status": now.status, "createdAt": self.created,
            "lastUpdatedAt": now.updated, "ttlMs": 60_000, "pollIntervalMs": 100 })
    }

    fn detail(&self) -> Value {
        let mut detail = self.base();
        let now = self.now();
        if let Some((member, end)) = &now.end {
            detail[*member] = end.clone();
        }
        if now.status == "input_required" {
            detail["inputRequests"] = now.requests.clone().into();
        }
        detail
    }

    fn set(&self, status: &'static str, end: Option<(&'static str, Value)>) {
        let mut now = self.now();
        if now.end.is_none() && now.status != "cancelled" {
            (now.status, now.end, now.updated) = (status, end, time());
        }
        drop(now);
        self.changed.notify_waiters();
    }

    /// Asks these questions and waits for all answers.
    async fn ask(&self, questions: &[&str]) {
        let request = |key: &&str| {
            let question = json!({ "method": "elicitation/create", "params": form(key, "ok", "boolean") });
            ((*key).to_owned(), question)
        };
        self.now().requests = questions.iter().map(request).collect();
        self.set("input_required", None);
        loop {
            let changed = self.changed.notified();
            if self.now().requests.is_empty() {
                return self.set("working", None);
            }
            changed.await;
        }
    }
}

fn time() -> String {
    jiff::Timestamp::now().to_string()
}

fn text(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

/// Answers a call of one of the tools.
pub(crate) async fn call(call: &Call, name: &str) -> Outcome {
    if name == "greet" {
        return Ok(text(&format!("Hello, {}!", call.argument("name"))));
    }
    let declared = call.extends(EXTENSION);
    if !declared && REQUIRED.contains(&name) {
        return Err(undeclared());
    }
    let mut said = call.argument("label").to_owned();
    if name == "test_tool_with_task" {
        let question = ("user_name", "elicitation/create", form("What is your name?", "name", "string"));
        match call.ask(&[question], Some("task")).await? {
            Asked::Answers(answers) => said = answers[0].to_string(),
            Asked::Result(result) => return Ok(result),
        }
    }
    let task = Arc::new(Task {
        id: format!("task-{}", call.number()),
        created: time(),
        now: Mutex::new(Now { status: "working", end: None, requests: Map::new(), updated: time() }),
        changed: Notify::new(),
    });
    let seconds = call.params["arguments"]["seconds"].as_f64().unwrap_or(0.1);
    let job = work(Arc::clone(&task), name.to_owned(), (said, seconds));
    if !declared {
        job.await;
        let end = task.now().end.clone();
        return Ok(end.map(|(_, value)| value).unwrap_or_default());
    }
    call.state.tasks.lock().insert(task.id.clone(), Arc::clone(&task));
    tokio::spawn(job);
    let mut created = task.base();
    created["resultType"] = "task".into();
    Ok(created)
}

async fn work(task: Arc<Task>, name: String, (said, seconds): (String, f64)) {
    let end = match name.as_str() {
        "failing_job" => {
            let mut result = text("The job failed.");
            result["isError"] = true.into();
            ("result", result)
        }
        "protocol_error_job" => ("error", json!({ "code": -32_603, "message": "The job broke." })),
        _ => ("result", text(&format!("Done: {said}"))),
    };
    match name.as_str() {
        "confirm_delete" => task.ask(&["confirm"]).await,
        "multi_input" => task.ask(&["first", "second"]).await,
        _ => sleep(Duration::from_secs_f64(seconds.clamp(0.0, 120.0))).await,
    }
    task.set(if end.0 == "error" { "failed" } else { "completed" }, Some(end));
}

fn undeclared() -> Refusal {
    let data = json!({ "requiredCapabilities": { "extensions": { EXTENSION: {} } } });
    Refusal::new(-32_021, format!("the client did not declare `{EXTENSION}`")).data(data)
}

/// Answers `tasks/get`, `tasks/update` and `tasks/cancel`.
pub(crate) fn about(call: &Call, method: &str) -> Outcome {
    if !call.extends(EXTENSION) {
        return Err(undeclared());
    }
    let id = call.params["taskId"].as_str().unwrap_or_default();
    let task = call.state.tasks.lock().get(id).map(Arc::clone);
    let task = task.ok_or_else(|| Refusal::new(-32_602, format!("no task `{id}`")))?;
    match method {
        "tasks/get" => return Ok(task.detail()),
        "tasks/cancel" => task.set("cancelled", None),
        _ => {
            let given = call.params["inputResponses"].as_object().cloned().unwrap_or_default();
            task.now().requests.retain(|key, _| !given.contains_key(key));
            task.changed.notify_waiters();
        }
    }
    Ok(json!({}))
}

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Task>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
