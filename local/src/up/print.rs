//! What a person or a program reads.
//!
//! With `--json` every line is one object. All have `time` (RFC 3339) and `kind`:
//! - `gateway`: `state` is `listening` (with `url`) or `stopped`;
//! - `server` and `deployment`: `namespace`, `name`, and `state`: `skipped`, `starting`, `ready`, `idle`, `failed` or
//!   `removed`; beside it where known `tools` (a number), `reason` and `pid`, and of a server that may have another
//!   number of processes than one `replicas` (those that serve) and `desired`;
//! - `manifests`: `state` is `valid`, `invalid` (with `problems`: `file`, `line`, `field`, `message`), `empty`, or
//!   `unreadable` (with `reason`);
//! - `model`: `namespace`, `name`, `state` (`skipped`) and `reason`;
//! - `output`: `namespace`, `name`, `replica` (which of its processes, from 1) and `line`, with `--verbose` alone.

use std::{io::Write, path::Path};

use jiff::{Timestamp, Zoned};
use serde_json::{Map, Value, json};

use super::{
    row::{Row, Rows, State},
    scale::Scale,
};
use crate::{
    manifest::{Key, Problem},
    plan::{Id, Replica},
};

/// Last lines shown of a process that failed.
const SHOWN: usize = 5;

/// Writes everything that is shown.
pub struct Printer {
    out: Box<dyn Write + Send>,
    json: bool,
    colour: bool,
}

impl Printer {
    /// As JSON lines, or for people, in colour or not.
    pub fn new(out: Box<dyn Write + Send>, json: bool, colour: bool) -> Self {
        Self { out, json, colour }
    }

    /// Whether programs read it.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// The endpoint takes requests.
    pub fn listening(&mut self, url: &str, is_public: bool) {
        if self.json {
            return self.object("gateway", json!({ "state": "listening", "url": url }));
        }
        self.line(&format!("Portico serves MCP at {url}"));
        if is_public {
            self.line("Whoever reaches this machine can call every tool: the address is not on loopback.");
        }
    }

    /// All servers, and how to use them.
    pub fn summary(&mut self, rows: &Rows, url: &str, path: &Path) {
        self.line("");
        let width = rows.keys().map(|id| id.to_string().chars().count()).max().unwrap_or_default();
        for (id, row) in rows {
            let text = self.row(id, Some(row), width);
            self.line(&format!("  {text}"));
        }
        let config = json!({ "mcpServers": { "portico": { "type": "http", "url": url } } });
        self.line("\nFor the configuration of an MCP client:");
        self.line(&format!("  {config}"));
        self.line("To see and call the tools with MCP Inspector:");
        self.line(&format!(
            "  npx @modelcontextprotocol/inspector --cli {url} --transport http --method tools/list"
        ));
        self.line(&format!("\nEdits in {} take effect at once. Ctrl-C ends everything.\n", path.display()));
    }

    /// A workload changed; `None`: it is gone. `last_lines` are its last words.
    pub fn change(&mut self, id: &Id, row: Option<&Row>, last_lines: &[String]) {
        if self.json {
            let (kind, value) = described(id, row);
            return self.object(kind, value);
        }
        let text = self.row(id, row, 16);
        self.timed(&text);
        // A single line is in the reason already.
        if last_lines.len() > 1 && row.is_some_and(|row| row.state == State::Failed) {
            for line in &last_lines[last_lines.len().saturating_sub(SHOWN)..] {
                self.words(&id.to_string(), line);
            }
        }
    }

    /// A line that a process printed.
    pub fn output(&mut self, replica: &Replica, line: &str) {
        if self.json {
            let (key, number) = (replica.id.key(), replica.number.saturating_add(1));
            let fields =
                json!({ "namespace": key.namespace, "name": key.name, "replica": number, "line": line });
            return self.object("output", fields);
        }
        self.words(&replica.to_string(), line);
    }

    fn words(&mut self, name: &str, line: &str) {
        let name = self.painted(&format!("{name} |"), DIM);
        self.line(&format!("  {name} {line}"));
    }

    /// Manifests are wrong; empty: all are right again.
    pub fn problems(&mut self, problems: &[Problem]) {
        match (self.json, problems) {
            (true, []) => self.object("manifests", json!({ "state": "valid" })),
            (true, _) => self.object("manifests", json!({ "state": "invalid", "problems": problems })),
            (false, []) => self.timed("All manifests are valid again."),
            (false, _) => {
                let head = self.painted("Manifests are wrong; what ran before runs on:", RED);
                self.timed(&head);
                for problem in problems {
                    self.line(&format!("  {problem}"));
                }
            }
        }
    }

