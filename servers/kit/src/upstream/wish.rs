//! How long an API asks us to wait.

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};
use jiff::{Timestamp, fmt::rfc2822};

/// Longest wait that is believed.
const LONGEST: Duration = Duration::from_hours(24);

/// `Retry-After` in either of its forms (RFC 9110, 10.2.3), at most a day. A date is measured against the answer's own `Date`, so
/// that a clock which is off does no harm.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let until = date(text)?;
    let now = self::header(headers, &header::DATE).and_then(date).unwrap_or_else(Timestamp::now);
    let wait = Duration::try_from(until.duration_since(now)).unwrap_or_default();
    Some(wait.min(LONGEST))
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::seconds("120", Some(120))]
    #[case::long("999999999", Some(86_400))]
    #[case::date("Thu, 26 Nov 2026 10:00:30 GMT", Some(30))]
    #[case::past("Thu, 26 Nov 2026 09:00:00 GMT", Some(0))]
    #[case::far("Fri, 26 Nov 2027 10:00:00 GMT", Some(86_400))]
    #[case::words("soon", None)]
    #[case::negative("-5", None)]
    fn both_forms_are_read(#[case] value: &str, #[case] seconds: Option<u64>) {
        let headers: HeaderMap = [
            (header::RETRY_AFTER, value.parse().unwrap()),
            (header::DATE, "Thu, 26 Nov 2026 10:00:00 GMT".parse().unwrap()),
        ]
        .into_iter()
        .collect();
        assert_eq!(retry_after(&headers), seconds.map(Duration::from_secs));
    }

    #[test]
    fn without_the_header_there_is_no_wish() {
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
