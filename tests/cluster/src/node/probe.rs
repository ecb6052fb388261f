//! Probes: whether a container has started, is ready, is alive.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    Container, ExecAction, HTTPGetAction, LifecycleHandler, Probe, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::Refusal;
use super::environment::expand;
use super::launch::Running;
use super::pod::Context;
use super::sandbox::Sandbox;
use crate::child::Child;

/// The longest status line that counts.
const STATUS_LINE: usize = 256;

/// Refuses probes of kinds that this node does not have.
pub(super) fn check(container: &Container) -> Result<(), Refusal> {
    let probes = [&container.startup_probe, &container.readiness_probe, &container.liveness_probe];
    for probe in probes.into_iter().flatten() {
        let secure = probe.http_get.as_ref().is_some_and(|get| get.scheme.as_deref() == Some("HTTPS"));
        if secure || probe.grpc.is_some() {
            let message = "this node probes by HTTP, TCP and commands, not over TLS or gRPC".to_owned();
            return Err(Refusal::Create(message));
        }
    }
    Ok(())
}

/// Follows a running container; returns when it is to be ended, and why.
pub(super) async fn watch(
    context: &Context,
    index: usize,
    container: &Container,
    running: &Running,
) -> String {
    let target = Target { context, container, running };
    if let Some(startup) = &container.startup_probe
        && !target.has_started(startup).await
    {
        return "failed startup probe".to_owned();
    }
    context.board.update(index, |record| {
        record.started = true;
        record.ready = container.readiness_probe.is_none();
    });
    tokio::select! {
        () = target.follow_readiness(index) => "has no readiness".to_owned(),
        () = target.until_dead() => "failed liveness probe".to_owned(),
    }
}

/// What is probed.
pub(super) struct Target<'a> {
    pub(super) context: &'a Context,
    pub(super) container: &'a Container,
    pub(super) running: &'a Running,
}

/// A probe's times and thresholds, with the defaults of the API.
struct Rhythm {
    delay: Duration,
    period: Duration,
    timeout: Duration,
    successes: i32,
    failures: i32,
}

impl From<&Probe> for Rhythm {
    fn from(probe: &Probe) -> Self {
        let seconds = |number: Option<i32>, default: u32| {
            Duration::from_secs(number.map_or(default, i32::unsigned_abs).into())
        };
        Self {
            delay: seconds(probe.initial_delay_seconds, 0),
            period: seconds(probe.period_seconds, 10),
            timeout: seconds(probe.timeout_seconds, 1),
            successes: probe.success_threshold.unwrap_or(1),
            failures: probe.failure_threshold.unwrap_or(3),
        }
    }
}

