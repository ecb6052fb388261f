//! What is kept under a key: the value, when it was made, and how long it serves.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::Keep;
use crate::store::now;

/// The form in which it is written.
const FORM: u8 = 1;
/// The form, and three numbers of eight bytes.
const HEAD: usize = 1 + 3 * 8;

/// A value with its times, which are of the clock on the wall since replicas share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Milliseconds since 1970.
    pub(super) made: i64,
    pub(super) keep: Keep,
    pub(super) value: Bytes,
}

impl Entry {
    pub(super) fn new(value: &Bytes, keep: Keep) -> Self {
        // A copy: the value may be a small part of a large answer, which it would hold in memory.
        Self { made: now(), keep, value: Bytes::copy_from_slice(value) }
    }

    /// A clock that was set back makes nothing younger than new.
    pub(super) fn age(&self) -> Duration {
        Duration::from_millis(u64::try_from(now().saturating_sub(self.made)).unwrap_or_default())
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.age() < self.keep.fresh
    }

    pub(super) fn is_over(&self) -> bool {
        self.age() >= self.keep.whole()
    }

    pub(super) fn write(&self) -> Bytes {
        let mut written = BytesMut::with_capacity(HEAD + self.value.len());
        written.put_u8(FORM);
        written.put_i64(self.made);
        written.put_u64(milliseconds(self.keep.fresh));
        written.put_u64(milliseconds(self.keep.stale));
        written.put_slice(&self.value);
        written.freeze()
    }

    /// `None` for what something else has written.
    pub(super) fn read(written: &Bytes) -> Option<Self> {
        let number = |at: usize| written.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
        if written.first() != Some(&FORM) {
            return None;
        }
        let (made, fresh, stale) = (number(1)?, number(9)?, number(17)?);
        let keep = Keep { fresh: Duration::from_millis(fresh), stale: Duration::from_millis(stale) };
        Some(Self { made: made.cast_signed(), keep, value: written.slice(HEAD..) })
    }
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_entry_is_read_as_it_was_written(made: i64, fresh: u64, stale: u64, value: Vec<u8>) {
            let keep = Keep { fresh: Duration::from_millis(fresh), stale: Duration::from_millis(stale) };
            let entry = Entry { made, keep, value: value.into() };
            prop_assert_eq!(Entry::read(&entry.write()), Some(entry));
        }

        #[test]
        fn what_somebody_else_wrote_breaks_nothing(bytes: Vec<u8>) {
            let read = Entry::read(&bytes.clone().into());
            prop_assert!(read.is_none() || bytes[0] == FORM && bytes.len() >= HEAD);
        }
    }
}
