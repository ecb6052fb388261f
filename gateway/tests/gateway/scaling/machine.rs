//! A machine whose servers are as those of a cluster: a replica that is asked for is named as starting, listens after a while,
//! is called ready some time after that, and is killed with all its connections when it goes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use portico_gateway::Gateway;
use portico_gateway::scaling::{Change, Error, Scaler};
use portico_gateway::source::{Bounds, Endpoint, Scaled, Server, Servers};
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::super::raw_server::{RawServer, Seen};
use super::super::support::server;

pub const TOOLS: &str = r#"[{"name":"a","inputSchema":{}}]"#;

/// What a test lets through when it has seen what it waits for: no length of time is long enough for that on every machine.
#[derive(Debug, Clone, Default)]
pub struct Gate(Option<watch::Receiver<bool>>);

impl Gate {
    /// One that is shut until `true` is sent.
    pub fn shut() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(Some(receiver)))
    }

    /// Waits until it is open, as the default is. One that nobody can open any more is.
    async fn passed(&self) {
        if let Some(mut open) = self.0.clone() {
            open.wait_for(|open| *open).await.ok();
        }
    }
}

/// How its servers are.
#[derive(Debug, Clone)]
pub struct Ways {
    pub bounds: Bounds,
    /// From the wish for a replica until it listens.
    pub start: Duration,
    /// What it waits for besides before it listens.
    pub starts: Gate,
    /// From then until it is called ready.
    pub ready: Duration,
    /// What a call takes.
    pub call: Duration,
    /// What a call waits for besides.
    pub answers: Gate,
    /// Whether replicas speak the revisions with sessions.
    pub sessions: bool,
    /// What it takes to open a session.
    pub handshake: Duration,
    /// Whether replicas never come to listen.
    pub broken: bool,
}

impl Default for Ways {
    fn default() -> Self {
        let short = Duration::from_millis(300);
        let bounds = Bounds {
            target: 4,
            window: Duration::from_secs(5),
            scale_in_after: Duration::from_secs(2),
            idle: short,
            session: short,
            // No replica goes with a call in hand because its time is over, however slow the machine is.
            drain: Duration::from_mins(2),
            ..Bounds::default()
        };
        let (start, call) = (Duration::from_millis(50), Duration::ZERO);
        Self {
            bounds,
            start,
            starts: Gate::default(),
            ready: Duration::from_secs(3),
            call,
            answers: Gate::default(),
            sessions: false,
            handshake: Duration::ZERO,
            broken: false,
        }
    }
}

/// What the calls said, and what became of replicas.
#[derive(Debug, Default)]
pub struct Log {
    /// How often each call, by its `number`, was carried out.
    pub calls: BTreeMap<u64, usize>,
    /// When replicas came to listen.
    pub listening: Vec<Instant>,
    /// Numbers of replicas that were asked for, in order.
    pub asked: Vec<u32>,
    /// Replicas that were marked as those that are to go, in order.
    pub drained: Vec<String>,
}

struct Replica {
    address: SocketAddr,
    /// Bound from the beginning, so that nobody else gets the port; connections are refused until it listens.
    socket: Option<TcpSocket>,
    runtime: Option<Runtime>,
    ready: bool,
    draining: bool,
    started: bool,
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Default)]
struct Workload {
    ways: Ways,
    desired: u32,
    owner: Option<String>,
    replicas: Vec<Replica>,
}

pub struct Machine {
    workloads: Mutex<BTreeMap<String, Workload>>,
    pub log: Arc<Mutex<Log>>,
    servers: Vec<watch::Sender<Servers>>,
    myself: Weak<Self>,
    /// How scaling fails now, if it does.
    pub failing: Mutex<Option<String>>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").finish_non_exhaustive()
    }
}

impl Machine {
    /// A machine whose servers have no replica yet.
    pub fn new(named: &[(&str, Ways)], servers: Vec<watch::Sender<Servers>>) -> Arc<Self> {
        let workload = |ways: &Ways| Workload { ways: ways.clone(), ..Workload::default() };
        let workloads = named.iter().map(|(name, ways)| ((*name).to_owned(), workload(ways))).collect();
        let machine = Arc::new_cyclic(|myself| Self {
            workloads: Mutex::new(workloads),
            log: Arc::default(),
            servers,
            myself: myself.clone(),
            failing: Mutex::default(),
        });
        machine.publish();
        machine
    }

    /// Has `gateway` scale its servers, and decide.
    pub fn drive(self: &Arc<Self>, gateway: &Gateway) -> watch::Sender<Instant> {
        self.drive_among(gateway, Vec::new(), true)
    }

