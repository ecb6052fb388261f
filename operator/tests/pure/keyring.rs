//! The session keys: when one is made, and when one goes.

use k8s_openapi::jiff::Timestamp;
use portico_operator::kroger_integration::keyring::{DELAY, Keyring, RESEALED, Wish, next, until_next};
use proptest::prelude::*;

const DAY: i64 = 86_400;
const START: i64 = 1_750_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn ids(keyring: &Keyring) -> Vec<String> {
    keyring.keys.iter().map(|key| key.id.clone()).collect()
}

fn asked(value: &str) -> Wish<'_> {
    Wish {
        asked: Some(value),
        answered: None,
        every_days: None,
        retain_days: 30,
        serving_since: Some(at(START)),
    }
}

#[test]
fn the_first_key_seals_at_once_and_the_next_after_ten_minutes() {
    let first = Keyring::first(at(START), &[1; 32]);
    assert_eq!(first.current(at(START)).unwrap().id, first.keys[0].id);
    let second = next(&first, at(START + 5), &asked("now"), &[2; 32]).unwrap();
    assert_eq!(second.current(at(START + 5 + DELAY - 1)).unwrap().id, first.keys[0].id);
    assert_eq!(second.current(at(START + 5 + DELAY)).unwrap().id, second.keys[1].id);
    let nobody = Wish { serving_since: None, ..asked("now") };
    assert_eq!(until_next(&second, at(START + 5), &nobody), Some(600));
}

#[test]
fn a_wish_is_answered_once_and_no_wish_never() {
    let keyring = Keyring::first(at(START), &[1; 32]);
    let answered = Wish { answered: Some("now"), ..asked("now") };
    assert_eq!(next(&keyring, at(START + 1), &answered, &[2; 32]), None);
    assert_eq!(next(&keyring, at(START + 9_999 * DAY), &Wish::default(), &[2; 32]), None);
    let withdrawn = Wish { asked: None, answered: Some("now"), ..asked("") };
    assert_eq!(next(&keyring, at(START + 1), &withdrawn, &[2; 32]), None);
}

#[test]
fn a_schedule_makes_a_key_when_it_is_due_and_not_a_second_before() {
    let keyring = Keyring::first(at(START), &[1; 32]);
    let wish = Wish { every_days: Some(7), retain_days: 30, ..Wish::default() };
    assert_eq!(next(&keyring, at(START + 7 * DAY - 1), &wish, &[2; 32]), None);
    assert_eq!(until_next(&keyring, at(START + 7 * DAY - 1), &wish), Some(1));
    assert!(next(&keyring, at(START + 7 * DAY), &wish, &[2; 32]).is_some());
}

#[test]
fn a_key_goes_when_its_successor_has_sealed_for_as_long_as_it_is_retained() {
    let first = Keyring::first(at(START), &[1; 32]);
    let second = next(&first, at(START), &asked("one"), &[2; 32]).unwrap();
    let over = START + DELAY + 30 * DAY;
    assert_eq!(next(&second, at(over - 1), &asked("two"), &[3; 32]).unwrap().keys.len(), 3);
    let third = next(&second, at(over), &asked("two"), &[3; 32]).unwrap();
    assert_eq!(ids(&third)[0], ids(&second)[1]);
    assert_eq!(third.keys.len(), 2);
}

#[test]
fn a_key_goes_by_itself_at_the_time_that_was_said() {
    let first = Keyring::first(at(START), &[1; 32]);
    let second = next(&first, at(START), &asked("one"), &[2; 32]).unwrap();
    let rests = Wish { answered: Some("one"), ..asked("one") };
    let over = START + DELAY + 30 * DAY;
    assert_eq!(until_next(&second, at(START + DELAY), &rests), Some(30 * 86_400));
    assert_eq!(next(&second, at(over - 1), &rests, &[3; 32]), None);
    let trimmed = next(&second, at(over), &rests, &[3; 32]).unwrap();
    assert_eq!(ids(&trimmed), ids(&second)[1..]);
    assert_eq!(until_next(&trimmed, at(over), &rests), None);
    assert_eq!(next(&trimmed, at(over + 999 * DAY), &rests, &[3; 32]), None, "the newest stays");
}

#[test]
fn no_key_goes_before_a_server_has_served_for_long_enough_to_seal_again_what_it_had_sealed() {
    let first = Keyring::first(at(START), &[1; 32]);
    let second = next(&first, at(START), &asked("one"), &[2; 32]).unwrap();
    let later = START + 400 * DAY;
    let since =
        |since: Option<i64>| Wish { serving_since: since.map(at), answered: Some("one"), ..asked("one") };
    assert_eq!(next(&second, at(later), &since(None), &[3; 32]), None);
    assert_eq!(until_next(&second, at(later), &since(None)), None);
    assert_eq!(next(&second, at(later + RESEALED - 1), &since(Some(later)), &[3; 32]), None);
    assert_eq!(until_next(&second, at(later), &since(Some(later))), Some(12 * 3_600));
    assert_eq!(next(&second, at(later + RESEALED), &since(Some(later)), &[3; 32]).unwrap().keys.len(), 1);
    // A rotation drops none either.
    let asked = Wish { serving_since: None, ..asked("two") };
    assert_eq!(next(&second, at(later), &asked, &[3; 32]).unwrap().keys.len(), 3);
}