    /// A model that only a cluster runs.
    pub fn not_run(&mut self, model: &Key) {
        const REASON: &str = "models are not run on this machine yet; a cluster runs it";
        if self.json {
            let (namespace, name) = (&model.namespace, &model.name);
            let fields =
                json!({ "namespace": namespace, "name": name, "state": "skipped", "reason": REASON });
            return self.object("model", fields);
        }
        self.timed(&format!("InferenceModel {model} is skipped: {REASON}."));
    }

    /// There is nothing to run.
    pub fn empty(&mut self, path: &Path) {
        if self.json {
            return self.object("manifests", json!({ "state": "empty" }));
        }
        self.timed(&format!("No McpServer in {}: waiting for manifests.", path.display()));
    }

    /// The folder cannot be read now.
    pub fn unreadable(&mut self, path: &Path, error: &std::io::Error) {
        if self.json {
            return self.object("manifests", json!({ "state": "unreadable", "reason": error.to_string() }));
        }
        self.timed(&format!("{} cannot be read ({error}); what ran before runs on.", path.display()));
    }

    /// The end begins.
    pub fn stopping(&mut self) {
        if !self.json {
            self.timed("Stopping …");
        }
    }

    /// Nothing is left.
    pub fn stopped(&mut self) {
        if self.json {
            return self.object("gateway", json!({ "state": "stopped" }));
        }
        self.timed("Everything has ended.");
    }

    fn row(&self, id: &Id, row: Option<&Row>, width: usize) -> String {
        let name = format!("{:width$}", id.to_string());
        let Some(row) = row else { return format!("{name}  removed") };
        let state = self.painted(&format!("{:8}", row.state.as_str()), colour(row.state));
        let tools =
            row.tools.filter(|_| matches!(row.state, State::Ready | State::Idle)).map(|n| counted(n, "tool"));
        let tools = tools.or_else(|| matches!(id, Id::Deployment(_)).then(|| "a Deployment".to_owned()));
        let processes = row.scale.as_ref().and_then(|scale| processes(row.state, scale));
        let what: Vec<String> = tools.into_iter().chain(processes).collect();
        let what = (!what.is_empty()).then(|| what.join(", "));
        let words: Vec<String> = what.into_iter().chain(row.reason.clone()).collect();
        format!("{name}  {state}  {}", words.join("; ")).trim_end().to_owned()
    }

    fn painted(&self, text: &str, colour: &str) -> String {
        if self.colour { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn timed(&mut self, text: &str) {
        let time = self.painted(&Zoned::now().strftime("%H:%M:%S").to_string(), DIM);
        self.line(&format!("{time}  {text}"));
    }

    fn object(&mut self, kind: &str, fields: Value) {
        let time = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
        let mut object = Map::from_iter([("time".to_owned(), time.into()), ("kind".to_owned(), kind.into())]);
        if let Value::Object(fields) = fields {
            object.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
        }
        self.line(&Value::Object(object).to_string());
    }

    fn line(&mut self, text: &str) {
        // Whoever read may have gone; the servers are not theirs alone.
        writeln!(self.out, "{text}").and_then(|()| self.out.flush()).ok();
    }
}

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const DIM: &str = "2";

const fn colour(state: State) -> &'static str {
    match state {
        State::Ready => GREEN,
        State::Failed => RED,
        State::Starting | State::Skipped => YELLOW,
        State::Idle => DIM,
    }
}

fn counted(number: usize, what: &str) -> String {
    let plural = match (number, what) {
        (1, _) => "",
        (_, what) if what.ends_with('s') => "es",
        _ => "s",
    };
    format!("{number} {what}{plural}")
}

/// How many processes a server has in this state, and why.
fn processes(state: State, Scale { serving, desired, reason, .. }: &Scale) -> Option<String> {
    let text = match state {
        State::Idle => return Some("starts with the first call".to_owned()),
        State::Ready if serving < desired => {
            format!("{serving} of {}", counted(*desired as usize, "process"))
        }
        State::Ready | State::Starting => counted(*desired as usize, "process"),
        State::Skipped | State::Failed => return None,
    };
    Some(reason.iter().fold(text, |text, reason| format!("{text}: {reason}")))
}

fn described(id: &Id, row: Option<&Row>) -> (&'static str, Value) {
    let kind = match id {
        Id::Deployment(_) => "deployment",
        Id::Server(_) => "server",
    };
    let mut value = json!({ "namespace": id.key().namespace, "name": id.key().name, "state": "removed" });
    if let Some(row) = row {
        value["state"] = row.state.as_str().into();
        value["tools"] = row.tools.into();
        value["pid"] = row.pid.into();
        let scale = row.scale.as_ref();
        value["replicas"] = scale.map(|scale| scale.serving).into();
        value["desired"] = scale.map(|scale| scale.desired).into();
        value["reason"] = row.reason.clone().or_else(|| scale?.reason.clone()).into();
    }
    (kind, value)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::manifest::Key;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn printed(json: bool, colour: bool, print: impl FnOnce(&mut Printer)) -> String {
        let page = Page::default();
        print(&mut Printer::new(Box::new(page.clone()), json, colour));
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn id() -> Id {
        Id::Server(Key { namespace: "default".into(), name: "a".into() })
    }

    fn row(state: State, reason: Option<&str>) -> Row {
        Row { state, tools: Some(1), reason: reason.map(Into::into), pid: None, scale: None }
    }

    fn scaled(state: State, (serving, desired): (u32, u32), reason: &str) -> Row {
        let reason = Some(reason.to_owned());
        Row { scale: Some(Scale { serving, desired, reason, is_unexplained: false }), ..row(state, None) }
    }

    #[test]
    fn a_scaled_server_is_shown_with_its_processes_and_why_there_are_so_many() {
        let shown = |row: &Row| printed(false, false, |printer| printer.change(&id(), Some(row), &[]));
        let trouble = Row { reason: Some("one failed".into()), ..scaled(State::Ready, (1, 2), "LoadRose") };
        for (row, expected) in [
            (scaled(State::Starting, (1, 2), "LoadRose"), "starting  2 processes: LoadRose\n"),
            (scaled(State::Ready, (1, 1), "LoadFell"), "ready     1 tool, 1 process: LoadFell\n"),
            (scaled(State::Idle, (0, 0), "Idle"), "idle      1 tool, starts with the first call\n"),
            (trouble, "ready     1 tool, 1 of 2 processes: LoadRose; one failed\n"),
            (scaled(State::Failed, (0, 0), "StartFailed"), "failed\n"),
        ] {
            assert!(shown(&row).ends_with(expected), "{}", shown(&row));
        }
    }

    #[test]
    fn json_of_a_scaled_server_has_what_serves_what_there_should_be_and_the_reason() {
        let idle = scaled(State::Idle, (0, 0), "Idle");
        let text = printed(true, false, |printer| printer.change(&id(), Some(&idle), &[]));
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&object["state"], &object["replicas"], &object["desired"], &object["reason"]),
            (&json!("idle"), &json!(0), &json!(0), &json!("Idle"))
        );
    }

