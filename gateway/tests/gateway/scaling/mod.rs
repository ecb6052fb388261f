//! Servers whose replicas follow their load, from zero and back.

mod cycles;
mod load;
mod machine;
mod replicas;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use portico_gateway::Options;
use tokio::sync::watch;
use tokio::time::Instant;

use super::support::{TestGateway, eventually};
use machine::{Gate, Machine, Ways};

/// A gateway in front of a machine, of which it has learnt the tools.
struct World {
    gateway: TestGateway,
    machine: Arc<Machine>,
    _leads: watch::Sender<Instant>,
}

impl World {
    /// With these servers, each at zero and known.
    async fn at_zero(named: &[(&str, Ways)]) -> Self {
        Self::with(Options::default(), named).await
    }

    async fn with(options: Options, named: &[(&str, Ways)]) -> Self {
        let gateway = TestGateway::with(options, Vec::new()).await;
        let quick = |ways: &Ways| Ways {
            ready: Duration::ZERO,
            broken: false,
            starts: Gate::default(),
            ..ways.clone()
        };
        let started: Vec<(&str, Ways)> = named.iter().map(|(name, ways)| (*name, quick(ways))).collect();
        let machine = Machine::new(&started, vec![gateway.servers.clone()]);
        for (name, _) in named {
            machine.edit(name, |_, desired| *desired = 1);
            gateway.until_connected(name).await;
        }
        for (name, ways) in named {
            machine.edit(name, |now, desired| {
                *desired = 0;
                *now = ways.clone();
            });
        }
        machine.log.lock().unwrap().listening.clear();
        let leads = machine.drive(&gateway.gateway);
        Self { gateway, machine, _leads: leads }
    }

    /// How many decisions had this reason.
    async fn decisions(&self, reason: &str) -> u64 {
        decisions(&self.gateway, reason).await
    }

    /// Waits until a server has no replica, and none is left.
    async fn until_gone(&self, name: &str) {
        let gone = async || self.machine.desired(name) == 0 && self.machine.replicas(name) == 0;
        eventually(&format!("{name} is gone"), gone).await;
    }

    async fn until_desired(&self, name: &str, replicas: u32) {
        let what = format!("{name} has {replicas} replicas");
        eventually(&what, async || self.machine.desired(name) == replicas).await;
    }
}

async fn decisions(gateway: &TestGateway, reason: &str) -> u64 {
    let (_, text) = gateway.get("/metrics").await;
    let of =
        |line: &&str| line.starts_with("portico_gateway_scaling_decisions_total") && line.contains(reason);
    text.lines().filter(of).filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// One server with these ways.
async fn one(ways: Ways) -> World {
    World::at_zero(&[("one", ways)]).await
}
