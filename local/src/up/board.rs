//! How every workload does, from the plan, its process and the gateway. Pure.

use std::collections::{BTreeMap, BTreeSet};

use portico_crds::mcp_server::Transport;
use portico_gateway::{ServerReport, ServerState, source::Server};
use serde::Serialize;

use crate::{
    manifest::{Key, Objects},
    plan::{Fate, Id, Plan, gateway_server},
    process::Status,
};

/// State of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It does not run here.
    Skipped,
    /// It is started, or the gateway connects to it.
    Starting,
    /// It serves; of a server the gateway knows the tools.
    Ready,
    /// It does not serve, and is tried again.
    Failed,
}

impl State {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// What there is to say of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its state.
    pub state: State,
    /// Number of tools in its last known list; a server's alone.
    pub tools: Option<usize>,
    /// Why it is in this state.
    pub reason: Option<String>,
    /// Number of its process, while it serves.
    pub pid: Option<i32>,
}

/// What can be seen of a process.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// How it does.
    pub status: &'a Status,
    /// Its port.
    pub port: u16,
    /// The last it said.
    pub last_words: Option<String>,
}

/// Everything that a state follows from.
pub struct Scene<'a> {
    /// The folder.
    pub objects: &'a Objects,
    /// What becomes of it.
    pub plan: &'a Plan,
    /// The processes.
    pub processes: BTreeMap<&'a Id, Seen<'a>>,
    /// What the gateway says.
    pub reports: &'a [ServerReport],
}

/// All workloads.
pub type Rows = BTreeMap<Id, Row>;

impl Scene<'_> {
    /// The servers that the gateway should know.
    pub fn servers(&self) -> Vec<Server> {
        let server = |(id, fate): (&Id, &Fate)| {
            let Id::Server(key) = id else { return None };
            let (server, _) = self.objects.servers.get(key)?;
            let endpoint = match (fate, self.processes.get(id)) {
                (Fate::Elsewhere(url), _) => Some(url.clone()),
                (_, Some(Seen { status: Status::Serving { .. }, port, .. })) => {
                    Some(format!("http://127.0.0.1:{port}{}", server.spec.path))
                }
                (_, Some(_)) => None,
                (_, None) => return None,
            };
            Some(gateway_server(key, server, endpoint))
        };
        self.plan.iter().filter_map(server).collect()
    }

    /// The state of every workload.
    pub fn rows(&self) -> Rows {
        self.plan.iter().map(|(id, fate)| (id.clone(), self.row(id, fate))).collect()
    }

    fn row(&self, id: &Id, fate: &Fate) -> Row {
        let plain = |state, reason| Row { state, tools: None, reason, pid: None };
        match (fate, self.processes.get(id)) {
            (Fate::Skipped(reason), _) | (Fate::Blocked(reason), None) => {
                plain(State::Skipped, Some(reason.clone()))
            }
            (Fate::Elsewhere(_), _) => self.connection(id.key(), None),
            (Fate::Run(_), None) => plain(State::Starting, None),
            (fate, Some(seen)) => {
                let mut row = self.process(id, seen.status);
                if let (Fate::Blocked(reason), State::Ready) = (fate, row.state) {
                    row.reason = Some(format!("runs on as it was: {reason}"));
                }
                row
            }
        }
    }

    fn process(&self, id: &Id, status: &Status) -> Row {
        let tools = self.report(id.key()).and_then(tools).filter(|_| matches!(id, Id::Server(_)));
        match status {
            Status::Starting => Row { state: State::Starting, tools, reason: None, pid: None },
            Status::Failed { reason, again_in } => {
                let reason = Some(format!("{reason}; starting again in {} s", again_in.as_secs_f32()));
                Row { state: State::Failed, tools, reason, pid: None }
            }
            Status::Serving { pid } => match id {
                Id::Server(key) => self.connection(key, Some(*pid)),
                Id::Deployment(_) => Row { state: State::Ready, tools: None, reason: None, pid: Some(*pid) },
            },
        }
    }

    /// A server that runs is worth what the gateway can do with it.
    fn connection(&self, key: &Key, pid: Option<i32>) -> Row {
        let report = self.report(key);
        let tools = report.and_then(tools);
        match report.map(|report| &report.state) {
            Some(ServerState::Connected) => Row { state: State::Ready, tools, reason: None, pid },
            Some(ServerState::Failing { reason, .. }) => {
                Row { state: State::Failed, tools, reason: Some(self.explained(key, reason)), pid }
            }
            _ => Row { state: State::Starting, tools, reason: self.patience(key), pid },
        }
    }

    /// Behind the bridge the process that fails is the server itself, and what it said last is why.
    fn explained(&self, key: &Key, reason: &str) -> String {
        let is_bridged =
            self.objects.servers.get(key).is_some_and(|(of, _)| of.spec.transport() == Transport::Stdio);
        let seen = self.processes.get(&Id::Server(key.clone())).filter(|_| is_bridged);
        match seen.and_then(|seen| seen.last_words.as_deref()) {
            Some(words) => format!("{reason}: {}", words.strip_prefix("[command] ").unwrap_or(words)),
            None => reason.to_owned(),
        }
    }

    /// Why a server may take long to answer.
    fn patience(&self, key: &Key) -> Option<String> {
        let (server, _) = self.objects.servers.get(key)?;
        let package = server.spec.source.package.as_ref()?;
        Some(format!("{} {} is fetched at the first start", package.name, package.version))
    }

    fn report(&self, key: &Key) -> Option<&ServerReport> {
        let is_of =
            |report: &&ServerReport| report.key.namespace == key.namespace && report.key.name == key.name;
        self.reports.iter().find(is_of)
    }
}