    /// The same among several replicas of the gateway, of which one decides.
    pub fn drive_among(
        self: &Arc<Self>,
        gateway: &Gateway,
        peers: Vec<String>,
        decides: bool,
    ) -> watch::Sender<Instant> {
        let until = if decides { Duration::from_hours(1) } else { Duration::ZERO };
        let (leads, receiver) = watch::channel(Instant::now() + until);
        let (_, peers) = watch::channel(Arc::new(peers));
        gateway.scale(Arc::clone(self) as Arc<dyn Scaler>, receiver, peers);
        leads
    }

    /// Changes what is known of a server, as a person or its cluster would.
    pub fn edit(&self, name: &str, change: impl FnOnce(&mut Ways, &mut u32)) {
        let mut workloads = self.workloads.lock().unwrap();
        let workload = workloads.get_mut(name).unwrap();
        change(&mut workload.ways, &mut workload.desired);
        drop(workloads);
        self.adjust(name);
    }

    /// Somebody else says how many replicas a server has, or nobody.
    pub fn own(&self, name: &str, owner: Option<&str>) {
        self.workloads.lock().unwrap().get_mut(name).unwrap().owner = owner.map(str::to_owned);
        self.publish();
    }

    /// The URLs of replicas to which calls are sent.
    pub fn serving(&self, name: &str) -> Vec<String> {
        let workloads = self.workloads.lock().unwrap();
        named(name, &workloads[name]).endpoints.into_iter().map(|endpoint| endpoint.url).collect()
    }

    /// Marks a replica as one that is to go, as a gateway does.
    pub fn mark(&self, name: &str, url: &str) {
        let mut workloads = self.workloads.lock().unwrap();
        let replicas = &mut workloads.get_mut(name).unwrap().replicas;
        let meant = replicas.iter_mut().find(|replica| url.contains(&replica.address.to_string()));
        meant.unwrap().draining = true;
        drop(workloads);
        self.publish();
    }

    pub fn desired(&self, name: &str) -> u32 {
        self.workloads.lock().unwrap()[name].desired
    }

    pub fn running(&self, name: &str) -> usize {
        self.workloads.lock().unwrap()[name].replicas.iter().filter(|replica| replica.started).count()
    }

    fn ask(&self, name: &str, change: Change) -> Result<(), Error> {
        let mut workloads = self.workloads.lock().unwrap();
        let desired = &mut workloads.get_mut(name).unwrap().desired;
        if *desired != change.from {
            return Err(Error::Changed);
        }
        *desired = change.to;
        self.log.lock().unwrap().asked.push(change.to);
        Ok(())
    }

    /// How many replicas there are, in whatever state.
    pub fn replicas(&self, name: &str) -> usize {
        self.workloads.lock().unwrap()[name].replicas.len()
    }

    fn publish(&self) {
        let workloads = self.workloads.lock().unwrap();
        let servers: Servers =
            Arc::new(workloads.iter().map(|(name, workload)| named(name, workload)).collect());
        for gateway in &self.servers {
            gateway.send_replace(Arc::clone(&servers));
        }
    }

    /// Starts and kills replicas so that there are as many as asked for: those that drain or do not serve go first.
    fn adjust(&self, name: &str) {
        let mut workloads = self.workloads.lock().unwrap();
        let workload = workloads.get_mut(name).unwrap();
        workload.replicas.sort_by_key(|replica| (!replica.ready, replica.draining));
        workload.replicas.truncate(workload.desired as usize);
        while workload.replicas.len() < workload.desired as usize {
            let (socket, address) = free();
            workload.replicas.push(Replica {
                address,
                socket: Some(socket),
                runtime: None,
                ready: false,
                draining: false,
                started: false,
            });
            if !workload.ways.broken {
                tokio::spawn(life(self.myself.clone(), name.to_owned(), (address, workload.ways.clone())));
            }
        }
        drop(workloads);
        self.publish();
    }

    fn with_replica(&self, name: &str, address: SocketAddr, change: impl FnOnce(&mut Replica)) {
        let mut workloads = self.workloads.lock().unwrap();
        let replicas = &mut workloads.get_mut(name).unwrap().replicas;
        replicas
            .iter_mut()
            .filter(|replica| replica.address == address)
            .take(1)
            .for_each(change_once(change));
    }
}

/// A port of its own, on which nobody listens yet.
fn free() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn change_once<T>(change: impl FnOnce(&mut T)) -> impl FnMut(&mut T) {
    let mut change = Some(change);
    move |of| {
        if let Some(change) = change.take() {
            change(of);
        }
    }
}

