//! What the stand-in has granted: access tokens, refresh tokens and codes, each bounded in number.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Tokens and codes kept at once, of each kind; the one that ends first goes first.
const MAX: usize = 1_000;
/// Life of a code.
pub(crate) const CODE_LIFE: Duration = Duration::from_mins(10);

/// What a token allows, and in whose name; without a customer it is an application's.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) scopes: Vec<String>,
    pub(crate) customer: Option<String>,
}

/// What a code was given for.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) grant: Grant,
    pub(crate) redirect_uri: String,
    /// Base64url of the SHA-256 of the verifier (RFC 7636, 4.2).
    pub(crate) challenge: Option<String>,
}

struct Held<V> {
    value: V,
    expires: Instant,
}

struct Table<V>(Mutex<HashMap<String, Held<V>>>);

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<V: Clone> Table<V> {
    fn put(&self, kind: &str, value: V, life: Duration) -> String {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MAX {
            remove_first(&mut held, |entry| entry.expires);
        }
        let id = format!("standin-{kind}{:032x}", rand::random::<u128>());
        held.insert(id.clone(), Held { value, expires: Instant::now() + life });
        id
    }

    fn get(&self, id: &str) -> Option<V> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(id).filter(|entry| entry.expires > Instant::now()).map(|entry| entry.value.clone())
    }

    /// Once and never again.
    fn take(&self, id: &str) -> Option<V> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id)?;
        (taken.expires > Instant::now()).then_some(taken.value)
    }

    /// Forgets what `matches`; how many there were.
    fn forget(&self, matches: impl Fn(&V) -> bool) -> usize {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = held.len();
        held.retain(|_, entry| !matches(&entry.value));
        before - held.len()
    }
}

fn remove_first<K: Clone + Eq + Hash, V>(map: &mut HashMap<K, V>, order: impl Fn(&V) -> Instant) {
    let first = map.iter().min_by_key(|(_, value)| order(value)).map(|(key, _)| key.clone());
    if let Some(first) = first {
        map.remove(&first);
    }
}

#[derive(Default)]
pub(crate) struct Tokens {
    access: Table<Grant>,
    refresh: Table<Grant>,
    codes: Table<Code>,
}

impl Tokens {
    pub(crate) fn access(&self, grant: Grant, life: Duration) -> String {
        self.access.put("", grant, life)
    }

    pub(crate) fn refresh(&self, grant: Grant, life: Duration) -> String {
        self.refresh.put("refresh-", grant, life)
    }

    pub(crate) fn code(&self, code: Code) -> String {
        self.codes.put("code-", code, CODE_LIFE)
    }

    pub(crate) fn find(&self, access: &str) -> Option<Grant> {
        self.access.get(access)
    }

    /// A refresh token works once.
    pub(crate) fn take_refresh(&self, refresh: &str) -> Option<Grant> {
        self.refresh.take(refresh)
    }

    /// A code works once, whether or not what comes with it is right.
    pub(crate) fn take_code(&self, code: &str) -> Option<Code> {
        self.codes.take(code)
    }

    /// Ends the access tokens of a customer, or all; how many there were.
    pub(crate) fn expire(&self, customer: Option<&str>) -> usize {
        self.access.forget(|grant| is_of(grant, customer))
    }

    /// Ends the refresh tokens of a customer, or all; how many there were.
    pub(crate) fn forget_refresh(&self, customer: Option<&str>) -> usize {
        self.refresh.forget(|grant| is_of(grant, customer))
    }
}

fn is_of(grant: &Grant, customer: Option<&str>) -> bool {
    customer.is_none() || grant.customer.as_deref() == customer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(customer: &str) -> Grant {
        Grant { scopes: Vec::new(), customer: Some(customer.to_owned()) }
    }

    #[test]
    fn the_oldest_token_makes_room_for_the_newest() {
        let tokens = Tokens::default();
        let first = tokens.access(grant("ada"), Duration::from_mins(1));
        for _ in 0..MAX {
            tokens.access(grant("ada"), Duration::from_mins(2));
        }
        assert!(tokens.find(&first).is_none());
        assert_eq!(tokens.expire(Some("ada")), MAX);
    }

    #[test]
    fn a_refresh_token_works_once() {
        let tokens = Tokens::default();
        let token = tokens.refresh(grant("ada"), Duration::from_mins(1));
        assert!(tokens.take_refresh(&token).is_some());
        assert!(tokens.take_refresh(&token).is_none());
    }
}
