//! What all replicas of the gateway together know of the load of one server.

use std::collections::HashMap;
use std::time::Duration;

use portico_scaling::Observation;

use super::Reading;
use super::demand::{Load, Place};
use crate::source::Scaled;

/// What was told of one server, by each replica of the gateway.
#[derive(Debug, Default)]
pub(super) struct Gathered<'a> {
    /// With the process that tells it, and its time in nanoseconds.
    pub(super) loads: Vec<(u64, u64, Option<&'a Load>)>,
}

/// What each process told last.
#[derive(Debug, Default)]
pub(super) struct Before(HashMap<u64, (u64, Reading)>);

impl Gathered<'_> {
    fn each(&self) -> impl Iterator<Item = &Load> {
        self.loads.iter().filter_map(|(_, _, load)| *load)
    }

    /// All counts together.
    pub(super) fn sum(&self, of: impl Fn(&Reading) -> u32) -> u32 {
        self.each().map(|load| of(&load.reading)).fold(0, u32::saturating_add)
    }

    /// Whether any replica of the server, called ready or not, has a call in hand or is sent some.
    pub(super) fn is_in_use(&self) -> bool {
        self.each().flat_map(|load| &load.places).any(Place::is_in_use)
    }

    /// The replica of the server at `url`, as all see it together: open if anybody sends to it.
    pub(super) fn place(&self, url: &str) -> Place {
        let seen = self.each().flat_map(|load| &load.places).filter(|place| place.url == url);
        seen.fold(Place { url: url.to_owned(), calls: 0, sessions: 0, open: false }, |all, one| Place {
            calls: all.calls.saturating_add(one.calls),
            sessions: all.sessions.saturating_add(one.sessions),
            open: all.open || one.open,
            url: all.url,
        })
    }

    /// What is seen of a server in this state, with what was told `before`, which is brought up to date.
    pub(super) fn observe(&self, before: &mut Before, scaled: &Scaled, ready: usize) -> Observation {
        let (mut mean, mut arrivals) = (0.0, 0);
        for (process, at, load) in &self.loads {
            let reading = load.map(|load| load.reading);
            let (of_one, came) = before.advance(*process, (*at, reading));
            mean += of_one;
            arrivals = came.saturating_add(arrivals);
        }
        before.0.retain(|process, _| self.loads.iter().any(|(one, ..)| one == process));
        let waiting = self.sum(|reading| reading.waiting);
        Observation {
            mean,
            now: self.sum(|reading| reading.open).saturating_add(waiting),
            waiting,
            arrivals,
            sessions: self.each().map(|load| load.sessions).fold(0, u32::saturating_add),
            desired: scaled.desired,
            ready: u32::try_from(ready).unwrap_or(u32::MAX),
        }
    }
}

impl Before {
    /// The mean and the arrivals since the time before; of a process that was not seen before, its calls now.
    fn advance(&mut self, process: u64, (at, reading): (u64, Option<Reading>)) -> (f64, u64) {
        let Some((then, old)) = self.0.get(&process).copied() else {
            let now = reading.unwrap_or_default();
            self.0.insert(process, (at, now));
            return (f64::from(now.open) + f64::from(now.waiting), 0);
        };
        // One that says nothing of a server has had nothing to do with it since.
        let now = reading.unwrap_or(Reading { open: 0, waiting: 0, ..old });
        self.0.insert(process, (at, now));
        let passed = Duration::from_nanos(at.saturating_sub(then)).as_secs_f64();
        let area = Duration::from_nanos(now.area.wrapping_sub(old.area)).as_secs_f64();
        let mean = if passed > 0.0 { area / passed } else { f64::from(now.open) + f64::from(now.waiting) };
        (mean, now.arrivals.saturating_sub(old.arrivals))
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "halves and whole numbers, which are exact")]
mod tests {
    use super::*;
    use crate::source::{Bounds, Kind, ServerKey};

    fn load(open: u32, area_seconds: u64) -> Load {
        Load {
            kind: Kind::Server,
            key: ServerKey { namespace: "shop".into(), name: "files".into() },
            reading: Reading {
                open,
                area: area_seconds * 1_000_000_000,
                arrivals: area_seconds,
                ..Reading::default()
            },
            sessions: 1,
            places: vec![Place { url: "a".into(), calls: open, sessions: 1, open: open > 1 }],
        }
    }

    fn seen(before: &mut Before, loads: Vec<(u64, u64, Option<&Load>)>) -> Observation {
        let loads =
            loads.into_iter().map(|(process, at, load)| (process, at * 1_000_000_000, load)).collect();
        Gathered { loads }.observe(before, &Scaled::new(Bounds::default(), 2), 1)
    }

    #[test]
    fn the_load_is_the_sum_of_what_each_replica_measured_over_its_own_time() {
        let mut before = Before::default();
        let (one, other) = (load(3, 10), load(1, 4));
        let first = seen(&mut before, vec![(1, 100, Some(&one)), (2, 7, Some(&other))]);
        assert_eq!((first.mean, first.now, first.arrivals), (4.0, 4, 0));
        let (one, other) = (load(0, 30), load(2, 5));
        let second = seen(&mut before, vec![(1, 110, Some(&one)), (2, 9, Some(&other))]);
        assert_eq!((second.mean, second.now, second.arrivals), (2.5, 2, 21));
        assert_eq!((second.sessions, second.desired, second.ready), (2, 2, 1));
    }

    #[test]
    fn a_replica_that_says_nothing_had_nothing_and_one_that_began_anew_is_counted_from_its_beginning() {
        let mut before = Before::default();
        let one = load(3, 10);
        seen(&mut before, vec![(1, 100, Some(&one))]);
        let silent = seen(&mut before, vec![(1, 110, None)]);
        assert_eq!((silent.mean, silent.now), (0.0, 0));
        let again = seen(&mut before, vec![(9, 1, Some(&one))]);
        assert_eq!(again.mean, 3.0);
        assert_eq!(before.0.len(), 1);
    }

    #[test]
    fn a_server_is_in_use_while_any_of_its_replicas_has_calls_or_is_open_to_anybody() {
        let (busy, quiet, mut open) = (load(1, 0), load(0, 0), load(0, 0));
        open.places[0].open = true;
        for used in [&busy, &open] {
            assert!(Gathered { loads: vec![(1, 1, Some(&quiet)), (2, 1, Some(used))] }.is_in_use());
        }
        assert!(!Gathered { loads: vec![(1, 1, Some(&quiet)), (3, 1, None)] }.is_in_use());
    }

    #[test]
    fn a_place_is_open_while_anybody_sends_to_it() {
        let (busy, quiet) = (load(2, 0), load(1, 0));
        let gathered = Gathered { loads: vec![(1, 1, Some(&busy)), (2, 1, Some(&quiet)), (3, 1, None)] };
        let place = gathered.place("a");
        assert_eq!((place.calls, place.sessions, place.open), (3, 2, true));
        assert!(!Gathered { loads: vec![(2, 1, Some(&quiet))] }.place("a").open);
    }
}
