//! Session ids of legacy clients. All a session is stands sealed inside its id, so any replica with the key serves it and
//! none needs to remember it.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::client::Capabilities;
use crate::version::LEGACY;

/// Binds a sealed text to its use, so that no other sealed text of ours passes for a session.
const PURPOSE: &[u8] = b"portico legacy session v3";
const NONCE: usize = 24;
const PLAIN: usize = 16 + 8 + 1 + 2;
/// Bytes of a session id; longer ones are not looked at.
const MAX_ID: usize = 128;
/// Ended sessions remembered by this replica until their ids expire.
const MAX_ENDED: usize = 16_384;

/// A legacy client's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    /// Random, never 0.
    pub(crate) id: u128,
    /// The revision agreed on.
    pub(crate) version: &'static str,
    /// What servers may ask the client.
    pub(crate) capabilities: Capabilities,
}

/// Seals and opens session ids.
pub(crate) struct Keyring {
    keys: Vec<XChaCha20Poly1305>,
    lifetime: Duration,
}

impl fmt::Debug for Keyring {
    /// Leaves out the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl Keyring {
    /// Seals with the first key and opens with all; without any, makes a random one.
    pub(crate) fn new(keys: &[[u8; 32]], lifetime: Duration) -> Self {
        let random = [rand::random::<[u8; 32]>()];
        let keys = if keys.is_empty() { &random } else { keys };
        Self { keys: keys.iter().map(|key| XChaCha20Poly1305::new(key.into())).collect(), lifetime }
    }

    /// A new session in revision `version` of a client with these capabilities, and its id, which is good for `principal`
    /// alone.
    pub(crate) fn open_session(
        &self,
        version: &'static str,
        capabilities: Capabilities,
        principal: u128,
    ) -> Option<(Session, String)> {
        let session = Session { id: rand::random::<u128>() | 1, version, capabilities };
        self.seal(session, now(), principal).map(|id| (session, id))
    }

    fn seal(&self, session: Session, created: u64, principal: u128) -> Option<String> {
        let mut plain = Vec::with_capacity(PLAIN);
        plain.extend_from_slice(&session.id.to_be_bytes());
        plain.extend_from_slice(&created.to_be_bytes());
        plain.push(u8::try_from(LEGACY.iter().position(|version| *version == session.version)?).ok()?);
        plain.extend_from_slice(&session.capabilities.bits().to_be_bytes());
        self.seal_for(&purpose(principal), &plain)
    }

    /// `plain` sealed for `purpose`, as text.
    pub(crate) fn seal_for(&self, purpose: &[u8], plain: &[u8]) -> Option<String> {
        let nonce: [u8; NONCE] = rand::random();
        let payload = Payload { msg: plain, aad: purpose };
        let sealed = self.keys.first()?.encrypt(XNonce::from_slice(&nonce), payload).ok()?;
        Some(URL_SAFE_NO_PAD.encode([&nonce, sealed.as_slice()].concat()))
    }

    /// What was sealed for `purpose` as `text`, of at most `limit` bytes, with one of the keys.
    pub(crate) fn open_for(&self, purpose: &[u8], text: &str, limit: usize) -> Option<Vec<u8>> {
        if text.len() > limit {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE)?;
        let open = |key: &XChaCha20Poly1305| {
            key.decrypt(XNonce::from_slice(nonce), Payload { msg: sealed, aad: purpose }).ok()
        };
        self.keys.iter().find_map(open)
    }

    /// The session of `principal` with the id `text`, unless it is not ours, somebody else's, or too old.
    pub(crate) fn read(&self, text: &str, principal: u128) -> Option<Session> {
        self.read_at(text, now(), principal)
    }

    fn read_at(&self, text: &str, now: u64, principal: u128) -> Option<Session> {
        let plain = self.open_for(&purpose(principal), text, MAX_ID)?;
        let (id, rest) = plain.split_first_chunk::<16>()?;
        let (created, rest) = rest.split_first_chunk::<8>()?;
        let (version, capabilities) =
            (*rest.first()?, Capabilities::of_bits(u16::from_be_bytes([*rest.get(1)?, *rest.get(2)?])));
        let version = LEGACY.get(usize::from(version)).copied()?;
        let age = now.saturating_sub(u64::from_be_bytes(*created));
        let id = u128::from_be_bytes(*id);
        (age <= self.lifetime.as_secs()).then_some(Session { id, version, capabilities })
    }
}

fn purpose(principal: u128) -> Vec<u8> {
    [PURPOSE, &principal.to_be_bytes()].concat()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Sessions that their clients ended. Another replica does not know of the end; there the id is good until it expires, which
/// harms nobody: whoever holds it is the client itself.
#[derive(Debug, Default)]
pub(crate) struct Ended(Mutex<(HashSet<u128>, VecDeque<u128>)>);

impl Ended {
    /// Remembers the end of `session`.
    pub(crate) fn add(&self, session: u128) {
        let mut ended = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, order) = &mut *ended;
        if known.insert(session) {
            order.push_back(session);
        }
        if order.len() > MAX_ENDED
            && let Some(oldest) = order.pop_front()
        {
            known.remove(&oldest);
        }
    }

    /// Whether `session` ended.
    pub(crate) fn has(&self, session: u128) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.contains(&session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    #[test]
    fn a_session_is_read_from_its_id_by_every_replica_with_the_key() {
        let (session, id) =
            Keyring::new(&[[1; 32]], DAY).open_session("2025-06-18", Capabilities::ALL, 7).unwrap();
        let other = Keyring::new(&[[2; 32], [1; 32]], DAY);
        assert_eq!(other.read(&id, 7), Some(session));
        assert_eq!(other.read(&id, 8), None, "somebody else's");
        assert_eq!(session.version, "2025-06-18");
        assert_eq!(Keyring::new(&[[2; 32]], DAY).read(&id, 7), None);
        assert_eq!(Keyring::new(&[], DAY).read(&id, 7), None);
    }

    #[test]
    fn an_id_that_was_changed_anywhere_is_refused() {
        let keys = Keyring::new(&[], DAY);
        let (_, id) = keys.open_session(LEGACY[0], Capabilities::default(), 0).unwrap();
        for index in 0..id.len() {
            let mut changed = id.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(keys.read(std::str::from_utf8(&changed).unwrap(), 0), None, "byte {index}");
        }
        for bad in ["", "A", "é", &"A".repeat(500)] {
            assert_eq!(keys.read(bad, 0), None);
        }
    }

    #[test]
    fn an_id_is_refused_when_its_time_is_over() {
        let keys = Keyring::new(&[], DAY);
        let session = Session { id: 1, version: LEGACY[0], capabilities: Capabilities::default() };
        let id = keys.seal(session, 1_000, 0).unwrap();
        assert_eq!(keys.read_at(&id, 1_000 + 86_400, 0), Some(session));
        assert_eq!(keys.read_at(&id, 1_001 + 86_400, 0), None);
    }

    #[test]
    fn the_memory_of_ended_sessions_is_bounded() {
        let ended = Ended::default();
        (0..=MAX_ENDED as u128).for_each(|id| ended.add(id));
        assert!(!ended.has(0) && ended.has(1) && ended.has(MAX_ENDED as u128));
    }
}
