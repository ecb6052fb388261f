//! The operator as a process, and what it uses.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use portico_operator::kind::RECHECK;

use super::Failed;
use super::cluster::Scene;

/// A running operator.
pub struct Operator {
    child: Child,
    address: String,
    /// How many servers there are.
    pub size: usize,
}

/// What an operator has used so far.
#[derive(Clone, Copy)]
pub struct Usage {
    /// CPU time.
    pub cpu: Duration,
    /// Bytes in memory now.
    pub resident: u64,
    passes: u64,
}

impl Usage {
    /// The CPU used between `earlier` and now.
    pub fn since(&self, earlier: &Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(earlier.cpu), ..*self }
    }

    /// Waiting costs CPU too: the Lease, and being asked. About a thousandth of the time; it is not the edit's.
    pub fn busy(&self, waited: Duration) -> Duration {
        self.cpu.saturating_sub(waited / 1000)
    }
}

impl Operator {
    /// Starts the program that `PORTICO_BIN` names, and waits until it is ready and has looked at all `size` servers.
    pub async fn start(scene: &Scene, quiet: Duration, size: usize) -> Result<Self, Failed> {
        let program =
            std::env::var("PORTICO_BIN").map_err(|_| "PORTICO_BIN must name the portico program")?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(program);
        command.args(["operator", "--no-leader-election", "--kinds", "mcpservers", "--listen", &address]);
        command.env("KUBECONFIG", scene.operator_config()).env("LOG_LEVEL", "error");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let operator = Self { child, address, size };
        let began = Instant::now();
        while !operator.get("/readyz").await.is_ok_and(|answer| answer.contains(" 200 ")) {
            if began.elapsed() > Duration::from_mins(5) {
                return Err("the operator is not ready after five minutes".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        operator.settled(quiet).await?;
        Ok(operator)
    }

    pub fn stop(&mut self) -> Result<(), Failed> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    pub async fn usage(&self) -> Result<Usage, Failed> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Fields 14, 15 and 24 of proc(5), counted behind the name in brackets; ticks of 10 ms, pages of 4 KiB.
        let fields: Vec<u64> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .map(|text| text.parse().unwrap_or_default())
            .collect();
        let field = |number: usize| fields.get(number - 3).copied().unwrap_or_default();
        let metrics = self.get("/metrics").await?;
        let sum = |name: &str| {
            let lines = metrics.lines().filter(|line| line.starts_with(name));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
        let count = |name: &str| sum(name) as u64;
        Ok(Usage {
            cpu: Duration::from_millis((field(14) + field(15)) * 10),
            resident: field(24) * 4096,
            passes: count("workqueue_adds_total"),
        })
    }

    /// What it has used once it has looked at every server, and for `quiet` at no more than it does at rest: everything is
    /// looked at again every ten minutes.
    pub async fn settled(&self, quiet: Duration) -> Result<Usage, Failed> {
        let at_rest = (self.size as f64 * quiet.as_secs_f64() / RECHECK.as_secs_f64()).ceil();
        let (mut before, mut since) = (self.usage().await?, Instant::now());
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = self.usage().await?;
            if (now.passes - before.passes) as f64 > 2.0 * at_rest {
                (before, since) = (now, Instant::now());
            } else if since.elapsed() >= quiet && now.passes >= self.size as u64 {
                return Ok(now);
            }
        }
    }

    async fn get(&self, path: &str) -> Result<String, Failed> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = tokio::net::TcpStream::connect(&self.address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
