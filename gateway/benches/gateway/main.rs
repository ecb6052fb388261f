//! Calls and lists through the gateway, beside direct ones and beside a proxy that only forwards bytes.
//!
//! Server, proxy and gateway are processes of their own, so that the CPU of each can be read; proxy and gateway are
//! held on one core, server and load on another. Absolute figures are those of the machine; what counts is the ratio to
//! the direct control of the same run, and the CPU per call beside the proxy's. Cost of a call must not grow with the
//! number of sessions or servers; cost of a list grows with its bytes alone, and not at all by a server that hangs.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people, far below where a float loses digits"
)]

mod cpu;
mod load;
mod report;
mod roles;

use std::time::Duration;

use cpu::Cpu;
use load::{Figures, Target};
use report::Report;
use roles::Role;

/// Sessions at the same time, one connection each.
const SESSIONS: [usize; 3] = [1, 8, 32];
/// Servers and tools of each in the list.
const SERVERS: usize = 20;

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(role) = Role::from_arguments(&arguments) {
        return role.run();
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let lasting = if quick { Duration::from_millis(400) } else { Duration::from_millis(2500) };
    cpu::pin(cpu::LOAD);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = Report::default();
    runtime.block_on(async {
        calls(&mut report, lasting).await?;
        lists(&mut report, lasting).await
    })?;
    report.print(arguments.iter().any(|argument| argument == "--json"));
    Ok(())
}

/// Calls of one tool of one server.
async fn calls(report: &mut Report, lasting: Duration) -> Result<(), Failed> {
    let server = roles::start(&["server", "1"])?;
    let url = &server.addresses[0];
    let proxy = roles::start(&["proxy", url])?;
    let gateway = roles::start(&["gateway", url])?;
    for sessions in SESSIONS {
        let control = call(&Target::new(url), None, sessions, lasting / 2).await?;
        let proxied = call(&Target::new(&proxy.addresses[0]), Some(proxy.cpu()), sessions, lasting).await?;
        let gated = call(&Target::new(&gateway.addresses[0]), Some(gateway.cpu()), sessions, lasting).await?;
        let after = call(&Target::new(url), None, sessions, lasting / 2).await?;
        let direct = control.joined_with(after);
        report.calls(sessions, &direct, ("bytes only", &proxied));
        report.calls(sessions, &direct, ("gateway", &gated));
    }
    Ok(())
}

async fn call(
    target: &Target,
    cpu: Option<Cpu>,
    sessions: usize,
    lasting: Duration,
) -> Result<Figures, Failed> {
    // Warms connections and caches.
    load::calls(target, sessions, lasting / 4).await?;
    let before = cpu.map(cpu::Cpu::nanoseconds).unwrap_or_default();
    let mut figures = load::calls(target, sessions, lasting).await?;
    figures.cpu = cpu.map(|cpu| cpu.nanoseconds() - before);
    Ok(figures)
}

/// The list of all tools: every server healthy, then one that hangs from the start.
async fn lists(report: &mut Report, lasting: Duration) -> Result<(), Failed> {
    for hung in [false, true] {
        let servers = roles::start(&["server", &SERVERS.to_string()])?;
        let mut urls = servers.addresses.clone();
        let silent = roles::start(&["silent"])?;
        if hung {
            urls[0].clone_from(&silent.addresses[0]);
        }
        let mut role = vec!["gateway"];
        role.extend(urls.iter().map(String::as_str));
        let gateway = roles::start(&role)?;
        let target = Target::new(&gateway.addresses[0]);
        let wanted = roles::TOOLS * (SERVERS - usize::from(hung));
        let first = load::until_listed(&target, wanted).await?;
        let cpu = gateway.cpu();
        let before = cpu.nanoseconds();
        let mut figures = load::lists(&target, wanted, lasting).await?;
        figures.cpu = Some(cpu.nanoseconds() - before);
        report.lists(hung, first, &figures);
    }
    Ok(())
}
