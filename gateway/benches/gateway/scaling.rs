//! What it costs to watch servers that are scaled: the decider looks at each about once a second. The control is the same number of
//! servers in the same process without `scaling`. What a server costs must not grow with their number.
//!
//! All are at zero, where a look does everything but change a number: it reads the meters, gathers, decides, and compares reports.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use portico_gateway::scaling::{Change, Error, Scaler};
use portico_gateway::source::{Bounds, Scaled, Server, ServerKey, Servers};
use portico_gateway::{Gateway, Options};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::Failed;
use crate::load::{self, Target};
use crate::report::Report;
use crate::roles;

/// Servers that are watched.
pub const SIZES: [usize; 4] = [10, 100, 1_000, 4_000];

/// A machine that does what it is asked for at once, and is asked for nothing here.
#[derive(Debug)]
struct Nothing;

impl Scaler for Nothing {
    fn scale<'a>(&'a self, _: &'a Server, _: Change) -> BoxFuture<'a, Result<(), Error>> {
        std::future::ready(Ok(())).boxed()
    }

    fn drain<'a>(&'a self, _: &'a Server, _: &'a [String], _: bool) -> BoxFuture<'a, Result<(), Error>> {
        std::future::ready(Ok(())).boxed()
    }
}

/// A gateway in front of one server that can be called, and of `count` that are at zero and, if so wanted, scaled.
pub async fn watching(url: &str, count: usize, scaled: bool) -> Result<(), Failed> {
    let bounds = Bounds::default();
    let server = |number: usize| {
        let key = ServerKey { namespace: "bench".into(), name: format!("z{number}") };
        // Somebody else owns the number, so that nothing is started to learn its tools.
        let at_zero = Scaled { owner: Some("bench".into()), ..Scaled::new(bounds.clone(), 0) };
        Server { scaled: scaled.then_some(at_zero), ..Server::new(key, Vec::new()) }
    };
    let first = Server::new(
        ServerKey { namespace: "bench".into(), name: "s0".into() },
        vec![portico_gateway::source::Endpoint::pod(url)],
    );
    let servers: Vec<Server> = std::iter::once(first).chain((0..count).map(server)).collect();
    let (sender, servers) = watch::channel(Servers::new(servers));
    let gateway = Gateway::new(Options::default(), servers)?;
    let leads = watch::Sender::new(Instant::now() + Duration::from_hours(1));
    let peers = watch::Sender::new(Arc::default());
    gateway.scale(Arc::new(Nothing), leads.subscribe(), peers.subscribe());
    let listener = roles::listen().await?;
    tokio::spawn(async move {
        // All stays as it is as long as these live.
        let _kept = (sender, leads, peers);
        gateway.serve(listener, CancellationToken::new()).await
    });
    Ok(())
}

/// CPU a second and memory, with and without scaling.
pub async fn measure(report: &mut Report, lasting: Duration) -> Result<(), Failed> {
    let servers = roles::start(&["server", "1"])?;
    for size in SIZES {
        let mut costs = Vec::new();
        for mode in ["plain", "scaled"] {
            let gateway = roles::start(&["watching", &servers.addresses[0], &size.to_string(), mode])?;
            load::until_listed(&Target::new(&gateway.addresses[0]), roles::TOOLS).await?;
            // Its windows fill, and what is done once is done.
            sleep(Duration::from_secs(3)).await;
            let before = gateway.cpu().nanoseconds();
            sleep(lasting).await;
            let cpu = (gateway.cpu().nanoseconds() - before) as f64 / lasting.as_secs_f64() / 1000.0;
            costs.push((cpu, gateway.cpu().resident_kib() as f64));
        }
        report.watched(size, costs[0], costs[1]);
    }
    Ok(())
}
