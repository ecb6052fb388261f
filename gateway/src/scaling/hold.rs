//! A call that waits for a replica of its server: for so long, and with so many others.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::Waiting;
use crate::backend::{Backend, Fault};
use crate::core::Core;
use crate::metrics::Held;
use crate::source::Scaled;

/// A call that waits.
#[derive(Debug)]
pub(crate) struct Hold {
    began: Instant,
    until: Instant,
    _of_server: Waiting,
    _of_all: Waiting,
    _held: Held,
}

/// What a call brings that may have to wait.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Load {
    /// Its bytes, which are kept meanwhile.
    pub(crate) bytes: u64,
    /// How long its caller will wait, if that is known.
    pub(crate) patience: Option<Duration>,
}

impl Hold {
    /// A call begins to wait for `backend`, which is woken.
    ///
    /// # Errors
    /// When it will not be started, or when too much waits already.
    pub(crate) fn begin(
        core: &Arc<Core>,
        backend: &Arc<Backend>,
        scaled: &Scaled,
        load: Load,
    ) -> Result<Self, Fault> {
        refuse(backend, scaled)?;
        let options = &core.options;
        let crowded = || crowded(backend, scaled);
        let room = (options.max_waiting, options.max_waiting_bytes);
        let of_server = backend.meter.wait(load.bytes, room).ok_or_else(crowded)?;
        let room = (u32::MAX, options.max_waiting_bytes.saturating_mul(8));
        let of_all = core.waiting.wait(load.bytes, room).ok_or_else(crowded)?;
        let began = Instant::now();
        let until = began + backend.learnt.hold(&scaled.bounds, load.patience);
        super::wake(core, backend);
        let held = core.metrics.hold(backend.key());
        Ok(Self { began, until, _of_server: of_server, _of_all: of_all, _held: held })
    }

    /// How long it has waited.
    pub(crate) fn waited(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits until calls can be sent to `backend` again.
    ///
    /// # Errors
    /// When that takes longer than the call may wait, or will not be.
    pub(crate) async fn until_up(&self, backend: &Arc<Backend>) -> Result<(), Fault> {
        let mut changes = backend.changes();
        loop {
            if backend.is_up() {
                return Ok(());
            }
            let live = backend.live();
            // What is away for a moment, as a Deployment that is made anew, is waited for like any other.
            let scaled = live.server.scaled.as_ref();
            scaled.map_or(Ok(()), |scaled| refuse(backend, scaled))?;
            // The sender is the backend's own.
            if timeout_at(self.until, changes.changed()).await.is_err() {
                let fault = scaled.map(|scaled| not_started(backend, scaled, self.waited()));
                return Err(fault.unwrap_or(Fault::NoEndpoint));
            }
        }
    }
}

impl Backend {
    /// Whether calls may wait for a replica to start.
    pub(crate) fn may_be_waited_for(&self) -> bool {
        self.live().server.scaled.as_ref().is_some_and(|scaled| refuse(self, scaled).is_ok())
    }
}

/// Says why a server at zero is not started now, if it is not.
fn refuse(backend: &Backend, scaled: &Scaled) -> Result<(), Fault> {
    if let (Some(owner), 0) = (&scaled.owner, scaled.desired) {
        return Err(Fault::SetToZero { owner: owner.clone() });
    }
    let Some(left) = left(backend, scaled) else { return Ok(()) };
    let reason =
        scaled.trouble.as_ref().map_or("no pod was ready in time", |trouble| &trouble.reason).to_owned();
    tracing::debug!(server = %backend.key(), "a call is refused: the last start has failed");
    Err(Fault::StartFailed { reason, after: left })
}

/// The time for which no start is tried, after one that failed.
pub(super) fn left(backend: &Backend, scaled: &Scaled) -> Option<Duration> {
    // Who decides knows it before it is written anywhere.
    let retry_at = backend.scaling().map_or(scaled.retry_at, |report| report.retry_at);
    let left = retry_at?.duration_since(Timestamp::now());
    Duration::try_from(left).ok().filter(|left| !left.is_zero())
}

fn crowded(backend: &Backend, scaled: &Scaled) -> Fault {
    let waiting = backend.meter.read(Instant::now()).waiting;
    let after = backend.learnt.retry_after(&scaled.bounds, waiting, scaled.desired);
    Fault::Crowded { waiting, after }
}

fn not_started(backend: &Backend, scaled: &Scaled, waited: Duration) -> Fault {
    let waiting = backend.meter.read(Instant::now()).waiting;
    let after = backend.learnt.retry_after(&scaled.bounds, waiting, scaled.desired);
    Fault::NotStarted { waited, reason: scaled.trouble.as_ref().map(|trouble| trouble.reason.clone()), after }
}
