//! Prices in US dollars, read from their digits and never summed as floating point.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Number;

/// Ten-thousandths of a dollar: enough for prices a unit.
const SCALE: i64 = 10_000;
const DIGITS: usize = 4;

/// An amount of US dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Money(i64);

impl Money {
    /// Reads digits such as `1.99`. More than four decimals, a sign or an exponent is no price.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 9 || part.len() > DIGITS || !is_digits(whole) || !is_digits(part)
        {
            return None;
        }
        let whole: i64 = whole.parse().ok()?;
        let part: i64 = format!("{part:0<DIGITS$}").parse().ok()?;
        Some(Self(whole * SCALE + part))
    }

    /// Reads a number. Its shortest digits are those that were written: no more than 13 are in use.
    pub(crate) fn of(number: &Number) -> Option<Self> {
        Self::parse(&number.to_string())
    }

    pub(crate) fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Nothing.
    pub(crate) const ZERO: Self = Self(0);

    /// The sum.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// So many times as much.
    pub(crate) fn times(self, count: u32) -> Self {
        Self(self.0.saturating_mul(i64::from(count)))
    }

    /// Whole cents.
    pub(crate) fn cents(self) -> u64 {
        u64::try_from(self.0 / (SCALE / 100)).unwrap_or_default()
    }

    /// Ten-thousandths of a dollar.
    pub(crate) fn raw(self) -> i64 {
        self.0
    }

    /// As [`Money::raw`] gave it.
    pub(crate) fn from_raw(raw: i64) -> Option<Self> {
        (raw >= 0).then_some(Self(raw))
    }

    /// The difference, where it is not negative.
    pub(crate) fn less(self, other: Self) -> Option<Self> {
        (self.0 >= other.0).then(|| Self(self.0 - other.0))
    }
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{}.{:04}", self.0 / SCALE, self.0 % SCALE);
        // Two decimals at least; more only where they say something.
        let kept = text.trim_end_matches('0').len().max(text.len() - 2);
        f.write_str(&text[..kept])
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The nearest double prints as the same digits again: at most 13 digits are in use.
        let number: f64 = self.to_string().parse().map_err(serde::ser::Error::custom)?;
        serializer.serialize_f64(number)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?;
        Self::of(&number).ok_or_else(|| D::Error::custom("must be an amount of dollars such as 4.99"))
    }
}

impl JsonSchema for Money {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Money".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_keep_their_digits() {
        for (text, shown) in
            [("1.99", "1.99"), ("0", "0.00"), ("12", "12.00"), ("0.0625", "0.0625"), ("3.5", "3.50")]
        {
            assert_eq!(Money::parse(text).unwrap().to_string(), shown);
        }
        assert_eq!(serde_json::to_string(&Money::parse("1.59").unwrap()).unwrap(), "1.59");
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for text in ["", "-1", "1e5", "1.23456", ".5", "1.2.3", "\"1\"", "9999999999"] {
            assert_eq!(Money::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_tenth_and_two_tenths_are_exactly_three_tenths_apart_from_nothing() {
        let of = |text| Money::parse(text).unwrap();
        assert_eq!(of("0.3").less(of("0.1")), Some(of("0.2")));
        assert_eq!(of("0.1").less(of("0.3")), None);
    }
}
