//! What a server knows of the things it depends on, such as whether its upstream takes the credentials. `GET /checks`
//! shows it, so that whoever watches over the server need hold no credentials to find out.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

/// Longest message, in characters.
const LONGEST: usize = 300;

/// How a check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Failing,
    Unknown,
}

#[derive(Debug, Clone, Serialize)]
struct Entry {
    name: &'static str,
    state: State,
    reason: &'static str,
    message: String,
    since: Timestamp,
}

/// The checks of one server. None of them holds a secret.
#[derive(Debug, Default)]
pub struct Checks(Mutex<Vec<Entry>>);

/// One check, to be told how it stands.
#[derive(Debug, Clone)]
pub struct Check {
    all: Arc<Checks>,
    name: &'static str,
}

#[derive(Serialize)]
struct Listed<'a> {
    checks: &'a [Entry],
}

impl Checks {
    /// Adds a check of which nothing is known yet.
    pub fn add(self: &Arc<Self>, name: &'static str) -> Check {
        let check = Check { all: Arc::clone(self), name };
        check.set(State::Unknown, "Unchecked", "nothing is known yet");
        check
    }

    /// All of them, in the order they were added, as a JSON object with the one field `checks`.
    #[must_use]
    pub fn render(&self) -> String {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_string(&Listed { checks: &entries }).unwrap_or_default()
    }
}

impl Check {
    /// It is as it should be.
    pub fn ok(&self, reason: &'static str, message: &str) {
        self.set(State::Ok, reason, message);
    }

    /// It is not as it should be. The message goes to whoever may read the server's health: no secret belongs in it.
    pub fn failing(&self, reason: &'static str, message: &str) {
        self.set(State::Failing, reason, message);
    }

    /// The time stays while state and reason do.
    fn set(&self, state: State, reason: &'static str, message: &str) {
        let message = message.chars().take(LONGEST).collect();
        let mut entries = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Entry { name: self.name, state, reason, message, since: Timestamp::now() };
        match entries.iter_mut().find(|entry| entry.name == self.name) {
            Some(entry) => {
                if (entry.state, entry.reason) == (state, reason) {
                    next.since = entry.since;
                }
                *entry = next;
            }
            None => entries.push(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn listed(checks: &Checks) -> Value {
        serde_json::from_str(&checks.render()).unwrap()
    }

    #[test]
    fn a_check_is_unknown_until_told_and_keeps_its_time_while_it_stays() {
        let checks = Arc::new(Checks::default());
        let check = checks.add("credentials");
        assert_eq!(listed(&checks)["checks"][0]["state"], "unknown");
        check.failing("Refused", "wrong");
        let first = listed(&checks)["checks"][0].clone();
        check.failing("Refused", "still wrong");
        let second = listed(&checks)["checks"][0].clone();
        assert_eq!((&second["message"], &second["since"]), (&json!("still wrong"), &first["since"]));
        check.ok("Accepted", "fine");
        let third = listed(&checks);
        assert_eq!(
            (&third["checks"][0]["state"], third["checks"].as_array().unwrap().len()),
            (&json!("ok"), 1)
        );
    }

    #[test]
    fn a_message_is_cut() {
        let checks = Arc::new(Checks::default());
        checks.add("credentials").failing("Refused", &"ü".repeat(1_000));
        assert_eq!(listed(&checks)["checks"][0]["message"].as_str().unwrap().chars().count(), LONGEST);
    }
}
