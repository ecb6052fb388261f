//! What was removed of late. A value that was asked for before a removal and arrives after it must not be kept.

use std::collections::VecDeque;

/// Most removals that are remembered one by one.
const MOST: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Removed {
    key: String,
    is_prefix: bool,
    at: i64,
}

impl Removed {
    fn covers(&self, key: &str) -> bool {
        if self.is_prefix { key.starts_with(&self.key) } else { key == self.key }
    }
}

/// The last removals, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Removals {
    last: i64,
    recent: VecDeque<Removed>,
}

impl Removals {
    /// The number of the last one.
    pub(super) fn number(&self) -> i64 {
        self.last
    }

    pub(super) fn add(&mut self, key: &str, is_prefix: bool) {
        self.last += 1;
        self.recent.push_back(Removed { key: key.to_owned(), is_prefix, at: self.last });
        if self.recent.len() > MOST {
            self.recent.pop_front();
        }
    }

    /// Whether `key` may have been removed after removal `number`. Where too many were to be remembered: yes.
    pub(super) fn since(&self, number: i64, key: &str) -> bool {
        let forgotten = self.recent.front().is_some_and(|oldest| oldest.at > number + 1);
        forgotten || self.recent.iter().any(|removed| removed.at > number && removed.covers(key))
    }
}

/// Removals that a store did not take, by the time at which they were wanted.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    all_before: i64,
    removals: Vec<Removed>,
}

impl Unsettled {
    pub(super) fn is_empty(&self) -> bool {
        self.removals.is_empty()
    }

    pub(super) fn add(&mut self, key: &str, is_prefix: bool, at: i64) {
        self.settled(key, is_prefix);
        if self.removals.len() < MOST {
            self.removals.push(Removed { key: key.to_owned(), is_prefix, at });
        } else {
            // Whatever it was, what is older than now counts no more.
            self.all_before = at;
            self.removals.clear();
        }
    }

    pub(super) fn settled(&mut self, key: &str, is_prefix: bool) {
        self.removals.retain(|removed| (removed.key.as_str(), removed.is_prefix) != (key, is_prefix));
    }

    pub(super) fn list(&self) -> Vec<(String, bool)> {
        self.removals.iter().map(|removed| (removed.key.clone(), removed.is_prefix)).collect()
    }

    /// Whether what was made at `made` under `key` should be gone.
    pub(super) fn covers(&self, key: &str, made: i64) -> bool {
        made <= self.all_before
            || self.removals.iter().any(|removed| made <= removed.at && removed.covers(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removal_counts_for_its_keys_and_for_what_began_before_it() {
        let mut removals = Removals::default();
        let before = removals.number();
        removals.add("users/ada/", true);
        assert!(removals.since(before, "users/ada/lists"));
        assert!(!removals.since(before, "users/bob/lists"));
        assert!(!removals.since(removals.number(), "users/ada/lists"));
        removals.add("users/bob", false);
        assert!(removals.since(before, "users/bob"));
        assert!(!removals.since(before, "users/bob/lists"));
    }

    #[test]
    fn what_began_before_more_removals_than_are_remembered_counts_as_removed() {
        let mut removals = Removals::default();
        for _ in 0..MOST {
            removals.add("a", false);
        }
        assert!(!removals.since(0, "b"), "all are remembered");
        removals.add("a", false);
        assert!(removals.since(0, "b"));
        assert!(!removals.since(1, "b"));
    }

    #[test]
    fn removals_that_were_not_taken_hide_what_is_older_within_bounds() {
        let mut unsettled = Unsettled::default();
        unsettled.add("users/ada/", true, 100);
        assert!(unsettled.covers("users/ada/lists", 100));
        assert!(!unsettled.covers("users/ada/lists", 101), "made after it");
        assert!(!unsettled.covers("users/bob/lists", 50));
        for number in 0..2 * MOST {
            unsettled.add(&number.to_string(), false, 200);
        }
        assert!(unsettled.removals.len() <= MOST);
        assert!(unsettled.covers("users/ada/lists", 100) && unsettled.covers("0", 200));
    }
}
