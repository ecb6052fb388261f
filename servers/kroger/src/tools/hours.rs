//! Whether a store is open at a moment.

use jiff::{Timestamp, civil::Weekday, tz::TimeZone};
use serde_json::Value;

const DAY: i64 = 24 * 60;

/// The clock that a store's hours go by.
pub(crate) fn zone(hours: &Value) -> Option<TimeZone> {
    TimeZone::get(hours["timezone"].as_str()?).ok()
}

/// Whether what has these hours by the clock of `zone` is open at `now`; `None` where its hours do not say.
pub(crate) fn is_open(hours: &Value, zone: Option<&TimeZone>, now: Timestamp) -> Option<bool> {
    if hours["Open24"] == true {
        return Some(true);
    }
    let local = now.to_zoned(zone?.clone());
    let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
    let today = span(hours, local.weekday())?;
    if today.0 <= minute && minute < today.1 {
        return Some(true);
    }
    // A night shift of yesterday may reach into this morning.
    let late = span(hours, local.weekday().previous()).is_some_and(|(_, close)| minute + DAY < close);
    Some(late)
}

/// The opening hours of a day in words, such as `05:00-23:00`.
pub(crate) fn today(hours: &Value, zone: Option<&TimeZone>, now: Timestamp) -> Option<String> {
    let (open, close) = span(hours, now.to_zoned(zone?.clone()).weekday())?;
    let clock = |minute: i64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    Some(if close - open == DAY {
        "open 24 hours".to_owned()
    } else {
        format!("{}-{}", clock(open), clock(close))
    })
}

/// First and last minute of a day's shift; the last is beyond the day for a store open past midnight.
fn span(hours: &Value, day: Weekday) -> Option<(i64, i64)> {
    let day = &hours[name(day)];
    if day["open24"] == true {
        return Some((0, DAY));
    }
    let (open, close) = (minute(&day["open"])?, minute(&day["close"])?);
    Some((open, if close <= open { close + DAY } else { close }))
}

/// `23:00` or `1380`: both are in use.
fn minute(value: &Value) -> Option<i64> {
    let minute = match value {
        Value::Number(number) => number.as_i64()?,
        Value::String(text) => match text.split_once(':') {
            Some((hours, minutes)) => hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?,
            None => text.parse().ok()?,
        },
        _ => return None,
    };
    (0..=DAY).contains(&minute).then_some(minute)
}

fn name(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "monday",
        Weekday::Tuesday => "tuesday",
        Weekday::Wednesday => "wednesday",
        Weekday::Thursday => "thursday",
        Weekday::Friday => "friday",
        Weekday::Saturday => "saturday",
        Weekday::Sunday => "sunday",
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn week(open: &Value, close: &Value) -> Value {
        let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
        let mut hours = json!({ "timezone": "America/New_York", "Open24": false });
        for day in days {
            hours[day] = json!({ "open": open, "close": close, "open24": false });
        }
        hours
    }

    fn open_at(hours: &Value, now: Timestamp) -> Option<bool> {
        is_open(hours, zone(hours).as_ref(), now)
    }

    // 2026-11-20 is a Friday; New York is five hours behind UTC.
    #[rstest]
    #[case::before("2026-11-20T09:59:00Z", json!("05:00"), json!("23:00"), false)]
    #[case::at_opening("2026-11-20T10:00:00Z", json!("05:00"), json!("23:00"), true)]
    #[case::at_closing("2026-11-21T04:00:00Z", json!("05:00"), json!("23:00"), false)]
    #[case::minutes("2026-11-21T03:59:00Z", json!("05:00"), json!(1380), true)]
    #[case::past_midnight("2026-11-21T05:30:00Z", json!("06:00"), json!("01:00"), true)]
    #[case::after_the_night("2026-11-21T06:00:00Z", json!("06:00"), json!("01:00"), false)]
    #[case::until_midnight("2026-11-21T04:59:00Z", json!("06:00"), json!("00:00"), true)]
    fn hours_are_those_of_the_stores_own_clock(
        #[case] now: &str,
        #[case] open: Value,
        #[case] close: Value,
        #[case] expected: bool,
    ) {
        assert_eq!(open_at(&week(&open, &close), now.parse().unwrap()), Some(expected));
    }

    #[test]
    fn hours_that_do_not_say_are_unknown_and_open_all_day_is_open() {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        assert_eq!(open_at(&json!({}), now), None);
        assert_eq!(open_at(&json!({ "timezone": "Nowhere/Land" }), now), None);
        assert_eq!(open_at(&week(&json!("x"), &json!("23:00")), now), None);
        assert_eq!(open_at(&json!({ "Open24": true }), now), Some(true));
    }
}
