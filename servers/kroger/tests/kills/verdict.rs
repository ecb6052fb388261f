//! What customers were told, beside what Kroger has and what the server shows.

use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::Value;

use crate::customer::{Addition, Customer, QUANTITIES, Told};

/// A product in one way of getting it.
type Line = (String, String);

/// How often one addition is found.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    at_kroger: u32,
    sent: u32,
    unknown: u32,
}

/// What is wrong with a customer's cart: `kroger` holds the lines of the stand-in, `shown` those that the server shows.
pub fn of_cart(customer: &Customer, kroger: &Value, shown: &Value) -> Vec<String> {
    let has = numbers(kroger, "upc", |_| true);
    let sent = numbers(shown, "product_id", |line| line["state"] == "sent");
    let ledger = customer.ledger.lock().unwrap();
    let check = |addition: &Addition| {
        let line = (addition.product.to_owned(), addition.modality.to_owned());
        let digit = |numbers: &BTreeMap<Line, u32>| {
            numbers.get(&line).map_or(0, |number| number / addition.quantity % 3)
        };
        let unknown = |shown: &&Value| {
            shown["state"] == "unknown"
                && shown["product_id"] == addition.product
                && shown["modality"] == addition.modality
                && shown["quantity"] == addition.quantity
        };
        let unknown = shown.as_array().into_iter().flatten().filter(unknown).count();
        let unknown = u32::try_from(unknown).unwrap();
        let found = Found { at_kroger: digit(&has), sent: digit(&sent), unknown };
        (!is_right(addition.told, &found))
            .then(|| format!("{} of {}: {found:?}", name(addition), customer.name))
    };
    let mut wrong: Vec<String> = ledger.additions.iter().filter_map(check).collect();
    let most = QUANTITIES.iter().sum::<u32>();
    wrong.extend(has.iter().filter(|(_, number)| **number > most).map(|line| format!("too many: {line:?}")));
    wrong
}

fn name(addition: &Addition) -> String {
    format!("{} {} × {} ({:?})", addition.modality, addition.quantity, addition.product, addition.told)
}

/// Whether what the customer was told, what Kroger has and what the server shows agree.
fn is_right(told: Told, found: &Found) -> bool {
    let Found { at_kroger, sent, unknown } = *found;
    // What is shown as sent is there, what is there is shown, and nothing is shown twice.
    let is_shown = sent <= at_kroger && at_kroger <= sent + unknown && sent + unknown <= 1;
    is_shown
        && match told {
            Told::Done => (at_kroger, sent) == (1, 1),
            Told::Unknown => sent + unknown == 1,
            Told::Broken => true,
            Told::Not => (at_kroger, sent, unknown) == (0, 0, 0),
        }
}

fn numbers(lines: &Value, id: &str, matches: impl Fn(&Value) -> bool) -> BTreeMap<Line, u32> {
    let mut numbers = BTreeMap::new();
    for line in lines.as_array().into_iter().flatten().filter(|line| matches(line)) {
        let key = (line[id].as_str().unwrap().to_owned(), line["modality"].as_str().unwrap().to_owned());
        *numbers.entry(key).or_default() += u32::try_from(line["quantity"].as_u64().unwrap()).unwrap();
    }
    numbers
}

/// What is wrong with a customer's lists, as the server shows them.
pub fn of_lists(customer: &Customer, shown: &Value) -> Vec<String> {
    let lists = shown["lists"].as_array().into_iter().flatten();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for item in lists.flat_map(|list| list["items"].as_array().into_iter().flatten()) {
        *counts.entry(item["text"].as_str().unwrap()).or_default() += 1;
    }
    let ledger = customer.ledger.lock().unwrap();
    let check = |(text, told): &(String, Told)| {
        let count = counts.get(text.as_str()).copied().unwrap_or(0);
        let right = match told {
            Told::Done => count == 1,
            Told::Unknown | Told::Broken => count <= 1,
            Told::Not => count == 0,
        };
        (!right).then(|| format!("item {text} of {}, {told:?}, is there {count} times", customer.name))
    };
    ledger.items.iter().filter_map(check).collect()
}

/// Found at Kroger, shown as sent, shown as unknown.
#[rstest]
#[case::made_twice(Told::Done, (2, 1, 0), false)]
#[case::lost(Told::Done, (0, 1, 0), false)]
#[case::answered_and_shown_as_unknown(Told::Done, (1, 0, 1), false)]
#[case::made_and_not_shown(Told::Broken, (1, 0, 0), false)]
#[case::shown_and_not_made(Told::Broken, (0, 1, 0), false)]
#[case::shown_twice(Told::Broken, (1, 1, 1), false)]
#[case::made_though_refused(Told::Not, (1, 1, 0), false)]
#[case::unknown_and_not_shown(Told::Unknown, (0, 0, 0), false)]
#[case::done(Told::Done, (1, 1, 0), true)]
#[case::cut_off_before(Told::Broken, (0, 0, 0), true)]
#[case::cut_off_on_the_way(Told::Broken, (0, 0, 1), true)]
#[case::cut_off_after(Told::Broken, (1, 0, 1), true)]
#[case::unknown(Told::Unknown, (1, 0, 1), true)]
fn what_must_not_be_is_seen(
    #[case] told: Told,
    #[case] (at_kroger, sent, unknown): (u32, u32, u32),
    #[case] right: bool,
) {
    assert_eq!(is_right(told, &Found { at_kroger, sent, unknown }), right);
}
