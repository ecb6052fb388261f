//! Resident memory, and how long a gateway takes from its start to its first whole list.

use std::time::{Duration, Instant};

use crate::load::{self, Held, Target};
use crate::report::Report;
use crate::roles::{self, Running};
use crate::{Failed, SERVERS};

/// Servers behind the gateway while sessions are open, as many as in the figures of others.
const BEHIND: usize = 5;
/// Starts of which the middle one counts.
const STARTS: usize = 5;

/// How many sessions are open together, and opened and dropped.
pub struct Scale {
    pub open: usize,
    pub dropped: usize,
}

pub async fn measure(report: &mut Report, scale: &Scale) -> Result<(), Failed> {
    for (servers, hung) in [(1, false), (SERVERS, false), (SERVERS, true)] {
        start(report, servers, hung).await?;
    }
    for held in [Held::Connection, Held::Session, Held::Stream] {
        open(report, held, scale.open).await?;
    }
    dropped(report, scale.dropped).await
}

/// From the start of the process to the first list that holds every tool, and what it then takes.
async fn start(report: &mut Report, servers: usize, hung: bool) -> Result<(), Failed> {
    let behind = roles::start(&["server", &servers.to_string()])?;
    let silent = roles::start(&["silent"])?;
    let mut urls = behind.addresses.clone();
    if hung {
        urls[0].clone_from(&silent.addresses[0]);
    }
    let wanted = roles::TOOLS * (servers - usize::from(hung));
    let mut measured = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        let gateway = gateway(&urls)?;
        load::until_listed(&Target::new(&gateway.addresses[0]), wanted).await?;
        measured.push((began.elapsed(), gateway.cpu().resident_kib()));
    }
    measured.sort_unstable();
    let (first, resident) = measured[STARTS / 2];
    report.start((servers, hung), first, resident);
    Ok(())
}

fn gateway(urls: &[String]) -> Result<Running, Failed> {
    let mut role = vec!["gateway"];
    role.extend(urls.iter().map(String::as_str));
    roles::start(&role)
}

async fn behind() -> Result<(Running, Running, Target), Failed> {
    let servers = roles::start(&["server", &BEHIND.to_string()])?;
    let gateway = gateway(&servers.addresses)?;
    let target = Target::new(&gateway.addresses[0]);
    load::until_listed(&target, roles::TOOLS * BEHIND).await?;
    Ok((servers, gateway, target))
}

/// What one more of `held` takes.
async fn open(report: &mut Report, held: Held, count: usize) -> Result<(), Failed> {
    let (_servers, gateway, target) = behind().await?;
    // What is allocated once, and buffers of the first.
    let _warm = load::hold(&target, held, 50).await?;
    let before = gateway.cpu().resident_kib();
    let _open = load::hold(&target, held, count).await?;
    let after = gateway.cpu().resident_kib();
    report.held(held, count, (after - before) as f64 / count as f64);
    Ok(())
}

/// Sessions that are opened, call once, and are ended, or forgotten by their clients.
async fn dropped(report: &mut Report, count: usize) -> Result<(), Failed> {
    let (_servers, gateway, target) = behind().await?;
    let mut sizes = Vec::new();
    let began = Instant::now();
    for _ in 0..5 {
        load::drop_sessions(&target, count / 5).await?;
        sizes.push(gateway.cpu().resident_kib());
    }
    report.dropped(count, &sizes, began.elapsed() / u32::try_from(count).unwrap_or(u32::MAX));
    Ok(())
}

/// Milliseconds for people.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
