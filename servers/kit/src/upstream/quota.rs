//! A count of requests against a daily allowance, of one process or of all replicas together.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::Row as _;
use tokio::time::Instant;

use crate::store::{Store, now};

const DAY: Duration = Duration::from_hours(24);
const DAY_MS: i64 = 24 * 3600 * 1000;
/// A window that opens later than this from now was opened by a clock that was wrong: replicas' clocks differ by less.
const AHEAD_MS: i64 = 3600 * 1000;
/// Longest wait for the database, where no other is asked for.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time after a failure in which the database is not asked.
const REST: Duration = Duration::from_secs(5);
/// Percentages of the allowance at which a warning is due.
const WARNINGS: [u64; 2] = [80, 95];

/// Takes one request in a statement of its own, so that replicas never take the same one. The window opens with its first
/// request, and the next one opens with the first request after its end. No row means that nothing is left.
const TAKE: &str = "INSERT INTO kit_quotas (name, opened_at, used) VALUES ($1, $2, 1)
    ON CONFLICT (name) DO UPDATE SET
        used = CASE WHEN kit_quotas.opened_at <= $3 OR kit_quotas.opened_at > $5 THEN 1 ELSE kit_quotas.used + 1 END,
        opened_at = CASE WHEN kit_quotas.opened_at <= $3 OR kit_quotas.opened_at > $5 THEN $2 ELSE kit_quotas.opened_at END
    WHERE kit_quotas.opened_at <= $3 OR kit_quotas.opened_at > $5 OR kit_quotas.used < $4
    RETURNING opened_at, used";

/// Adds requests that were made while the database was away, whether or not they were allowed.
const ADD: &str = "INSERT INTO kit_quotas (name, opened_at, used) VALUES ($1, $2, $4)
    ON CONFLICT (name) DO UPDATE SET
        used = CASE WHEN kit_quotas.opened_at <= $3 OR kit_quotas.opened_at > $5 THEN $4 ELSE kit_quotas.used + $4 END,
        opened_at = CASE WHEN kit_quotas.opened_at <= $3 OR kit_quotas.opened_at > $5 THEN $2 ELSE kit_quotas.opened_at END";

const LOOK: &str = "SELECT opened_at, used FROM kit_quotas WHERE name = $1";

/// Requests in a window of 24 hours that opens with the first of them.
#[derive(Debug)]
pub struct DailyQuota {
    name: &'static str,
    limit: u64,
    store: Option<Store>,
    patience: Duration,
    /// Held by the one that asks the database. A crowd that asked all at once would wait for connections, and take a database
    /// that is only busy for one that is away.
    turn: tokio::sync::Mutex<()>,
    count: Mutex<Count>,
}

/// What is known here of the window.
#[derive(Debug, Default)]
struct Count {
    /// When it opened by our own clock, which nobody sets back.
    opened: Option<Instant>,
    used: u64,
    /// Of those, the requests that the database does not know of.
    unwritten: u64,
    /// How many warnings were given.
    warned: usize,
    rests_until: Option<Instant>,
    /// Whether it was said that the database is away.
    told: bool,
}

/// What [`DailyQuota::take`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// One request taken; so many are used.
    Granted {
        /// Requests of the window, this one included.
        used: u64,
    },
    /// None is left for this long.
    Exhausted(Duration),
}

impl DailyQuota {
    /// An allowance of `limit` requests a day, counted by this process alone. `name` is a label in metrics.
    #[must_use]
    pub fn new(name: &'static str, limit: u64) -> Self {
        let (turn, count) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { name, limit, store: None, patience: PATIENCE, turn, count }
    }

    /// An allowance that all replicas count together, and that a restart does not forget.
    ///
    /// While the database is away each replica counts on from what it knew last, and adds its requests up when the database is
    /// back: together they may then have made more than `limit`, each of them at most what was left.
    #[must_use]
    pub fn stored(store: &Store, name: &'static str, limit: u64) -> Self {
        Self { store: Some(store.clone()), ..Self::new(name, limit) }
    }

