//! The largest value of the time just past.

use std::collections::VecDeque;
use std::time::Duration;

/// Values that come within the time divided by this are kept as one: the larger, and for as long as the newest.
const GRAINS: u32 = 64;

/// The largest value of the time just past. It keeps a value only while no later one is as large, and so falls from
/// the front to the back; at most [`GRAINS`] values and two.
#[derive(Debug, Clone)]
pub struct Peak<T> {
    kept: VecDeque<Kept<T>>,
}

#[derive(Debug, Clone, Copy)]
struct Kept<T> {
    value: T,
    since: Duration,
    until: Duration,
}

impl<T> Default for Peak<T> {
    fn default() -> Self {
        Self { kept: VecDeque::new() }
    }
}

impl<T: Ord + Copy> Peak<T> {
    /// Adds the value of the time `now`, and forgets what is `time` old.
    pub fn note(&mut self, value: T, now: Duration, time: Duration) {
        while self.kept.back().is_some_and(|last| last.value <= value) {
            self.kept.pop_back();
        }
        match self.kept.back_mut() {
            Some(last) if now.saturating_sub(last.since) <= time / GRAINS => last.until = now,
            _ => self.kept.push_back(Kept { value, since: now, until: now }),
        }
        while self.kept.front().is_some_and(|oldest| now.saturating_sub(oldest.until) >= time) {
            self.kept.pop_front();
        }
    }

    /// The largest value, where there is one.
    pub fn largest(&self) -> Option<T> {
        self.kept.front().map(|kept| kept.value)
    }

    /// Bytes on the heap.
    pub fn heap(&self) -> usize {
        self.kept.capacity() * size_of::<Kept<T>>()
    }
}
