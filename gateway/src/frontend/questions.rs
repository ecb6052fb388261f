//! Servers' requests that legacy clients were sent and have not answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// Questions that one session may have open: no client takes the room of all others.
const MAX_OF_ONE: usize = 64;

type Key = (u128, u64);

#[derive(Debug, Default)]
struct Open {
    sessions: HashMap<u128, HashMap<u64, oneshot::Sender<String>>>,
    total: usize,
}

impl Open {
    fn remove(&mut self, (session, id): Key) -> Option<oneshot::Sender<String>> {
        let of_session = self.sessions.get_mut(&session)?;
        let question = of_session.remove(&id)?;
        self.total -= 1;
        if of_session.is_empty() {
            self.sessions.remove(&session);
        }
        Some(question)
    }
}

/// The open questions, by client session and the id we gave the request.
#[derive(Debug)]
pub(crate) struct Questions {
    open: Mutex<Open>,
    limit: usize,
}

impl Questions {
    /// Room for `limit` questions over all clients.
    pub(crate) fn new(limit: usize) -> Self {
        Self { open: Mutex::default(), limit }
    }

    /// The client of `session` is being sent a request with this id; `None` when too many are open.
    pub(crate) fn ask(self: &Arc<Self>, session: u128, id: u64) -> Option<Pending> {
        let mut open = self.lock();
        let of_session = open.sessions.get(&session).map_or(0, HashMap::len);
        if open.total >= self.limit || of_session >= MAX_OF_ONE {
            return None;
        }
        let (sender, answer) = oneshot::channel();
        open.sessions.entry(session).or_default().insert(id, sender);
        open.total += 1;
        Some(Pending { questions: Arc::clone(self), key: (session, id), answer })
    }

    /// The client of `session` sent the response `text` to the request with this id. An answer that nobody waits for is passed
    /// over.
    pub(crate) fn answer(&self, session: u128, id: u64, text: &str) {
        let Some(question) = self.lock().remove((session, id)) else { return };
        // Whoever asked may have given up just now.
        question.send(text.to_owned()).ok();
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open question; it is forgotten when this is dropped.
#[derive(Debug)]
pub(crate) struct Pending {
    questions: Arc<Questions>,
    key: Key,
    answer: oneshot::Receiver<String>,
}

impl Pending {
    /// The client's whole response; `None` when there is none until `deadline`.
    pub(crate) async fn answered(&mut self, deadline: Instant) -> Option<String> {
        timeout_at(deadline, &mut self.answer).await.ok()?.ok()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.questions.lock().remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_answer_reaches_the_question_of_its_own_session_only() {
        let questions = Arc::new(Questions::new(2));
        let mut pending = questions.ask(1, 5).unwrap();
        questions.answer(2, 5, "stranger");
        questions.answer(1, 6, "another id");
        questions.answer(1, 5, "mine");
        let deadline = Instant::now() + Duration::from_secs(5);
        assert_eq!(pending.answered(deadline).await.as_deref(), Some("mine"));
    }

    #[tokio::test]
    async fn open_questions_are_bounded_and_forgotten() {
        let questions = Arc::new(Questions::new(1));
        let mut first = questions.ask(1, 1).unwrap();
        assert!(questions.ask(1, 2).is_none());
        assert_eq!(first.answered(Instant::now()).await, None);
        drop(first);
        assert!(questions.ask(1, 2).is_some());
        assert!(questions.lock().sessions.is_empty());
        let questions = Arc::new(Questions::new(1000));
        let of_one: Vec<Pending> = (0..1000).map_while(|id| questions.ask(1, id)).collect();
        assert_eq!(of_one.len(), MAX_OF_ONE);
        assert!(questions.ask(2, 1).is_some());
    }
}
