//! Tokens that were given out, each kept until it expires.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use http::header::HeaderValue;
use tokio::time::Instant;

use super::super::fault::Fault;
use crate::source::ServerKey;

/// Tokens kept for one server; those that were not used for longest give way.
const MAX_KEPT: usize = 4096;
/// After a token could not be had, or was given anew because its server refused the one before, it is asked for no sooner.
const PAUSE: Duration = Duration::from_secs(1);
/// A token is asked for anew when this much of its life is left, or a quarter if that is less.
const AHEAD: Duration = Duration::from_mins(1);

/// A token as it is shown.
#[derive(Debug, Clone)]
pub(super) struct Token {
    value: HeaderValue,
    /// When another is asked for.
    due: Instant,
    /// When it is of no use any more.
    end: Instant,
}

impl Token {
    /// A token that was given now, for `life`.
    pub(super) fn new(value: HeaderValue, life: Duration) -> Self {
        let now = Instant::now();
        Self { value, due: now + life - AHEAD.min(life / 4), end: now + life }
    }
}

/// How a token is asked for.
pub(super) type Asked = BoxFuture<'static, Result<Token, Fault>>;

/// The tokens for one server: the gateway's own under `None`, those of callers under what their own tokens are worth.
#[derive(Debug)]
pub(super) struct Tokens {
    server: Arc<ServerKey>,
    entries: Mutex<HashMap<Option<u128>, Arc<Entry>>>,
}

#[derive(Debug, Default)]
struct Entry {
    state: Mutex<State>,
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    failed: Option<(Instant, Fault)>,
    rejected: Option<Instant>,
    used: Option<Instant>,
}

impl Tokens {
    /// None yet.
    pub(super) fn new(server: &ServerKey) -> Self {
        Self { server: Arc::new(server.clone()), entries: Mutex::default() }
    }

    /// The token `of` somebody. Who comes while it is asked for waits for the same answer; one that will expire soon is
    /// shown on while another is asked for.
    pub(super) async fn get(
        &self,
        of: Option<u128>,
        ask: impl FnOnce() -> Asked + Send + 'static,
    ) -> Result<HeaderValue, Fault> {
        let entry = self.entry(of);
        let asker = (Arc::clone(&self.server), of.is_none());
        let Some(token) = entry.usable() else { return entry.ask(asker, ask).await };
        if token.due <= Instant::now() && entry.lately_failed().is_none() && entry.asking.try_lock().is_ok() {
            tokio::spawn(async move { entry.ask(asker, ask).await });
        }
        Ok(token.value)
    }

    /// Keeps a token that was given to somebody otherwise.
    pub(super) fn put(&self, of: Option<u128>, token: Token) {
        *self.entry(of).state() =
            State { token: Some(token), used: Some(Instant::now()), ..State::default() };
    }

    /// Forgets the token `of` somebody if it is still `value`, which its server refuses. A server that refuses every token
    /// does not make requests of all its calls.
    pub(super) fn reject(&self, of: Option<u128>, value: &HeaderValue) {
        let entry = self.entry(of);
        let mut state = entry.state();
        let lately = state.rejected.is_some_and(|at| at.elapsed() < PAUSE);
        if !lately && state.token.as_ref().is_some_and(|token| token.value == *value) {
            state.token = None;
            state.rejected = Some(Instant::now());
        }
    }

    fn entry(&self, of: Option<u128>) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MAX_KEPT && !entries.contains_key(&of) {
            make_room(&mut entries);
        }
        let entry = Arc::clone(entries.entry(of).or_default());
        entry.state().used = Some(Instant::now());
        entry
    }
}

/// Takes out what has expired, and a sixteenth besides, so that a full map is not searched for every newcomer.
fn make_room(entries: &mut HashMap<Option<u128>, Arc<Entry>>) {
    let mut ages: Vec<(bool, Option<Instant>, Option<u128>)> =
        entries.iter().map(|(of, entry)| (entry.usable().is_some(), entry.state().used, *of)).collect();
    ages.sort_unstable();
    let expired = ages.iter().filter(|(usable, ..)| !usable).count();
    for (_, _, of) in ages.iter().take(expired.max(MAX_KEPT / 16)) {
        entries.remove(of);
    }
}