/// Number of tools, once the server's list was read: the revision is known since then.
fn tools(report: &ServerReport) -> Option<usize> {
    report.protocol_version.as_ref().map(|_| report.tools)
}

/// The workloads that are new, differ, or are gone (`None`).
pub fn changes<'a>(before: &'a Rows, now: &'a Rows) -> Vec<(&'a Id, Option<&'a Row>)> {
    let ids: BTreeSet<&Id> = before.keys().chain(now.keys()).collect();
    let told = |row: &Row| (row.state, row.tools, row.reason.clone());
    ids.into_iter()
        .filter(|id| before.get(id).map(told) != now.get(id).map(told))
        .map(|id| (id, now.get(id)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use portico_gateway::source::ServerKey;

    use super::*;
    use crate::{
        manifest::parse,
        plan::{Command, Probe},
    };

    fn objects() -> Objects {
        let text = "apiVersion: portico.dev/v1alpha1\nkind: McpServer\nmetadata: {name: a}\nspec:\n  source: {package: {name: 'npm:x', version: '1.0.0'}}\n";
        Objects::from_documents(&parse(&PathBuf::from("a.yaml"), text).0).unwrap()
    }

    fn id() -> Id {
        Id::Server(Key { namespace: "default".into(), name: "a".into() })
    }

    fn run() -> Fate {
        Fate::Run(Box::new(Command {
            program: "/p".into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            directories: Vec::new(),
            files: Vec::new(),
            work_directory: "/w".into(),
            port: 7,
            probe: Probe::Connect,
        }))
    }

    fn report(state: ServerState, tools: usize) -> ServerReport {
        ServerReport {
            key: ServerKey { namespace: "default".into(), name: "a".into() },
            state,
            tools,
            resources: 0,
            prompts: 0,
            tool_bytes: 0,
            confirmed: tools > 0,
            server_name: None,
            server_version: None,
            protocol_version: (tools > 0).then(|| "2026-07-28".into()),
            tools_digest: None,
            pin: None,
            hidden: Vec::new(),
        }
    }

    fn look(fate: Fate, status: Option<&Status>, reports: &[ServerReport]) -> (Row, Option<Vec<String>>) {
        let (objects, plan, id) = (objects(), Plan::from([(id(), fate)]), id());
        let seen = |status| Seen { status, port: 7, last_words: Some("[command] out of cheese".into()) };
        let processes = status.map(|status| (&id, seen(status))).into_iter().collect();
        let scene = Scene { objects: &objects, plan: &plan, processes, reports };
        let urls = |server: &Server| server.endpoints.iter().map(|place| place.url.clone()).collect();
        (scene.rows().remove(&id).unwrap(), scene.servers().first().map(urls))
    }

    #[test]
    fn a_server_is_ready_when_its_process_serves_and_the_gateway_knows_its_tools() {
        let serving = Status::Serving { pid: 5 };
        let (row, urls) = look(run(), Some(&serving), &[report(ServerState::Connected, 3)]);
        assert_eq!((row.state, row.tools, row.pid), (State::Ready, Some(3), Some(5)));
        assert_eq!(urls.unwrap(), ["http://127.0.0.1:7/mcp"]);
        let (row, _) = look(run(), Some(&serving), &[report(ServerState::Connecting, 0)]);
        assert_eq!((row.state, row.tools), (State::Starting, None));
        assert!(row.reason.unwrap().contains("fetched"));
        let failing =
            ServerState::Failing { reason: "no".into(), kind: portico_gateway::Failure::Unreachable };
        let (row, _) = look(run(), Some(&serving), &[report(failing, 3)]);
        assert_eq!((row.state, row.reason.as_deref()), (State::Failed, Some("no: out of cheese")));
    }

    #[test]
    fn a_server_that_ended_has_no_endpoint_and_keeps_its_number_of_tools() {
        let failed = Status::Failed { reason: "ended".into(), again_in: Duration::from_millis(500) };
        let (row, urls) = look(run(), Some(&failed), &[report(ServerState::Connected, 3)]);
        assert_eq!((row.state, row.tools), (State::Failed, Some(3)));
        assert_eq!(row.reason.as_deref(), Some("ended; starting again in 0.5 s"));
        assert_eq!(urls, Some(Vec::new()));
    }

    #[test]
    fn what_is_skipped_is_kept_from_the_gateway_and_what_is_blocked_runs_on() {
        let (row, urls) = look(Fate::Skipped("no Node".into()), None, &[]);
        assert_eq!((row.state, row.reason.as_deref(), urls), (State::Skipped, Some("no Node"), None));
        let (row, urls) = look(Fate::Blocked("no Secret".into()), None, &[]);
        assert_eq!((row.state, urls), (State::Skipped, None));
        let serving = Status::Serving { pid: 5 };
        let blocked = Fate::Blocked("no Secret".into());
        let (row, urls) = look(blocked, Some(&serving), &[report(ServerState::Connected, 3)]);
        assert_eq!((row.state, row.reason.as_deref()), (State::Ready, Some("runs on as it was: no Secret")));
        assert_eq!(urls.unwrap().len(), 1);
    }

    #[test]
    fn only_what_differs_is_a_change() {
        let row = |state| Row { state, tools: None, reason: None, pid: None };
        let key = |name: &str| Id::Server(Key { namespace: "default".into(), name: name.into() });
        let before = Rows::from([(key("a"), row(State::Ready)), (key("b"), row(State::Ready))]);
        let now = Rows::from([
            (key("a"), Row { pid: Some(1), ..row(State::Ready) }),
            (key("c"), row(State::Failed)),
        ]);
        let found = changes(&before, &now);
        assert_eq!(found, [(&key("b"), None), (&key("c"), Some(&row(State::Failed)))]);
        assert!(changes(&now, &now).is_empty());
    }
}
