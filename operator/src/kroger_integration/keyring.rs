//! The keys that seal sessions: the one thing that the operator makes by chance. Pure, but for [`fresh`].
//!
//! A server seals with the newest key that is usable and opens with all of them, and seals again in time what an older one has sealed.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use rand::{TryRngCore as _, rngs::OsRng};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{error::Error, reference::hex};

/// Bytes of a key.
pub const SIZE: usize = 32;
/// Seconds before a new key seals anything. A mounted Secret changes within about a minute, so every pod can open what
/// the first one seals.
pub const DELAY: i64 = 600;
/// Seconds that a server must have served with the next key before an old one goes: twice the time after which it seals again with the
/// newest key whatever older ones have sealed.
pub const RESEALED: i64 = 12 * 3_600;
const DAY: i64 = 86_400;

/// Bytes for a new key.
pub type Fresh = [u8; SIZE];

/// Bytes for a new key, from the system's source of randomness.
///
/// # Errors
/// When the system gives none.
pub fn fresh() -> Result<Fresh, Error> {
    let mut bytes = [0; SIZE];
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| Error::Fatal(format!("no random bytes: {error}")))?;
    Ok(bytes)
}

/// The keys, oldest first.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Keyring {
    /// At least one.
    pub keys: Vec<Key>,
}

/// One key.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// Its name, which tells nothing of the key.
    pub id: String,
    /// Base64 of its bytes.
    key: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it begins to seal.
    pub usable_from: Timestamp,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}, usable from {}", self.id, self.created, self.usable_from)
    }
}

impl Key {
    fn new(bytes: &Fresh, created: Timestamp, usable_from: Timestamp) -> Self {
        Self { id: hex(&Sha256::digest(bytes)[..8]), key: STANDARD.encode(bytes), created, usable_from }
    }

    fn is_whole(&self) -> bool {
        STANDARD.decode(&self.key).is_ok_and(|bytes| bytes.len() == SIZE) && !self.id.is_empty()
    }
}

/// What a spec and its annotations ask of the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish<'a> {
    /// The value that asks for a new key.
    pub asked: Option<&'a str>,
    /// The value that was answered last.
    pub answered: Option<&'a str>,
    /// Days after which a new key is made.
    pub every_days: Option<i32>,
    /// Days that a key is kept after another has taken its place.
    pub retain_days: i32,
    /// Since when the server has been serving; `None` where no pod of it does.
    pub serving_since: Option<Timestamp>,
}

impl Keyring {
    /// A keyring whose one key is usable at once.
    #[must_use]
    pub fn first(now: Timestamp, bytes: &Fresh) -> Self {
        let now = whole(now.as_second());
        Self { keys: vec![Key::new(bytes, now, now)] }
    }

    /// Reads what [`Keyring::write`] has written.
    ///
    /// # Errors
    /// Says what is wrong, without a byte of the content.
    pub fn read(content: &[u8]) -> Result<Self, &'static str> {
        let keyring: Self = serde_json::from_slice(content).map_err(|_| "is not a keyring in JSON")?;
        let mut ids: Vec<&str> = keyring.keys.iter().map(|key| key.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        match keyring.keys.as_slice() {
            [] => Err("has no key"),
            keys if !keys.iter().all(Key::is_whole) => Err("has a key that is not 32 bytes in base64"),
            keys if ids.len() < keys.len() => Err("has two keys of one id"),
            _ => Ok(keyring),
        }
    }

    /// The keyring as servers read it.
    #[must_use]
    pub fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The key that seals: the newest that is usable, or the oldest where none is yet.
    #[must_use]
    pub fn current(&self, now: Timestamp) -> Option<&Key> {
        self.keys.iter().rev().find(|key| key.usable_from <= now).or(self.keys.first())
    }
}

/// The keyring with a new key, where `wish` asks for one that has not been made, and without those whose time is over; `None` where
/// it stays as it is.
///
/// A key is dropped when the one after it has been sealing for `retain_days`, and the server had the time to seal with that one what it keeps.
#[must_use]
pub fn next(keyring: &Keyring, now: Timestamp, wish: &Wish<'_>, bytes: &Fresh) -> Option<Keyring> {
    let rotates = is_asked(wish) || until_due(keyring, now, wish) == Some(0);
    let seconds = now.as_second();
    let mut keys: Vec<Key> = kept(&keyring.keys, seconds, wish).cloned().collect();
    let drops = keys.len() < keyring.keys.len();
    if rotates {
        keys.push(Key::new(bytes, whole(seconds), whole(seconds.saturating_add(DELAY))));
    }
    (rotates || drops).then_some(Keyring { keys })
}

fn is_asked(wish: &Wish<'_>) -> bool {
    wish.asked.is_some() && wish.asked != wish.answered
}

/// The newest key is always among them. A clock that was set back keeps more, never less.
fn kept<'a>(keys: &'a [Key], now: i64, wish: &Wish<'_>) -> impl Iterator<Item = &'a Key> {
    let ends: Vec<Option<i64>> = ends(keys, wish).collect();
    keys.iter().zip(ends).filter(move |(_, end)| end.is_none_or(|end| now < end)).map(|(key, _)| key)
}

/// When each key goes, in seconds; `None` for the newest, and for all while no server could seal again what they have sealed.
fn ends<'a>(keys: &'a [Key], wish: &Wish<'_>) -> impl Iterator<Item = Option<i64>> + 'a {
    let (retained, serving) = (i64::from(wish.retain_days) * DAY, wish.serving_since);
    keys.iter().enumerate().map(move |(i, key)| {
        let successor = keys.get(i + 1)?.usable_from.as_second();
        let resealed = serving?.as_second().max(successor).saturating_add(RESEALED);
        Some(successor.max(key.created.as_second()).saturating_add(retained).max(resealed))
    })
}

/// Seconds until the schedule asks for a new key; `None` without a schedule.
fn until_due(keyring: &Keyring, now: Timestamp, wish: &Wish<'_>) -> Option<i64> {
    let (newest, days) = (keyring.keys.last()?, wish.every_days?);
    let due = newest.created.as_second().saturating_add(i64::from(days) * DAY);
    Some(due.saturating_sub(now.as_second()).max(0))
}

/// Seconds until something changes by itself: a key is due, one becomes usable, or one goes.
#[must_use]
pub fn until_next(keyring: &Keyring, now: Timestamp, wish: &Wish<'_>) -> Option<u64> {
    let usable = keyring.keys.iter().map(|key| key.usable_from.as_second());
    let changes = usable.chain(ends(&keyring.keys, wish).flatten());
    let waits = changes.map(|change| change.saturating_sub(now.as_second()));
    let all = waits.filter(|wait| *wait > 0).chain(until_due(keyring, now, wish));
    all.min().and_then(|seconds| u64::try_from(seconds).ok())
}

/// Whole seconds: nobody needs more, and a person can read them.
fn whole(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}