    #[test]
    fn json_lines_hold_what_is_known_and_nothing_else() {
        let text = printed(true, true, |printer| printer.change(&id(), Some(&row(State::Ready, None)), &[]));
        let mut object: Map<String, Value> = serde_json::from_str(&text).unwrap();
        let time = object.remove("time").unwrap();
        assert!(time.as_str().unwrap().parse::<Timestamp>().is_ok(), "{time}");
        let expected =
            json!({ "kind": "server", "namespace": "default", "name": "a", "state": "ready", "tools": 1 });
        assert_eq!(Value::Object(object), expected);
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn a_failure_is_shown_with_its_reason_and_last_lines() {
        let lines: Vec<String> = (0..9).map(|number| format!("line {number}")).collect();
        let failed = row(State::Failed, Some("ended with exit code 1"));
        let text = printed(false, false, |printer| printer.change(&id(), Some(&failed), &lines));
        assert!(text.contains("failed    ended with exit code 1\n"), "{text}");
        assert!(
            text.contains("a | line 4\n") && text.contains("a | line 8\n") && !text.contains("line 3"),
            "{text}"
        );
    }

    #[test]
    fn the_summary_has_every_server_and_the_lines_to_paste() {
        let rows = Rows::from([(id(), row(State::Ready, None))]);
        let text =
            printed(false, false, |printer| printer.summary(&rows, "http://x/mcp", Path::new("folder")));
        assert!(text.contains("  a  ready     1 tool\n"), "{text}");
        assert!(
            text.contains(r#"{"mcpServers":{"portico":{"type":"http","url":"http://x/mcp"}}}"#),
            "{text}"
        );
        assert!(text.contains("inspector --cli http://x/mcp"), "{text}");
    }

    #[test]
    fn a_model_is_said_not_to_run_here_and_why() {
        let key = Key { namespace: "default".into(), name: "chat".into() };
        let line = printed(false, false, |printer| printer.not_run(&key));
        assert!(
            line.contains("InferenceModel default/chat is skipped: models are not run on this machine yet"),
            "{line}"
        );
        let object: Value =
            serde_json::from_str(&printed(true, false, |printer| printer.not_run(&key))).unwrap();
        assert_eq!(
            (&object["kind"], &object["name"], &object["state"]),
            (&json!("model"), &json!("chat"), &json!("skipped"))
        );
    }

    #[test]
    fn colours_are_used_only_where_they_are_wanted() {
        let change = |printer: &mut Printer| printer.change(&id(), Some(&row(State::Ready, None)), &[]);
        assert!(printed(false, true, change).contains("\u{1b}[32mready"));
        assert!(!printed(false, false, change).contains('\u{1b}'));
    }
}
