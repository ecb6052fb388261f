//! What there is to say of a workload.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::scale::Scale;
use crate::plan::Id;

/// State of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It does not run here.
    Skipped,
    /// It is started, or the gateway connects to it.
    Starting,
    /// It serves; of a server the gateway knows the tools.
    Ready,
    /// Nobody uses it, so that it has no process; a call starts one.
    Idle,
    /// It does not serve, and is tried again.
    Failed,
}

impl State {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Idle => "idle",
            Self::Failed => "failed",
        }
    }
}

/// What there is to say of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its state.
    pub state: State,
    /// Number of tools in its last known list; a server's alone.
    pub tools: Option<usize>,
    /// Why it is in this state.
    pub reason: Option<String>,
    /// Number of its process, while it serves; of several, the first one's.
    pub pid: Option<i32>,
    /// How many processes it has, where that is not always one.
    pub scale: Option<Scale>,
}

impl Row {
    /// A workload of which nothing else is known.
    pub const fn new(state: State, reason: Option<String>) -> Self {
        Self { state, tools: None, reason, pid: None, scale: None }
    }
}

/// All workloads.
pub type Rows = BTreeMap<Id, Row>;

/// The workloads that are new, differ, or are gone (`None`).
pub fn changes<'a>(before: &'a Rows, now: &'a Rows) -> Vec<(&'a Id, Option<&'a Row>)> {
    let ids: BTreeSet<&Id> = before.keys().chain(now.keys()).collect();
    let told = |row: &Row| {
        let scale = row.scale.as_ref().map(|scale| (scale.desired, scale.reason.clone()));
        (row.state, row.tools, row.reason.clone(), scale)
    };
    ids.into_iter()
        .filter(|id| before.get(id).map(told) != now.get(id).map(told))
        .map(|id| (id, now.get(id)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Key;

    #[test]
    fn only_what_differs_is_a_change() {
        let row = |state| Row::new(state, None);
        let key = |name: &str| Id::Server(Key { namespace: "default".into(), name: name.into() });
        let before = Rows::from([(key("a"), row(State::Ready)), (key("b"), row(State::Ready))]);
        let now = Rows::from([
            (key("a"), Row { pid: Some(1), ..row(State::Ready) }),
            (key("c"), row(State::Failed)),
        ]);
        let found = changes(&before, &now);
        assert_eq!(found, [(&key("b"), None), (&key("c"), Some(&row(State::Failed)))]);
        assert!(changes(&now, &now).is_empty());
    }
}