impl Entry {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self) -> Option<Token> {
        self.state().token.clone().filter(|token| Instant::now() < token.end)
    }

    fn lately_failed(&self) -> Option<Fault> {
        let state = self.state();
        state.failed.as_ref().filter(|(at, _)| at.elapsed() < PAUSE).map(|(_, fault)| fault.clone())
    }

    async fn ask(
        &self,
        (server, is_own): (Arc<ServerKey>, bool),
        ask: impl FnOnce() -> Asked,
    ) -> Result<HeaderValue, Fault> {
        let _one_at_a_time = self.asking.lock().await;
        // Somebody else asked a moment ago.
        if let Some(token) = self.usable().filter(|token| Instant::now() < token.due) {
            return Ok(token.value);
        }
        if let Some(fault) = self.lately_failed() {
            return Err(fault);
        }
        let asked = ask().await;
        let mut state = self.state();
        match asked {
            Ok(token) => {
                state.failed = None;
                Ok(state.token.insert(token).value.clone())
            }
            Err(fault) => {
                // What concerns everybody stands in the log; a caller is told itself.
                if is_own {
                    tracing::warn!(%server, %fault, "a token cannot be had; one that is known serves until it expires");
                } else {
                    tracing::debug!(%server, %fault, "a token of a caller cannot be had");
                }
                state.failed = Some((Instant::now(), fault.clone()));
                Err(fault)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Giver {
        tokens: Tokens,
        asked: Arc<AtomicUsize>,
        life: Duration,
    }

    impl Giver {
        fn new(life: Duration) -> Self {
            Self {
                tokens: Tokens::new(&ServerKey { namespace: "shop".into(), name: "a".into() }),
                asked: Arc::default(),
                life,
            }
        }

        async fn get(&self, of: Option<u128>, works: bool) -> Result<String, Fault> {
            let (asked, life) = (Arc::clone(&self.asked), self.life);
            let ask = move || -> Asked {
                Box::pin(async move {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    let number = asked.fetch_add(1, Ordering::SeqCst) + 1;
                    let value = HeaderValue::try_from(format!("t{number}")).unwrap();
                    if works { Ok(Token::new(value, life)) } else { Err(Fault::Credential("out".into())) }
                })
            };
            self.tokens.get(of, ask).await.map(|value| value.to_str().unwrap().to_owned())
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_come_at_once_ask_once_and_each_caller_has_its_own() {
        let giver = Giver::new(Duration::from_mins(5));
        let same = futures::future::join_all((0..50).map(|_| giver.get(Some(1), true))).await;
        assert!(same.iter().all(|token| token.as_deref().unwrap() == "t1"), "{same:?}");
        assert_eq!(giver.get(Some(2), true).await.unwrap(), "t2");
        assert_eq!(giver.get(None, true).await.unwrap(), "t3");
        assert_eq!(giver.get(Some(1), true).await.unwrap(), "t1");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_shown_on_while_another_is_asked_for_and_not_after_its_end() {
        let giver = Giver::new(Duration::from_secs(100));
        giver.get(None, true).await.unwrap();
        tokio::time::advance(Duration::from_secs(80)).await;
        assert_eq!(giver.get(None, false).await.unwrap(), "t1", "nobody waits");
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!((giver.asked(), giver.get(None, false).await.unwrap().as_str()), (2, "t1"), "an outage");
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(giver.get(None, false).await.is_err(), "it has expired");
        let asked = giver.asked();
        assert!(giver.get(None, true).await.is_err() && giver.asked() == asked, "not asked again at once");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(giver.get(None, true).await.unwrap(), format!("t{}", asked + 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_token_is_replaced_but_not_for_every_call_of_a_server_that_refuses_all() {
        let giver = Giver::new(Duration::from_mins(5));
        let refuse = |text: &str| giver.tokens.reject(None, &HeaderValue::try_from(text).unwrap());
        giver.get(None, true).await.unwrap();
        refuse("other");
        assert_eq!(giver.get(None, true).await.unwrap(), "t1");
        refuse("t1");
        assert_eq!(giver.get(None, true).await.unwrap(), "t2");
        refuse("t2");
        assert_eq!(giver.get(None, true).await.unwrap(), "t2");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_bounded() {
        let giver = Giver::new(Duration::from_mins(5));
        for caller in 0..5000 {
            giver.tokens.entry(Some(caller));
        }
        assert!(giver.tokens.entries.lock().unwrap().len() <= MAX_KEPT);
    }
}
