//! A replica that is a process of its own, so that it can be killed: this test program, started again.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    num::NonZeroU32,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use portico_kit::upstream::Policy;
use portico_kroger::{Config, run_on};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
};
use tokio_util::sync::CancellationToken;

/// Set for the process that is to be a replica.
const MARK: &str = "KILLS_ROLE";
/// Longest time until a replica answers; the machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where a replica is reached, if it runs, and how often it was killed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seat {
    pub address: Option<SocketAddr>,
    pub kills: u32,
}

/// A replica. Dropped, it is killed.
pub struct Replica {
    environment: Vec<(String, String)>,
    log: PathBuf,
    child: Child,
    seat: watch::Sender<Seat>,
}

impl Replica {
    pub async fn start(environment: Vec<(String, String)>, log: PathBuf) -> Self {
        let (child, address) = spawn(&environment, &log).await;
        let seat = watch::Sender::new(Seat { address: Some(address), kills: 0 });
        Self { environment, log, child, seat }
    }

    pub fn seat(&self) -> watch::Receiver<Seat> {
        self.seat.subscribe()
    }

    /// What it has complained of.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.seat.send_modify(|seat| *seat = Seat { address: None, kills: seat.kills + 1 });
    }

    pub async fn start_again(&mut self) {
        let (child, address) = spawn(&self.environment, &self.log).await;
        self.child = child;
        self.seat.send_modify(|seat| seat.address = Some(address));
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Starts the process and waits until it serves.
async fn spawn(environment: &[(String, String)], log: &PathBuf) -> (Child, SocketAddr) {
    let log = File::options().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["as_replica", "--exact", "--nocapture"]).env(MARK, "replica");
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let (told, address) = oneshot::channel();
    let output = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        let mut told = Some(told);
        for line in output.lines().map_while(Result::ok) {
            if let Some(address) = line.strip_prefix("listening on ") {
                told.take().map(|told| told.send(address.parse::<SocketAddr>().unwrap()));
            }
        }
    });
    let address = tokio::time::timeout(PATIENCE, address).await.unwrap().unwrap();
    let ready = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    // The listener is there before the server, and connections wait in it.
    let ready = ready.get(format!("http://{address}/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 200);
    (child, address)
}

/// What a replica does: it serves until it is killed, or until the test that started it is gone.
pub async fn serve() {
    if std::env::var_os(MARK).is_none() {
        return;
    }
    std::thread::spawn(|| {
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        std::process::exit(0);
    });
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    rustls::crypto::ring::default_provider().install_default().ok();
    let policy = Policy { per_minute: NonZeroU32::new(600_000).unwrap(), ..Policy::default() };
    let config = Config::from_env(&|name| std::env::var(name).ok()).unwrap().with_policy(policy);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\nlistening on {}", listener.local_addr().unwrap());
    run_on(listener, config, CancellationToken::new()).await.unwrap();
}
