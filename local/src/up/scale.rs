//! How many processes a server has, and why. Pure.

use std::time::{Duration, Instant};

use jiff::{Timestamp, Zoned, tz::TimeZone};
use portico_gateway::scaling::{Activity, Reason, Record, ScalingReport};

use super::replicas::{Asked, Wanted};

/// The gateway tells its reason right after the change; a line about it waits no longer than this.
const EXPLAINED_WITHIN: Duration = Duration::from_secs(1);
/// A server at zero whose tools are not known is not started again before so much time has passed.
const LEARN_AFTER: Duration = Duration::from_secs(5);
/// Times that the gateway tells are whole seconds, and those it acts by are not.
const MARGIN: Duration = Duration::from_secs(2);

/// How many processes a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Processes that serve.
    pub serving: u32,
    /// Processes that there should be.
    pub desired: u32,
    /// Why the gateway wants so many, such as `LoadRose`.
    pub reason: Option<String>,
    /// Whether the reason is on its way.
    pub is_unexplained: bool,
}

impl Scale {
    /// With so many processes that serve of those that there should be, and what the gateway says.
    pub fn of((serving, wanted): (usize, &Wanted), scaling: Option<&ScalingReport>, now: Instant) -> Self {
        let asked = wanted.change.filter(|asked| asked.change.to == wanted.desired());
        let reason = asked.and_then(|asked| reason(&asked, scaling));
        let is_fresh = |asked: &Asked| now.saturating_duration_since(asked.since) < EXPLAINED_WITHIN;
        Self {
            serving: u32::try_from(serving).unwrap_or(u32::MAX),
            desired: wanted.desired(),
            is_unexplained: reason.is_none() && asked.as_ref().is_some_and(is_fresh),
            reason,
        }
    }
}

/// Whoever finds a call waiting for a server at zero starts it, and records nothing.
fn reason(asked: &Asked, scaling: Option<&ScalingReport>) -> Option<String> {
    let asked_at = asked.at.as_second();
    let is_of_it = |record: &&Record| {
        (record.from, record.to) == (asked.change.from, asked.change.to)
            && record.time.as_second() >= asked_at
    };
    let record = scaling.and_then(|scaling| scaling.history.front()).filter(is_of_it);
    let woken = (asked.change.from == 0).then(|| Reason::Woken.to_string());
    record.map(|record| record.reason.clone()).or(woken)
}

/// Why a server at zero did not start, if so, and until when it is left alone.
pub fn failure(scaling: Option<&ScalingReport>) -> Option<String> {
    let scaling = scaling?;
    let Activity::StartFailed { reason } = &scaling.activity else { return None };
    Some(match scaling.retry_at {
        Some(at) => format!("{reason}; not started again before {}", clock(at)),
        None => reason.clone(),
    })
}

fn clock(at: Timestamp) -> String {
    Zoned::new(at, TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// When a server at zero whose tools are not known is started once more.
pub fn again_at(wanted: &Wanted, scaling: Option<&ScalingReport>, now: Instant) -> Instant {
    let since = wanted.change.map_or(now, |asked| asked.since);
    let pause = scaling.and_then(|scaling| scaling.retry_at).map(|at| at.duration_since(Timestamp::now()));
    let pause = pause.map(|pause| Duration::try_from(pause).unwrap_or_default() + MARGIN);
    (since + LEARN_AFTER).max(now + pause.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};

    use portico_gateway::scaling::Change;

    use super::*;

    fn wanted(from: u32, to: u32) -> Wanted {
        let asked = Asked { change: Change { from, to }, at: Timestamp::now(), since: Instant::now() };
        Wanted { numbers: (0..to).collect(), draining: BTreeSet::new(), change: Some(asked) }
    }

    fn report(from: u32, to: u32, reason: &str, time: Timestamp) -> ScalingReport {
        let record = Record { time, from, to, reason: reason.into(), message: String::new() };
        ScalingReport {
            desired: to,
            idle_since: None,
            retry_at: None,
            start: None,
            activity: Activity::Active,
            history: VecDeque::from([record]),
        }
    }

    #[test]
    fn the_reason_is_that_of_the_gateways_last_decision_once_it_is_told() {
        let (wanted, now) = (wanted(1, 2), Timestamp::now());
        let scale = |report: &ScalingReport| Scale::of((1, &wanted), Some(report), Instant::now());
        let told = scale(&report(1, 2, "LoadRose", now));
        assert_eq!((told.serving, told.desired, told.reason.as_deref()), (1, 2, Some("LoadRose")));
        assert!(!told.is_unexplained);
        let old = now.checked_sub(jiff::SignedDuration::from_mins(1)).unwrap();
        for other in [report(2, 1, "LoadFell", now), report(1, 2, "LoadRose", old)] {
            let waiting = scale(&other);
            assert!(waiting.is_unexplained && waiting.reason.is_none(), "{waiting:?}");
        }
        let later = Instant::now() + EXPLAINED_WITHIN;
        assert!(!Scale::of((1, &wanted), None, later).is_unexplained, "a line waits for a moment only");
    }

    #[test]
    fn a_server_that_comes_from_zero_was_woken_and_what_an_edit_did_has_no_reason() {
        let woken = Scale::of((0, &wanted(0, 1)), None, Instant::now());
        assert_eq!((woken.reason.as_deref(), woken.is_unexplained), (Some("Woken"), false));
        let mut edited = wanted(0, 1);
        edited.numbers.insert(1);
        let edited = Scale::of((1, &edited), None, Instant::now());
        assert_eq!((edited.reason, edited.is_unexplained), (None, false));
    }

    #[test]
    fn a_start_that_failed_is_told_with_its_reason_and_the_next_one_waits_for_its_time() {
        let mut report = report(1, 0, "StartFailed", Timestamp::now());
        assert_eq!(failure(Some(&report)), None);
        report.activity = Activity::StartFailed { reason: "out of cheese".into() };
        assert_eq!(failure(Some(&report)).as_deref(), Some("out of cheese"));
        let (wanted, now) = (wanted(1, 0), Instant::now());
        assert!(again_at(&wanted, Some(&report), now) <= now + LEARN_AFTER);
        let at = Timestamp::now().checked_add(jiff::SignedDuration::from_mins(1)).unwrap();
        report.retry_at = Some(at);
        assert!(failure(Some(&report)).unwrap().starts_with("out of cheese; not started again before "));
        let due = again_at(&wanted, Some(&report), now);
        assert!(due > now + Duration::from_mins(1) && due < now + Duration::from_secs(65), "{due:?}");
    }
}
