//! When a coupon or a sale ends, in the days of the store's own calendar.

use std::time::Duration;

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};

use crate::shop::{Shop, product::Shown};

/// How long an answer waits for the clock of a store: a day is worth no more.
const WAIT: Duration = Duration::from_secs(1);

/// The last day of what ends at `end`, such as 2026-11-26, by the store's own calendar; `None` where its clock is not known.
pub(super) fn last_day(end: Timestamp, zone: &TimeZone) -> Option<String> {
    (*zone != TimeZone::UTC).then(|| last_moment(end).to_zoned(zone.clone()).date().to_string())
}

/// Tells the last days of sales.
pub(super) async fn tell_last_days(shop: &Shop, store: Option<&str>, products: &mut [Shown]) {
    let end = |product: &Shown| -> Option<Timestamp> {
        product.price.as_ref()?.sale_ends_at.as_deref()?.parse().ok()
    };
    if store.is_none() || !products.iter().any(|product| end(product).is_some()) {
        return;
    }
    let Ok(zone) = tokio::time::timeout(WAIT, shop.zone(store)).await else { return };
    for product in products {
        let day = end(product).and_then(|end| last_day(end, &zone));
        if let Some(price) = &mut product.price {
            price.sale_last_day = day;
        }
    }
}

/// What ends at midnight ends with the day before.
fn last_moment(end: Timestamp) -> Timestamp {
    end.saturating_sub(1.nanosecond()).unwrap_or(end)
}

/// Days until the last moment before `end`: 0 today, 1 tomorrow; negative where it is over.
pub(super) fn days_left(end: Timestamp, now: Timestamp, zone: &TimeZone) -> i64 {
    let days = last_moment(end).to_zoned(zone.clone()).date().since(now.to_zoned(zone.clone()).date());
    let days = days.map_or(0, |span| i64::from(span.get_days()));
    // What ended earlier today is not good today.
    if end <= now { days.min(-1) } else { days }
}

/// `today`, `tomorrow`, `in 3 days`.
pub(super) fn when(days: i64) -> String {
    match days {
        0 => "today".to_owned(),
        1 => "tomorrow".to_owned(),
        days => format!("in {days} days"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // New York is five hours behind UTC: it is the evening of the 26th there.
    #[rstest]
    #[case::in_an_hour("2026-11-27T03:00:00Z", 0)]
    #[case::at_midnight("2026-11-27T05:00:00Z", 0)]
    #[case::after_midnight("2026-11-27T05:00:01Z", 1)]
    #[case::tomorrow_evening("2026-11-28T04:59:00Z", 1)]
    #[case::the_day_after("2026-11-28T12:00:00Z", 2)]
    #[case::next_month("2026-12-26T12:00:00Z", 30)]
    #[case::an_hour_ago("2026-11-27T01:00:00Z", -1)]
    #[case::now("2026-11-27T02:00:00Z", -1)]
    #[case::two_days_ago("2026-11-24T12:00:00Z", -2)]
    fn days_are_those_of_the_stores_calendar(#[case] end: &str, #[case] days: i64) {
        let zone = TimeZone::get("America/New_York").unwrap();
        let now = "2026-11-27T02:00:00Z".parse().unwrap();
        assert_eq!(days_left(end.parse().unwrap(), now, &zone), days);
    }
    #[rstest]
    #[case::at_midnight("2026-11-27T05:00:00Z", "2026-11-26")]
    #[case::after_midnight("2026-11-27T05:00:01Z", "2026-11-27")]
    fn the_last_day_is_one_of_the_stores_calendar(#[case] end: &str, #[case] day: &str) {
        let zone = TimeZone::get("America/New_York").unwrap();
        assert_eq!(last_day(end.parse().unwrap(), &zone).as_deref(), Some(day));
        assert_eq!(last_day(end.parse().unwrap(), &TimeZone::UTC), None);
    }
}