fn named(name: &str, workload: &Workload) -> Server {
    let of = |which: fn(&Replica) -> bool| {
        let chosen = workload.replicas.iter().filter(|replica| which(replica));
        chosen.map(|replica| Endpoint::pod(format!("http://{}/mcp", replica.address))).collect()
    };
    Server {
        endpoints: of(|replica| replica.ready && !replica.draining),
        starting: of(|replica| !replica.ready && !replica.draining),
        draining: of(|replica| replica.draining),
        scaled: Some(Scaled {
            owner: workload.owner.clone(),
            ..Scaled::new(workload.ways.bounds.clone(), workload.desired)
        }),
        ..server(name, &[])
    }
}

/// What becomes of a replica after it was asked for.
async fn life(machine: Weak<Machine>, name: String, (address, ways): (SocketAddr, Ways)) {
    tokio::join!(sleep(ways.start), ways.starts.passed());
    let Some(here) = machine.upgrade() else { return };
    let mut socket = None;
    here.with_replica(&name, address, |replica| socket = replica.socket.take());
    // One that is not wanted any more has gone with its socket.
    let Some(socket) = socket else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (log, serving) = (Arc::clone(&here.log), ways.clone());
    let listening = runtime.spawn(async move {
        let listener = socket.listen(1024).unwrap();
        log.lock().unwrap().listening.push(Instant::now());
        serve(listener, &serving, log);
    });
    listening.await.unwrap();
    let mut runtime = Some(runtime);
    here.with_replica(&name, address, |replica| {
        replica.runtime = runtime.take();
        replica.started = true;
    });
    if let Some(unwanted) = runtime {
        unwanted.shutdown_background();
    }
    drop(here);
    sleep(ways.ready).await;
    if let Some(here) = machine.upgrade() {
        here.with_replica(&name, address, |replica| replica.ready = true);
        here.publish();
    }
}

fn serve(listener: TcpListener, ways: &Ways, log: Arc<Mutex<Log>>) {
    let (address, takes, handshake) = (listener.local_addr().unwrap(), ways.call, ways.handshake);
    let answers = ways.answers.clone();
    let answer = move |seen: Seen| {
        let (log, answers) = (Arc::clone(&log), answers.clone());
        async move {
            match seen.method() {
                "initialize" => sleep(handshake).await,
                "tools/call" => {
                    let number = seen.body["params"]["arguments"]["number"].as_u64().unwrap_or_default();
                    *log.lock().unwrap().calls.entry(number).or_default() += 1;
                    tokio::join!(sleep(takes), answers.passed());
                    return Some(
                        seen.result(&format!(r#"{{"content":[{{"type":"text","text":"{address}"}}]}}"#)),
                    );
                }
                _ => {}
            }
            None
        }
        .boxed()
    };
    // Lives as long as its runtime.
    std::mem::forget(if ways.sessions {
        RawServer::legacy_on(listener, TOOLS, answer)
    } else {
        RawServer::modern_on(listener, TOOLS, answer)
    });
}

/// What a request to whoever runs servers takes, and what it then takes until replicas are started or killed.
const ASKED: Duration = Duration::from_millis(20);
const DONE: Duration = Duration::from_millis(40);

impl Scaler for Machine {
    fn scale<'a>(&'a self, server: &'a Server, change: Change) -> BoxFuture<'a, Result<(), Error>> {
        let name = server.key.name.clone();
        async move {
            sleep(ASKED).await;
            if let Some(reason) = self.failing.lock().unwrap().clone() {
                return Err(Error::Failed(reason));
            }
            self.ask(&name, change)?;
            self.publish();
            let myself = self.myself.clone();
            tokio::spawn(async move {
                sleep(DONE).await;
                if let Some(here) = myself.upgrade() {
                    here.adjust(&name);
                }
            });
            Ok(())
        }
        .boxed()
    }

    fn drain<'a>(
        &'a self,
        server: &'a Server,
        urls: &'a [String],
        draining: bool,
    ) -> BoxFuture<'a, Result<(), Error>> {
        if draining {
            self.log.lock().unwrap().drained.extend_from_slice(urls);
        }
        let mut workloads = self.workloads.lock().unwrap();
        for replica in &mut workloads.get_mut(&server.key.name).unwrap().replicas {
            if urls.contains(&format!("http://{}/mcp", replica.address)) {
                replica.draining = draining;
            }
        }
        drop(workloads);
        self.publish();
        std::future::ready(Ok(())).boxed()
    }
}

/// The address of the replica that answered.
pub fn who(answer: &Value) -> String {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}