    /// The same with another longest wait for the database; without this it is two seconds. A request waits no longer for its count.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Requests a day.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Requests of the window, as far as they are known here.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.count().used
    }

    /// Takes one request of the day's.
    pub async fn take(&self) -> Taken {
        if self.limit == 0 {
            return Taken::Exhausted(DAY);
        }
        let taken = match self.store.as_ref().filter(|_| !self.rests()) {
            Some(store) => self.take_shared(store).await,
            None => self.count().take(self.limit, self.store.is_some()),
        };
        if let Taken::Granted { used } = taken {
            self.warn(used);
        }
        taken
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rests(&self) -> bool {
        self.count().rests_until.is_some_and(|until| Instant::now() < until)
    }

    async fn take_shared(&self, store: &Store) -> Taken {
        let problem = match tokio::time::timeout(self.patience, self.ask_in_turn(store)).await {
            // It was found away while this one waited, which was said then.
            Ok(Ok(None)) => return self.count().take(self.limit, true),
            Ok(Ok(Some(taken))) => {
                if std::mem::take(&mut self.count().told) {
                    tracing::info!(quota = self.name, "requests are counted in the database again");
                }
                return taken;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", self.patience.as_secs()),
        };
        self.away(&problem);
        self.count().take(self.limit, true)
    }

    /// What the database says; nothing where whoever was before found it away.
    async fn ask_in_turn(&self, store: &Store) -> Result<Option<Taken>, sqlx::Error> {
        let _turn = self.turn.lock().await;
        if self.rests() {
            return Ok(None);
        }
        let mut owed = Owed { quota: self, amount: std::mem::take(&mut self.count().unwritten) };
        self.ask(store, &mut owed).await.map(Some)
    }

    fn away(&self, problem: &str) {
        let mut count = self.count();
        count.rests_until = Some(Instant::now() + REST);
        if !std::mem::replace(&mut count.told, true) {
            tracing::warn!(
                quota = self.name,
                problem,
                "requests cannot be counted in the database; this replica counts on alone"
            );
        }
    }

    async fn ask(&self, store: &Store, owed: &mut Owed<'_>) -> Result<Taken, sqlx::Error> {
        let time = now();
        let windowed = |sql, number: u64| {
            let query = sqlx::query(sql).bind(self.name).bind(time).bind(time - DAY_MS);
            query.bind(signed(number)).bind(time + AHEAD_MS)
        };
        if owed.amount > 0 {
            let add = windowed(ADD, owed.amount);
            add.execute(store.write()).await?;
            owed.amount = 0;
        }
        if let Some(row) = windowed(TAKE, self.limit).fetch_optional(store.write()).await? {
            let used = self.count().learn(time - row.try_get::<i64, _>(0)?, row.try_get(1)?);
            return Ok(Taken::Granted { used });
        }
        let row = sqlx::query(LOOK).bind(self.name).fetch_one(store.write()).await?;
        let open_for = time - row.try_get::<i64, _>(0)?;
        self.count().learn(open_for, row.try_get(1)?);
        Ok(Taken::Exhausted(DAY.saturating_sub(elapsed(open_for))))
    }

    fn warn(&self, used: u64) {
        let mut count = self.count();
        let due = |percentage: &u64| used >= (self.limit.saturating_mul(*percentage)).div_ceil(100);
        let warnings = WARNINGS.iter().filter(|percentage| due(percentage)).count();
        if warnings > count.warned {
            let percentage = WARNINGS[warnings - 1];
            tracing::warn!(
                quota = self.name,
                used,
                limit = self.limit,
                percentage,
                "a daily quota is nearly used up"
            );
        }
        count.warned = warnings;
    }
}

/// Requests that are to be written. Dropped before they were, they stay to be written: the wait for the database may be
/// given up at any time. If they had been after all they count twice, which is the harmless side.
struct Owed<'a> {
    quota: &'a DailyQuota,
    amount: u64,
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        self.quota.count().unwritten += self.amount;
    }
}

impl Count {
    /// Takes one here. `is_shared`: the database has to learn of it later.
    fn take(&mut self, limit: u64, is_shared: bool) -> Taken {
        let now = Instant::now();
        let opened = match self.opened {
            Some(opened) if now.duration_since(opened) < DAY => opened,
            _ => {
                (self.used, self.warned) = (0, 0);
                *self.opened.insert(now)
            }
        };
        if self.used >= limit {
            return Taken::Exhausted(DAY.saturating_sub(now.duration_since(opened)));
        }
        self.used += 1;
        self.unwritten += u64::from(is_shared);
        Taken::Granted { used: self.used }
    }

    /// Takes over what the database knows: how long the window is open, in milliseconds, and its requests.
    fn learn(&mut self, open_for: i64, used: i64) -> u64 {
        self.opened = Instant::now().checked_sub(elapsed(open_for));
        self.used = u64::try_from(used).unwrap_or_default();
        self.used
    }
}

/// A clock that is behind that of another replica finds windows that open in a moment.
fn elapsed(milliseconds: i64) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_used_up_day_opens_again_24_hours_after_its_first_request() {
        let quota = DailyQuota::new("products", 2);
        assert_eq!(quota.take().await, Taken::Granted { used: 1 });
        tokio::time::advance(Duration::from_hours(1)).await;
        assert_eq!(quota.take().await, Taken::Granted { used: 2 });
        assert_eq!(quota.take().await, Taken::Exhausted(DAY.checked_sub(Duration::from_hours(1)).unwrap()));
        assert_eq!(quota.used(), 2);
        tokio::time::advance(DAY.checked_sub(Duration::from_hours(1)).unwrap()).await;
        assert_eq!(quota.take().await, Taken::Granted { used: 1 });
    }

    #[tokio::test(start_paused = true)]
    async fn warnings_are_due_once_at_80_and_at_95_percent_of_each_day() {
        let quota = DailyQuota::new("products", 100);
        let mut given = Vec::new();
        for _ in 0..2 {
            for used in 1..=100 {
                let before = quota.count().warned;
                quota.take().await;
                if quota.count().warned > before {
                    given.push(used);
                }
            }
            tokio::time::advance(DAY).await;
        }
        assert_eq!(given, [80, 95, 80, 95]);
    }

    #[tokio::test]
    async fn what_is_to_be_written_stays_so_until_it_is() {
        let store = Store::open(&crate::StoreConfig::memory(), &[]).await.unwrap();
        let quota = DailyQuota::stored(&store, "products", 10);
        assert_eq!(quota.take().await, Taken::Granted { used: 1 });
        store.close().await;
        for used in 2..5 {
            quota.count().rests_until = None;
            assert_eq!(quota.take().await, Taken::Granted { used });
            assert_eq!(quota.count().unwritten, used - 1);
        }
    }

    #[tokio::test]
    async fn an_allowance_of_nothing_allows_nothing() {
        assert_eq!(DailyQuota::new("products", 0).take().await, Taken::Exhausted(DAY));
    }
}
