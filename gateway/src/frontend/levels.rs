//! The log levels that legacy clients set for their sessions.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::client::Level;

/// Sessions whose level is remembered; the oldest gives way, and its servers then send what they like.
const MAX_SESSIONS: usize = 16_384;

/// The level of each session that set one.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    /// Whether any session ever set one: as long as none did, a call takes no lock.
    any: AtomicBool,
    set: Mutex<(HashMap<u128, Level>, VecDeque<u128>)>,
}

impl Levels {
    /// Sets the level of `session`.
    pub(crate) fn set(&self, session: u128, level: Level) {
        let mut set = self.lock();
        let (levels, order) = &mut *set;
        if levels.insert(session, level).is_none() {
            order.push_back(session);
        }
        if order.len() > MAX_SESSIONS
            && let Some(oldest) = order.pop_front()
        {
            levels.remove(&oldest);
        }
        self.any.store(true, Ordering::Release);
    }

    /// The level of `session`.
    pub(crate) fn of(&self, session: u128) -> Option<Level> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.lock().0.get(&session).copied()
    }

    fn lock(&self) -> MutexGuard<'_, (HashMap<u128, Level>, VecDeque<u128>)> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_the_level_it_set_last() {
        let levels = Levels::default();
        assert_eq!(levels.of(1), None);
        levels.set(1, Level::named("debug").unwrap());
        levels.set(1, Level::named("error").unwrap());
        assert_eq!(levels.of(1), Level::named("error"));
        assert_eq!(levels.of(2), None);
    }
}
