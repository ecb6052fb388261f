//! Stretches of time by UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::config::limits::Every;

const HOUR: u64 = 3_600_000_000;
const DAY: u64 = 24 * HOUR;

/// Microseconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// A number of the window that `now` is in, and the microseconds until it ends.
pub(super) fn of(every: Option<Every>, now: u64) -> (u64, u64) {
    match every {
        Some(Every::Hour) => (now / HOUR, HOUR - now % HOUR),
        None | Some(Every::Day) => (now / DAY, DAY - now % DAY),
        Some(Every::Month) => month(now).unwrap_or((now / DAY, DAY - now % DAY)),
    }
}

fn month(now: u64) -> Option<(u64, u64)> {
    let micros = i64::try_from(now).ok()?;
    let today = Timestamp::from_microsecond(micros).ok()?.to_zoned(TimeZone::UTC).date();
    let next = today.first_of_month().checked_add(jiff::Span::new().months(1)).ok()?;
    let next = TimeZone::UTC.to_timestamp(DateTime::from(next)).ok()?.as_microsecond();
    let number = u64::try_from(today.year()).ok()? * 12 + u64::try_from(today.month()).ok()?;
    Some((number, u64::try_from(next - micros).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        u64::try_from(text.parse::<Timestamp>().unwrap().as_microsecond()).unwrap()
    }

    #[test]
    fn windows_end_with_the_hour_the_day_and_the_month() {
        let now = at("2028-02-28T23:59:59Z");
        assert_eq!(of(Some(Every::Hour), now).1, 1_000_000);
        assert_eq!(of(Some(Every::Day), now).1, 1_000_000);
        let (february, rest) = of(Some(Every::Month), now);
        assert_eq!(rest, DAY + 1_000_000, "a leap year");
        assert_eq!(of(Some(Every::Month), at("2028-02-01T00:00:00Z")).0, february);
        assert_ne!(of(Some(Every::Month), at("2028-03-01T00:00:00Z")).0, february);
        assert_ne!(of(Some(Every::Month), at("2029-02-01T00:00:00Z")).0, february);
    }
}
