//! When a call may be sent again: where it certainly was not carried out, or where carrying it out twice does no harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::fault::Fault;
use super::{Backend, breaker};
use crate::core::Core;
use crate::metrics::Held;
use crate::scaling::{Hold, Load};

/// Endpoints tried when none can be reached.
const MAX_TRIES: usize = 3;
/// How often a call that does no harm is made again when it breaks.
const MAX_REPEATS: u32 = 3;
/// A server that answered within this many milliseconds is taken to come back soon.
const LATELY: u64 = 60_000;
/// First and longest pause of a call that waits for its server.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// Repetitions that a server may be asked for: one for every five calls, and a hundred to begin with, for a server that
/// dies breaks all its calls at once. Without a bound every call to a failing server would be made again just when it has
/// trouble.
#[derive(Debug)]
pub(crate) struct Budget(AtomicI64);

impl Budget {
    const PER_CALL: i64 = 1;
    const PRICE: i64 = 5;
    const MOST: i64 = 500;

    /// A call was made.
    pub(crate) fn earn(&self) {
        if self.0.load(Ordering::Relaxed) < Self::MOST {
            self.0.fetch_add(Self::PER_CALL, Ordering::Relaxed);
        }
    }

    /// Whether one may be repeated.
    pub(crate) fn spend(&self) -> bool {
        let left = self.0.fetch_sub(Self::PRICE, Ordering::Relaxed);
        let granted = left >= Self::PRICE;
        if !granted {
            self.0.fetch_add(Self::PRICE, Ordering::Relaxed);
        }
        granted
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicI64::new(Self::MOST))
    }
}

/// What one call has tried.
pub(crate) struct Tries<'a> {
    core: &'a Arc<Core>,
    backend: &'a Arc<Backend>,
    load: Load,
    /// Whether the call changes nothing, or the same when it is carried out twice.
    repeatable: bool,
    unreachable: Vec<u64>,
    lost: bool,
    repeated: u32,
    waiting: Option<Waiting>,
}

/// A call that waits.
struct Waiting {
    until: Instant,
    pause: Duration,
    _held: Held,
}

impl<'a> Tries<'a> {
    /// A call to `backend`.
    pub(crate) fn new(
        core: &'a Arc<Core>,
        backend: &'a Arc<Backend>,
        (repeatable, load): (bool, Load),
    ) -> Self {
        backend.budget.earn();
        let (unreachable, lost, repeated) = (Vec::new(), false, 0);
        Self { core, backend, load, repeatable, unreachable, lost, repeated, waiting: None }
    }

    /// How long the next wait may take at most, apart from what the call itself may.
    pub(crate) fn longest_hold(&self) -> Duration {
        const MARGIN: Duration = Duration::from_secs(1);
        let live = self.backend.live();
        live.server.scaled.as_ref().map_or(Duration::ZERO, |scaled| scaled.bounds.hold + MARGIN)
    }

    /// The endpoints that are not worth another try.
    pub(crate) fn unreachable(&self) -> &[u64] {
        &self.unreachable
    }

    /// Whether the call is to be sent again after `fault`; returns when, with how long it waited for a replica to start.
    ///
    /// # Errors
    /// `fault`, or what came of the wait, when it is not.
    pub(crate) async fn again(&mut self, fault: Fault, endpoint: Option<u64>) -> Result<Duration, Fault> {
        let again = match &fault {
            Fault::Unreachable { .. } => {
                self.unreachable.extend(endpoint);
                let other = self.unreachable.len() < MAX_TRIES && self.backend.has_other(&self.unreachable);
                if !other {
                    return self.wait(fault).await;
                }
                true
            }
            Fault::NoEndpoint => return self.wait(fault).await,
            // The server did not know the session, so it did not look at the call.
            Fault::SessionLost => !std::mem::replace(&mut self.lost, true),
            Fault::Broken { .. } if self.repeatable && self.repeated < MAX_REPEATS => self.repeat().await,
            _ => false,
        };
        if again { Ok(Duration::ZERO) } else { Err(fault) }
    }

    /// Waits for a server without a replica: for one to start where its number follows the load, else for one that was there a
    /// moment ago.
    async fn wait(&mut self, fault: Fault) -> Result<Duration, Fault> {
        let live = self.backend.live();
        let Some(scaled) = live.server.scaled.as_ref().filter(|_| !self.backend.is_up()) else {
            return if self.wait_shortly().await { Ok(Duration::ZERO) } else { Err(fault) };
        };
        let hold = Hold::begin(self.core, self.backend, scaled, self.load)?;
        hold.until_up(self.backend).await?;
        self.unreachable.clear();
        Ok(hold.waited())
    }

    /// Makes a broken call once more, if the budget allows. Not at once: a server that died leaves further connections behind
    /// that are not known to be broken yet.
    async fn repeat(&mut self) -> bool {
        let granted = self.backend.budget.spend();
        if granted {
            self.repeated += 1;
            sleep(PAUSES.0 * self.repeated).await;
        }
        granted
    }

    /// Waits for a server that has answered lately, as one does that is being restarted; whether to try once more.
    async fn wait_shortly(&mut self) -> bool {
        let (core, backend) = (self.core, self.backend);
        // One that is scaled may be at another place in a moment.
        let lately = backend.answered_within(LATELY) || backend.live().server.scaled.is_some();
        let begun = lately.then(|| Waiting {
            until: Instant::now() + core.options.hold,
            pause: PAUSES.0,
            _held: core.metrics.hold(backend.key()),
        });
        let Some(mut waiting) = self.waiting.take().or(begun) else { return false };
        if Instant::now() >= waiting.until {
            return false;
        }
        let mut changes = backend.changes();
        tokio::select! {
            // The sender is the backend's own.
            _ = changes.changed() => {}
            () = sleep(waiting.pause) => {}
        }
        waiting.pause = (waiting.pause * 2).min(PAUSES.1);
        self.waiting = Some(waiting);
        self.unreachable.clear();
        true
    }
}

impl Backend {
    /// A call was answered, which says that the server is there.
    pub(crate) fn note_answer(&self) {
        self.answered.store(breaker::now().max(1), Ordering::Relaxed);
    }

    fn answered_within(&self, milliseconds: u64) -> bool {
        let last = self.answered.load(Ordering::Relaxed);
        last > 0 && breaker::now().saturating_sub(last) <= milliseconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_in_five_may_be_repeated() {
        let budget = Budget::default();
        let granted = (0..1000)
            .filter(|_| {
                budget.earn();
                budget.spend()
            })
            .count();
        assert!((295..=300).contains(&granted), "{granted}");
    }
}
