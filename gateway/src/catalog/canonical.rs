//! The canonical form of a JSON text (RFC 8785, JSON Canonicalization Scheme): two texts that mean the same have one.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::envelope::{quoted, text};

/// What they begin with.
const OBJECT: char = '{';
const ARRAY: char = '[';

/// Appends the canonical form of the JSON text `raw` to `out`. Where the RFC has no answer nothing is lost: members of one
/// name stay all of them, in their order, and a number that no 64-bit float holds stays as it was written.
///
/// The text must not be nested deeper than the stack bears; definitions are not (`listing::Definition`).
pub(crate) fn canonical(raw: &str, out: &mut String) -> Result<(), serde_json::Error> {
    let raw = raw.trim();
    if raw.starts_with(OBJECT) {
        return object(raw, out);
    }
    if raw.starts_with(ARRAY) {
        return array(raw, out);
    }
    out.push_str(&scalar(raw));
    Ok(())
}

fn scalar(raw: &str) -> String {
    match raw.bytes().next() {
        Some(b'"') => text(raw).map_or_else(|| raw.to_owned(), |text| quoted(&text)),
        Some(b'-' | b'0'..=b'9') => number(raw),
        _ => raw.to_owned(),
    }
}

fn object(raw: &str, out: &mut String) -> Result<(), serde_json::Error> {
    let Members(mut members) = serde_json::from_str(raw)?;
    members.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
    out.push('{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&quoted(&name));
        out.push(':');
        canonical(value.get(), out)?;
    }
    out.push('}');
    Ok(())
}

fn array(raw: &str, out: &mut String) -> Result<(), serde_json::Error> {
    let elements: Vec<&RawValue> = serde_json::from_str(raw)?;
    out.push('[');
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        canonical(element.get(), out)?;
    }
    out.push(']');
    Ok(())
}

/// A number as ECMAScript writes it (ECMA-262, `Number::toString`).
fn number(raw: &str) -> String {
    let Some(value) = raw.parse::<f64>().ok().filter(|value| value.is_finite()) else {
        return raw.to_owned();
    };
    if value == 0.0 {
        return "0".into();
    }
    if (1e-6..1e21).contains(&value.abs()) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, power)) if !power.starts_with('-') => format!("{digits}e+{power}"),
        _ => text,
    }
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn of(raw: &str) -> String {
        let mut out = String::new();
        canonical(raw, &mut out).unwrap();
        out
    }

    /// The example of RFC 8785, section 3.2.2 and 3.2.3.
    #[test]
    fn the_example_of_the_rfc_comes_out_as_it_says() {
        let raw = r#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#;
        let expected = concat!(
            r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#,
            r#""string":"€$\u000f\nA'B\"\\\\\"/"}"#
        );
        assert_eq!(of(raw), expected);
    }

    #[test]
    fn members_are_sorted_by_their_utf_16_code_units() {
        let raw = r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#;
        assert_eq!(of(raw), "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}");
    }

    #[test]
    fn numbers_are_written_as_ecmascript_writes_them() {
        for (raw, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("1.0", "1"),
            ("1e21", "1e+21"),
            ("123456789012345680000", "123456789012345680000"),
            ("1e-6", "0.000001"),
            ("1e-7", "1e-7"),
            ("-1.5E+300", "-1.5e+300"),
            ("9007199254740993", "9007199254740992"),
            ("5e-324", "5e-324"),
            ("1e400", "1e400"),
        ] {
            assert_eq!(of(raw), expected, "{raw}");
        }
    }

    #[test]
    fn a_member_written_twice_hides_nothing() {
        assert_ne!(of(r#"{"a":1,"a":2}"#), of(r#"{"a":3,"a":2}"#));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            ".*".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map(".*", inner, 0..5)
                    .prop_map(|all| Value::Object(all.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_form_depends_on_the_meaning_alone_and_keeps_it(value in json()) {
            let form = of(&value.to_string());
            prop_assert_eq!(&form, &of(&serde_json::to_string_pretty(&value).unwrap()));
            prop_assert_eq!(&form, &of(&form));
            let read: Value = serde_json::from_str(&form).unwrap();
            prop_assert_eq!(of(&read.to_string()), form);
        }
    }
}