#[test]
fn what_is_written_is_read_again_and_what_is_damaged_is_told_without_its_content() {
    let keyring = Keyring::first(at(START), &[1; 32]);
    let text = keyring.write();
    assert_eq!(Keyring::read(text.as_bytes()).unwrap(), keyring);
    assert!(text.contains("\"usableFrom\":\"2025-06-15T15:06:40Z\""), "{text}");
    let twice = text.replace("{\"keys\":[", "{\"keys\":[{},");
    let double =
        serde_json::to_string(&Keyring { keys: [&keyring.keys[..], &keyring.keys[..]].concat() }).unwrap();
    for (damaged, fault) in [
        ("", "is not a keyring in JSON"),
        ("{\"keys\":[]}", "has no key"),
        (&twice, "is not a keyring in JSON"),
        (&double, "has two keys of one id"),
        (&text.replace("AQEB", "AQE"), "has a key that is not 32 bytes in base64"),
    ] {
        assert_eq!(Keyring::read(damaged.as_bytes()).unwrap_err(), fault, "{damaged}");
    }
    assert!(!format!("{keyring:?}").contains("AQEB"), "a key is printed");
}

/// Rotations one after another, each so many seconds after the one before it.
fn rotated(waits: &[i64], retain_days: i32) -> (Keyring, i64) {
    let (mut keyring, mut now) = (Keyring::first(at(START), &[0; 32]), START);
    for (i, wait) in waits.iter().enumerate() {
        now += wait;
        let wish = Wish {
            asked: Some("x"),
            answered: None,
            every_days: None,
            retain_days,
            serving_since: Some(at(START)),
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(i as u64 + 1).to_be_bytes());
        keyring = next(&keyring, at(now), &wish, &bytes).unwrap();
    }
    (keyring, now)
}

proptest! {
    /// The clock may be set back in between.
    #[test]
    fn no_rotation_loses_a_key_that_may_still_open_something(
        waits in prop::collection::vec(-3 * DAY..8 * DAY, 1..12), retain_days in 1..6i32,
    ) {
        let (before, _) = rotated(&waits[..waits.len() - 1], retain_days);
        let (after, now) = rotated(&waits, retain_days);
        let young = |created: i64| created > now - i64::from(retain_days) * DAY;
        for (i, key) in before.keys.iter().enumerate() {
            let successor = before.keys.get(i + 1);
            let sealed_lately = successor.is_none_or(|next| young(next.usable_from.as_second()));
            let needed = young(key.created.as_second()) || sealed_lately;
            prop_assert!(!needed || after.keys.contains(key), "{key:?} is lost at {now}");
        }
        prop_assert_eq!(after.keys.last().unwrap().created.as_second(), now);
        prop_assert!(after.current(at(now)).is_some());
    }

    /// A pass over the result of a pass, with the same wish noted, does nothing.
    #[test]
    fn a_rotation_leads_to_rest(
        waits in prop::collection::vec(0..40 * DAY, 0..6), every in prop::option::of(1..60i32), later in 0..DAY,
    ) {
        let (keyring, now) = rotated(&waits, 30);
        let wish = Wish { asked: Some("y"), answered: Some("x"), every_days: every, retain_days: 30, serving_since: None };
        let after = next(&keyring, at(now), &wish, &[9; 32]).unwrap();
        let noted = Wish { answered: Some("y"), ..wish };
        prop_assert_eq!(next(&after, at(now + later.min(DAY - 1)), &noted, &[8; 32]), None);
    }

    #[test]
    fn what_the_status_says_changes_only_when_it_is_said_to(
        waits in prop::collection::vec(0..DAY, 0..5), every in prop::option::of(1..9i32), wait in 0..9 * DAY,
        serving in prop::option::of(START - DAY..START + 9 * DAY),
    ) {
        let (keyring, now) = rotated(&waits, 30);
        let serving_since = serving.map(at);
        let wish = Wish { every_days: every, retain_days: 1, serving_since, ..Wish::default() };
        let keyring = next(&keyring, at(now), &wish, &[6; 32]).unwrap_or(keyring);
        let then = until_next(&keyring, at(now), &wish).map_or(i64::MAX, |wait| i64::try_from(wait).unwrap());
        let earlier = at(now + wait.min(then.saturating_sub(1)).max(0));
        if then > 0 {
            prop_assert_eq!(keyring.current(at(now)), keyring.current(earlier));
            prop_assert_eq!(next(&keyring, earlier, &wish, &[7; 32]), None);
        }
    }
}
