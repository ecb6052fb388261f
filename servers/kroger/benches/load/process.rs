//! The processes beside the load: this program, started again.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::net::TcpListener;

/// Names what the process is.
pub const ROLE: &str = "LOAD_ROLE";
/// What `/proc` counts in (`USER_HZ`, the same on all of Linux).
const TICK: Duration = Duration::from_millis(10);

/// A process. Dropped, it is killed.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
}

impl Process {
    pub async fn start(role: &str, environment: &[(&str, String)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(ROLE, role).envs(environment.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let process = Self { child, address: line.trim().parse().unwrap() };
        let ready = reqwest::get(format!("http://{}/healthz", process.address)).await.unwrap();
        assert!(ready.status().is_success(), "{role}: {}", ready.status());
        process
    }

    /// CPU that it has used.
    pub fn cpu(&self) -> Duration {
        cpu(&self.child.id().to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub fn own_cpu() -> Duration {
    cpu("self")
}

/// User and system time, fields 14 and 15 of `stat`; the name before them may hold spaces.
fn cpu(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u32>().unwrap());
    TICK * ticks.sum::<u32>()
}

/// A free port, told to who started this process, which ends with it.
pub async fn listener() -> TcpListener {
    std::thread::spawn(|| {
        std::io::stdin().read_to_end(&mut Vec::new()).ok();
        std::process::exit(0);
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    listener
}

/// The variables of the server. The allowances of a day are those of a larger application.
pub fn environment(folder: &tempfile::TempDir, standin: SocketAddr) -> Vec<(&'static str, String)> {
    let many = "100000000".to_owned();
    vec![
        ("KROGER_CLIENT_ID", "standin-client".to_owned()),
        ("KROGER_CLIENT_SECRET", "standin-secret".to_owned()),
        ("KROGER_BASE_URL", format!("http://{standin}")),
        ("KROGER_REDIRECT_URI", "http://127.0.0.1:9/auth/callback".to_owned()),
        ("KROGER_LOCATION_ID", "01400376".to_owned()),
        ("DATABASE_URL", format!("sqlite:{}", folder.path().join("kroger.db").display())),
        ("MAX_REQUESTS_PER_MINUTE", "1000000".to_owned()),
        ("KROGER_DAILY_PRODUCTS", many.clone()),
        ("KROGER_DAILY_CART", many),
    ]
}