impl Target<'_> {
    /// Whether the start-up probe succeeds before it has failed too often.
    async fn has_started(&self, probe: &Probe) -> bool {
        let rhythm = Rhythm::from(probe);
        sleep(rhythm.delay).await;
        for failures in 1.. {
            if self.once("Startup", probe, &rhythm).await {
                return true;
            }
            if failures >= rhythm.failures {
                break;
            }
            sleep(rhythm.period).await;
        }
        false
    }

    /// Never ends.
    async fn follow_readiness(&self, index: usize) {
        let Some(probe) = &self.container.readiness_probe else { return std::future::pending().await };
        let rhythm = Rhythm::from(probe);
        let (mut successes, mut failures) = (0, 0);
        sleep(rhythm.delay).await;
        loop {
            (successes, failures) = if self.once("Readiness", probe, &rhythm).await {
                (successes + 1, 0)
            } else {
                (0, failures + 1)
            };
            if successes >= rhythm.successes {
                self.context.board.update(index, |record| record.ready = true);
            } else if failures >= rhythm.failures {
                self.context.board.update(index, |record| record.ready = false);
            }
            sleep(rhythm.period).await;
        }
    }

    /// Ends when the liveness probe has failed too often.
    async fn until_dead(&self) {
        let Some(probe) = &self.container.liveness_probe else { return std::future::pending().await };
        let rhythm = Rhythm::from(probe);
        sleep(rhythm.delay).await;
        let mut failures = 0;
        while failures < rhythm.failures {
            failures = if self.once("Liveness", probe, &rhythm).await { 0 } else { failures + 1 };
            sleep(rhythm.period).await;
        }
    }

    async fn once(&self, kind: &str, probe: &Probe, rhythm: &Rhythm) -> bool {
        let looked = self.act(probe.http_get.as_ref(), probe.tcp_socket.as_ref(), probe.exec.as_ref());
        let result =
            timeout(rhythm.timeout, looked).await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        if let Err(why) = &result {
            self.context.tell("Unhealthy", format!("{kind} probe failed: {why}"));
        }
        result.is_ok()
    }

    /// Does what a hook says.
    pub(super) async fn handle(&self, hook: &LifecycleHandler) -> Result<(), String> {
        self.act(hook.http_get.as_ref(), hook.tcp_socket.as_ref(), hook.exec.as_ref()).await
    }

    async fn act(
        &self,
        get: Option<&HTTPGetAction>,
        socket: Option<&TCPSocketAction>,
        exec: Option<&ExecAction>,
    ) -> Result<(), String> {
        if let Some(get) = get {
            return self.get(get).await;
        }
        if let Some(socket) = socket {
            return self.connect(socket.host.as_deref(), &socket.port).await.map(drop);
        }
        match exec {
            Some(exec) => self.execute(exec).await,
            None => Ok(()),
        }
    }

    async fn connect(&self, host: Option<&str>, port: &IntOrString) -> Result<TcpStream, String> {
        let number = number(self.container, port).ok_or_else(|| format!("there is no port {port:?}"))?;
        let address = (host.unwrap_or(&self.context.ip), number);
        TcpStream::connect(address)
            .await
            .map_err(|error| format!("connecting to {}:{number}: {error}", address.0))
    }

    async fn get(&self, get: &HTTPGetAction) -> Result<(), String> {
        let mut stream = self.connect(get.host.as_deref(), &get.port).await?;
        let line = exchange(&mut stream, &request(get, &self.context.ip))
            .await
            .map_err(|error| error.to_string())?;
        let code = line.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok());
        match code {
            Some(200..400) => Ok(()),
            Some(code) => Err(format!("HTTP probe failed with statuscode: {code}")),
            None => Err(format!("the answer is not HTTP: {line:?}")),
        }
    }

    async fn execute(&self, exec: &ExecAction) -> Result<(), String> {
        let variables = &self.running.variables;
        let words: Vec<String> = exec.command.iter().flatten().map(|word| expand(word, variables)).collect();
        let mut command = Sandbox::beside(self.running.pid, &words);
        command.env_clear().envs(variables);
        let log = self.context.log("probes").map_err(|error| error.to_string())?;
        let child = Child::start("a probe", command, &log).map_err(|error| error.to_string())?;
        match child.wait().await {
            0 => Ok(()),
            code => Err(format!("the command ended with exit code {code}")),
        }
    }
}

/// A port by its number, or by the name that the container gives it.
fn number(container: &Container, port: &IntOrString) -> Option<u16> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|port| port.name.as_deref() == Some(name));
            named.map_or_else(|| name.parse().ok(), |port| Some(port.container_port))?
        }
    };
    u16::try_from(number).ok()
}

fn request(get: &HTTPGetAction, ip: &str) -> String {
    let path = get.path.as_deref().unwrap_or("/");
    let mut headers = BTreeMap::from([
        ("Host".to_owned(), ip.to_owned()),
        ("User-Agent".to_owned(), "kube-probe".to_owned()),
        ("Connection".to_owned(), "close".to_owned()),
    ]);
    headers
        .extend(get.http_headers.iter().flatten().map(|header| (header.name.clone(), header.value.clone())));
    let mut request = format!("GET {path} HTTP/1.1\r\n");
    for (name, value) in headers {
        let _ = write!(request, "{name}: {value}\r\n");
    }
    request + "\r\n"
}

/// Sends a request and reads the answer's first line.
async fn exchange(stream: &mut TcpStream, request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while answer.len() < STATUS_LINE && !answer.contains(&b'\n') {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ContainerPort;

    use super::*;

    #[test]
    fn a_port_is_found_by_number_and_by_name() {
        let port = ContainerPort { name: Some("mcp".to_owned()), container_port: 8080, ..Default::default() };
        let container = Container { ports: Some(vec![port]), ..Container::default() };
        let named = |name: &str| number(&container, &IntOrString::String(name.to_owned()));
        assert_eq!((named("mcp"), named("9090"), named("http")), (Some(8080), Some(9090), None));
        assert_eq!(number(&container, &IntOrString::Int(80)), Some(80));
    }

    #[test]
    fn a_probe_over_tls_is_refused() {
        let get = HTTPGetAction { scheme: Some("HTTPS".to_owned()), ..HTTPGetAction::default() };
        let probe = Probe { http_get: Some(get), ..Probe::default() };
        let refusal = check(&Container { liveness_probe: Some(probe), ..Container::default() }).unwrap_err();
        assert!(refusal.to_string().contains("TLS"), "{refusal}");
    }
}
