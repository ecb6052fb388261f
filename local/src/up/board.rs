//! How every workload does, from the plan, its processes and the gateway. Pure.

use std::{collections::BTreeMap, time::Instant};

use portico_crds::mcp_server::Transport;
use portico_gateway::{
    ServerReport, ServerState,
    source::{Bounds, Scaled, Server, Trouble},
};

use super::{
    replicas::Replicas,
    row::{Row, Rows, State},
    scale::{self, Scale},
};
use crate::{
    manifest::{Key, Objects},
    plan::{Fate, Id, Places, Plan, gateway_server},
    process::Status,
};

/// What can be seen of a process.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// Which process of its workload.
    pub number: u32,
    /// How it does.
    pub status: &'a Status,
    /// Why it failed last, until it serves.
    pub trouble: Option<&'a str>,
    /// Its port.
    pub port: u16,
    /// The last it said.
    pub last_words: Option<String>,
}

impl Seen<'_> {
    const fn pid(&self) -> Option<i32> {
        match self.status {
            Status::Serving { pid } => Some(*pid),
            _ => None,
        }
    }
}

/// Everything that a state follows from.
pub struct Scene<'a> {
    /// The folder.
    pub objects: &'a Objects,
    /// What becomes of it.
    pub plan: &'a Plan,
    /// How many processes there should be.
    pub replicas: &'a Replicas,
    /// The processes of each workload, by their numbers.
    pub processes: BTreeMap<&'a Id, Vec<Seen<'a>>>,
    /// What the gateway says.
    pub reports: &'a [ServerReport],
    /// When this is seen.
    pub now: Instant,
}

