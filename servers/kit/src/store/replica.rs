//! A database that serves reads beside the one that is written to, as long as it answers.

use std::{
    sync::{
        Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::AnyPool;

use super::{Error, Inner, config::shown, open};
use crate::Secret;

/// Time between two looks at whether it answers, and the longest time for the answer.
const LOOK: Duration = Duration::from_secs(1);

/// A replica, and whether it answered when last asked.
pub(super) struct Replica {
    pool: AnyPool,
    place: String,
    answers: AtomicBool,
}

impl Replica {
    pub(super) fn new(url: &Secret, connections: u32) -> Result<Self, Error> {
        // Said to answer until it was asked, so that what is wrong with it is said.
        Ok(Self { pool: open::replica(url, connections)?, place: shown(url), answers: AtomicBool::new(true) })
    }

    pub(super) fn pool(&self) -> &AnyPool {
        &self.pool
    }

    pub(super) fn answers(&self) -> bool {
        self.answers.load(Ordering::Relaxed)
    }

    /// Leaves its reads to the writer, and says so once.
    pub(super) fn is_away(&self, problem: &str) {
        if self.answers.swap(false, Ordering::Relaxed) {
            tracing::warn!(replica = %self.place, problem, "the replica for reads does not answer; reads go to the writer");
        }
    }

    /// Asks it once.
    pub(super) async fn look(&self) {
        match tokio::time::timeout(LOOK, sqlx::query("SELECT 1").fetch_one(&self.pool)).await {
            Ok(Ok(_)) => {
                if !self.answers.swap(true, Ordering::Relaxed) {
                    tracing::info!(replica = %self.place, "the replica for reads answers again");
                }
            }
            Ok(Err(error)) => self.is_away(&super::error::told(&error)),
            Err(_) => self.is_away("no answer within a second"),
        }
    }
}

/// Asks the replica of a store again and again, as long as somebody has the store.
pub(super) async fn watch(store: Weak<Inner>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(store) = store.upgrade() else { return };
        if let Some(replica) = &store.replica {
            replica.look().await;
        }
    }
}
