//! Calls and lists through the gateway, beside direct ones (the ceiling) and beside a forwarder that only reads the
//! envelope, finds the server by name and passes the bytes on (the floor).
//!
//! Servers, floor and gateway are processes of their own, so that the CPU of each can be read; floor and gateway are
//! held on one core, servers and load on another. Absolute figures are those of the machine; what counts is the ratio to
//! the direct control of the same run, and the CPU per call over the floor's. Cost of a call must not grow with the
//! number of sessions or servers; cost of a list grows with its bytes alone, and not at all by a server that hangs.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people, far below where a float loses digits"
)]

mod cpu;
mod floor;
mod gate;
mod guard;
mod load;
mod memory;
mod report;
mod roles;
mod scaling;

use std::time::Duration;

use cpu::Cpu;
use load::{Figures, Load, Target};
use memory::Scale;
use report::Report;
use roles::Role;

/// What is measured. The floor knows no sessions, so it serves both eras alike.
const LOADS: [Load; 7] = [
    legacy(1, 100),
    legacy(8, 100),
    legacy(32, 100),
    legacy(128, 100),
    legacy(32, 2_048),
    legacy(32, 65_536),
    Load { sessions: 32, bytes: 100, modern: true },
];
/// Servers behind floor and gateway while calls are measured; one of them is called.
const BEHIND: &str = "5";
/// Servers and tools of each in the list.
const SERVERS: usize = 20;

/// What can be measured alone.
const PARTS: [&str; 5] = ["calls", "lists", "memory", "runtimes", "watching"];
const WHOLE: Scale = Scale { open: 1000, dropped: 100_000 };
const QUICK: Scale = Scale { open: 200, dropped: 5_000 };

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(role) = Role::from_arguments(&arguments) {
        return role.run();
    }
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let quick = has("--quick");
    // Without a name of a part, all of them.
    let wants = |part: &str| has(part) || !PARTS.iter().any(|part| has(part));
    let lasting = if quick { Duration::from_millis(400) } else { Duration::from_millis(2500) };
    cpu::pin(cpu::LOAD);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = Report::default();
    if has("--gate") {
        return runtime.block_on(gate::run());
    }
    runtime.block_on(async {
        if wants("calls") {
            calls(&mut report, lasting).await?;
        }
        if has("runtimes") {
            runtimes(&mut report, lasting).await?;
        }
        if wants("lists") {
            lists(&mut report, lasting).await?;
        }
        if wants("memory") {
            let scale = if quick { &QUICK } else { &WHOLE };
            memory::measure(&mut report, scale).await?;
        }
        if wants("watching") {
            scaling::measure(&mut report, lasting * 4).await?;
        }
        Ok::<_, Failed>(())
    })?;
    report.print(has("--json"));
    Ok(())
}

const fn legacy(sessions: usize, bytes: usize) -> Load {
    Load { sessions, bytes, modern: false }
}

/// Calls of one tool of one server.
async fn calls(report: &mut Report, lasting: Duration) -> Result<(), Failed> {
    for modern in [false, true] {
        let era = if modern { "modern" } else { "legacy" };
        let servers = roles::start(&["server", BEHIND, era])?;
        let urls: Vec<&str> = servers.addresses.iter().map(String::as_str).collect();
        let floor = roles::start(&[&["floor"], &urls[..]].concat())?;
        let gateway = roles::start(&[&["gateway"], &urls[..]].concat())?;
        load::until_listed(&Target::new(&gateway.addresses[0]), roles::TOOLS * urls.len()).await?;
        let guarded = Guarded::start(&urls).await?;
        for load in LOADS.into_iter().filter(|load| load.modern == modern) {
            let control = call(&Target::new(urls[0]), None, load, lasting / 2).await?;
            let floored = call(&Target::new(&floor.addresses[0]), Some(floor.cpu()), load, lasting).await?;
            let gated = call(&Target::new(&gateway.addresses[0]), Some(gateway.cpu()), load, lasting).await?;
            let all = match load.sessions {
                32 => Some(call(&guarded.target, Some(guarded.gateway.cpu()), load, lasting).await?),
                _ => None,
            };
            let after = call(&Target::new(urls[0]), None, load, lasting / 2).await?;
            report.calls(load, &control.joined_with(after), &floored, (&gated, all.as_ref()));
        }
    }
    Ok(())
}

/// Calls through a gateway whose runtime has worker threads, and one with a thread that does everything, as a runtime a core would
/// have it. Both have one core.
async fn runtimes(report: &mut Report, lasting: Duration) -> Result<(), Failed> {
    let servers = roles::start(&["server", BEHIND, "legacy"])?;
    let urls: Vec<&str> = servers.addresses.iter().map(String::as_str).collect();
    for sessions in [1, 32, 128] {
        for role in ["gateway", "current"] {
            let gateway = roles::start(&[&[role], &urls[..]].concat())?;
            let target = Target::new(&gateway.addresses[0]);
            load::until_listed(&target, roles::TOOLS * urls.len()).await?;
            let figures = call(&target, Some(gateway.cpu()), legacy(sessions, 100), lasting).await?;
            report.runtime(role, sessions, &figures);
        }
    }
    Ok(())
}

/// A gateway that checks tokens, judges by rules, counts quotas, writes an audit log and exports traces.
struct Guarded {
    gateway: roles::Running,
    target: Target,
    _issuer: roles::Running,
    _folder: tempfile::TempDir,
}

impl Guarded {
    async fn start(urls: &[&str]) -> Result<Self, Failed> {
        let issuer = roles::start(&["issuer"])?;
        let [name, token] = &issuer.addresses[..] else { return Err("the issuer says too little".into()) };
        let folder = tempfile::tempdir()?;
        let (file, audit) = (folder.path().join("gateway.yaml"), folder.path().join("audit.jsonl"));
        std::fs::write(&file, guard::configuration(name, &audit.display().to_string()))?;
        let file = file.display().to_string();
        let gateway = roles::start(&[&["guarded", &file, name], urls].concat())?;
        let target = Target::new(&gateway.addresses[0]).with_token(token);
        load::until_listed(&target, roles::TOOLS * urls.len()).await?;
        Ok(Self { gateway, target, _issuer: issuer, _folder: folder })
    }
}

async fn call(target: &Target, cpu: Option<Cpu>, load: Load, lasting: Duration) -> Result<Figures, Failed> {
    // Warms connections and caches.
    load::calls(target, load, lasting / 4).await?;
    let before = cpu.map(cpu::Cpu::nanoseconds).unwrap_or_default();
    let mut figures = load::calls(target, load, lasting).await?;
    figures.cpu = cpu.map(|cpu| cpu.nanoseconds() - before);
    Ok(figures)
}

/// The list of all tools: every server healthy, then with one that hangs from the start.
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
        load::until_listed(&target, wanted).await?;
        let cpu = gateway.cpu();
        let before = cpu.nanoseconds();
        let mut figures = load::lists(&target, wanted, lasting).await?;
        figures.cpu = Some(cpu.nanoseconds() - before);
        report.lists(hung, &figures);
    }
    Ok(())
}