impl Scene<'_> {
    /// The servers that the gateway should know.
    pub fn servers(&self) -> Vec<Server> {
        let server = |(id, fate): (&Id, &Fate)| {
            let Id::Server(key) = id else { return None };
            let (server, _) = self.objects.servers.get(key)?;
            let (places, scaled) = match (fate, self.seen(id)) {
                (Fate::Elsewhere(url), _) => {
                    (Places { serving: vec![url.clone()], ..Places::default() }, None)
                }
                (Fate::Skipped(_), _) | (Fate::Blocked(_), []) => return None,
                (_, seen) => (self.places(key, seen, &server.spec.path), self.scaled(key, seen)),
            };
            Some(gateway_server(key, server, places, scaled))
        };
        self.plan.iter().filter_map(server).collect()
    }

    /// The state of every workload.
    pub fn rows(&self) -> Rows {
        self.plan.iter().map(|(id, fate)| (id.clone(), self.row(id, fate))).collect()
    }

    /// Servers at zero whose tools are not known, so that nobody would ever call them, and when to start them once more.
    pub fn unknown(&self) -> BTreeMap<Key, Instant> {
        let due = |(id, fate): (&Id, &Fate)| {
            let (Id::Server(key), Fate::Run(_), []) = (id, fate, self.seen(id)) else { return None };
            let wanted = self.replicas.of(key).filter(|wanted| wanted.numbers.is_empty())?;
            let report = self.report(key);
            let due = scale::again_at(wanted, report.and_then(|report| report.scaling.as_deref()), self.now);
            report.and_then(tools).is_none().then(|| (key.clone(), due))
        };
        self.plan.iter().filter_map(due).collect()
    }

    fn seen(&self, id: &Id) -> &[Seen<'_>] {
        self.processes.get(id).map(Vec::as_slice).unwrap_or_default()
    }

    fn places(&self, key: &Key, seen: &[Seen<'_>], path: &str) -> Places {
        let wanted = self.replicas.of(key);
        let mut places = Places::default();
        for process in seen {
            let drains = wanted.is_some_and(|wanted| wanted.draining.contains(&process.number));
            let list = match (process.status, drains) {
                (Status::Serving { .. }, false) => &mut places.serving,
                (Status::Starting, false) => &mut places.starting,
                (Status::Serving { .. } | Status::Starting, true) => &mut places.draining,
                _ => continue,
            };
            list.push(url(process.port, path));
        }
        places
    }

    fn scaled(&self, key: &Key, seen: &[Seen<'_>]) -> Option<Scaled> {
        let (server, _) = self.objects.servers.get(key)?;
        let bounds = Bounds::of_server(server.spec.scaling.as_ref()?);
        let told = |message: &str| Trouble { reason: message.to_owned(), message: message.to_owned() };
        let trouble = seen.iter().find_map(|process| process.trouble).map(told);
        Some(Scaled { trouble, ..Scaled::new(bounds, self.replicas.of(key)?.desired()) })
    }

    fn row(&self, id: &Id, fate: &Fate) -> Row {
        match (fate, self.seen(id)) {
            (Fate::Skipped(reason), _) | (Fate::Blocked(reason), []) => {
                Row::new(State::Skipped, Some(reason.clone()))
            }
            (Fate::Elsewhere(_), _) => self.connection(id.key(), None),
            (Fate::Run(_), []) => self.at_zero(id),
            (fate, seen) => {
                let mut row = self.processes(id, seen);
                if let (Fate::Blocked(reason), State::Ready) = (fate, row.state) {
                    row.reason = Some(format!("runs on as it was: {reason}"));
                }
                row.scale = self.scale(id, seen);
                row
            }
        }
    }

    fn at_zero(&self, id: &Id) -> Row {
        let report = self.report(id.key());
        let (tools, scaling) = (report.and_then(tools), report.and_then(|report| report.scaling.as_deref()));
        let (state, reason) = match (scale::failure(scaling), tools) {
            (Some(reason), _) => (State::Failed, Some(reason)),
            (None, None) => (State::Failed, Some("its tools are not known; it is started again".to_owned())),
            (None, Some(_)) => (State::Idle, None),
        };
        Row { tools, scale: self.scale(id, &[]), ..Row::new(state, reason) }
    }

    fn scale(&self, id: &Id, seen: &[Seen<'_>]) -> Option<Scale> {
        let Id::Server(key) = id else { return None };
        let (server, _) = self.objects.servers.get(key)?;
        let wanted = self.replicas.of(key)?;
        let scaling = self.report(key).and_then(|report| report.scaling.as_deref());
        let serving = seen.iter().filter(|process| process.pid().is_some()).count();
        let is_told = server.spec.scaling.is_some() || wanted.desired() > 1;
        is_told.then(|| Scale::of((serving, wanted), scaling, self.now))
    }

    fn processes(&self, id: &Id, seen: &[Seen<'_>]) -> Row {
        let Some(pid) = seen.iter().find_map(Seen::pid) else { return self.before_serving(id, seen) };
        let mut row = match id {
            Id::Server(key) => self.connection(key, Some(pid)),
            Id::Deployment(_) => Row { pid: Some(pid), ..Row::new(State::Ready, None) },
        };
        if row.state == State::Ready {
            let others = || seen.iter().filter(|process| process.pid().is_none());
            if let Some(trouble) = others().find_map(|process| process.trouble) {
                row.reason = Some(format!("a process has failed and is started again: {trouble}"));
            } else if others().next().is_some() {
                row.state = State::Starting;
            }
        }
        row
    }

    fn before_serving(&self, id: &Id, seen: &[Seen<'_>]) -> Row {
        let tools = self.report(id.key()).and_then(tools).filter(|_| matches!(id, Id::Server(_)));
        let is_starting = seen.iter().any(|process| *process.status == Status::Starting);
        let failed = |process: &Seen<'_>| match process.status {
            Status::Failed { reason, again_in } => {
                Some(format!("{reason}; starting again in {} s", again_in.as_secs_f32()))
            }
            _ => None,
        };
        match seen.iter().find_map(failed).filter(|_| !is_starting) {
            Some(reason) => Row { tools, ..Row::new(State::Failed, Some(reason)) },
            None => Row { tools, ..Row::new(State::Starting, None) },
        }
    }

    /// A server that runs is worth what the gateway can do with it.
    fn connection(&self, key: &Key, pid: Option<i32>) -> Row {
        let report = self.report(key);
        let tools = report.and_then(tools);
        let (state, reason) = match report.map(|report| &report.state) {
            Some(ServerState::Connected) => (State::Ready, None),
            Some(ServerState::Failing { reason, .. }) => (State::Failed, Some(self.explained(key, reason))),
            _ => (State::Starting, self.patience(key).filter(|_| tools.is_none())),
        };
        Row { tools, pid, ..Row::new(state, reason) }
    }

    /// Behind the bridge the process that fails is the server itself, and what it said last is why.
    fn explained(&self, key: &Key, reason: &str) -> String {
        let is_bridged =
            self.objects.servers.get(key).is_some_and(|(of, _)| of.spec.transport() == Transport::Stdio);
        let id = Id::Server(key.clone());
        let mut seen = self.seen(&id).iter().filter(|_| is_bridged);
        match seen.find_map(|process| process.last_words.as_deref()) {
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

fn url(port: u16, path: &str) -> String {
    format!("http://127.0.0.1:{port}{path}")
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use portico_crds::scaling::Scaling;
    use portico_gateway::{scaling::Change, source::ServerKey};

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

    fn command() -> Command {
        Command {
            program: "/p".into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            directories: Vec::new(),
            files: Vec::new(),
            work_directory: "/w".into(),
            port: 7,
            probe: Probe::Connect,
        }
    }

    /// As one process.
    fn run() -> Fate {
        Fate::Run(BTreeMap::from([(0, command())]))
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
            scaling: None,
        }
    }

    fn seen(number: u32, status: &Status) -> Seen<'_> {
        let trouble = match status {
            Status::Failed { reason, .. } => Some(reason.as_str()),
            _ => None,
        };
        let port = 7 + u16::try_from(number).unwrap();
        Seen { number, status, trouble, port, last_words: Some("[command] out of cheese".into()) }
    }

    fn scene<'a>(
        (objects, plan): (&'a Objects, &'a Plan),
        replicas: &'a Replicas,
        processes: BTreeMap<&'a Id, Vec<Seen<'a>>>,
        reports: &'a [ServerReport],
    ) -> Scene<'a> {
        Scene { objects, plan, replicas, processes, reports, now: Instant::now() }
    }

    /// A scaled server with this many processes asked for, these in sight, and these tools known.
    fn look_scaled(
        desired: u32,
        drains: &[u32],
        statuses: &[Status],
        report: ServerReport,
    ) -> (Row, Server, bool) {
        let (mut objects, plan, id) = (objects(), Plan::from([(id(), run())]), id());
        let (server, _) = objects.servers.get_mut(id.key()).unwrap();
        server.spec.scaling = Some(Scaling::default());
        let mut replicas = Replicas::default();
        replicas.follow(&objects, |_| true);
        if desired != 1 {
            replicas.scale((id.key(), Change { from: 1, to: desired }), |_| true).unwrap();
        }
        replicas.drain(id.key(), drains, true).unwrap();
        let processes = (0..).zip(statuses).map(|(number, status)| seen(number, status)).collect();
        let reports = [report];
        let scene = scene((&objects, &plan), &replicas, BTreeMap::from([(&id, processes)]), &reports);
        let unknown = scene.unknown().contains_key(id.key());
        (scene.rows().remove(&id).unwrap(), scene.servers().remove(0), unknown)
    }

    fn urls(places: &[portico_gateway::source::Endpoint]) -> Vec<&str> {
        places.iter().map(|place| place.url.as_str()).collect()
    }

    #[test]
    fn a_server_with_several_processes_is_known_by_where_each_of_them_is() {
        let serving = |pid| Status::Serving { pid };
        let failed = Status::Failed { reason: "ended".into(), again_in: Duration::from_secs(1) };
        let statuses = [serving(5), serving(6), Status::Starting, failed];
        let (row, server, _) = look_scaled(4, &[1], &statuses, report(ServerState::Connected, 3));
        assert_eq!(urls(&server.endpoints), ["http://127.0.0.1:7/mcp"]);
        assert_eq!(urls(&server.draining), ["http://127.0.0.1:8/mcp"]);
        assert_eq!(urls(&server.starting), ["http://127.0.0.1:9/mcp"]);
        let scaled = server.scaled.unwrap();
        assert_eq!(
            (scaled.desired, scaled.trouble.as_ref().map(|trouble| trouble.message.as_str())),
            (4, Some("ended"))
        );
        assert_eq!((row.state, row.pid), (State::Ready, Some(5)));
        assert!(row.reason.unwrap().ends_with("is started again: ended"));
        let scale = row.scale.unwrap();
        assert_eq!((scale.serving, scale.desired), (2, 4));
    }

    #[test]
    fn a_server_starts_while_some_of_its_processes_do_and_is_ready_when_all_serve() {
        let serving = |pid| Status::Serving { pid };
        let connected = || report(ServerState::Connected, 3);
        let (row, ..) = look_scaled(2, &[], &[serving(5), Status::Starting], connected());
        assert_eq!((row.state, row.reason, row.tools), (State::Starting, None, Some(3)));
        let (row, ..) = look_scaled(2, &[], &[serving(5), serving(6)], connected());
        assert_eq!((row.state, row.reason), (State::Ready, None));
    }

    #[test]
    fn a_server_at_zero_is_idle_with_its_tools_and_one_whose_tools_are_not_known_starts_again() {
        let (row, server, unknown) = look_scaled(0, &[], &[], report(ServerState::Waiting, 3));
        assert_eq!((row.state, row.tools, unknown), (State::Idle, Some(3), false));
        assert_eq!((server.endpoints.len(), server.scaled.unwrap().desired), (0, 0));
        let (row, _, unknown) = look_scaled(0, &[], &[], report(ServerState::Waiting, 0));
        assert_eq!((row.state, unknown), (State::Failed, true));
    }

    fn look(fate: Fate, status: Option<&Status>, reports: &[ServerReport]) -> (Row, Option<Vec<String>>) {
        let (objects, plan, id) = (objects(), Plan::from([(id(), fate)]), id());
        let seen = status.map(|status| seen(0, status)).into_iter().collect();
        let replicas = Replicas::default();
        let scene = scene((&objects, &plan), &replicas, BTreeMap::from([(&id, seen)]), reports);
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
}
