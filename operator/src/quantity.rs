//! Amounts as Kubernetes writes them, as numbers. Pure.

use portico_crds::mcp_server::Quantity;

/// The amount in thousandths of its unit, rounded down; `None` for text that is no amount, or for one beyond all bounds.
#[must_use]
pub fn thousandths(quantity: &Quantity) -> Option<i128> {
    let text = quantity.0.trim_start_matches('+');
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let places = u32::try_from(fraction.len()).ok()?;
    let (multiplier, divisor) = scale(suffix)?;
    digits
        .checked_mul(multiplier)?
        .checked_mul(1000)?
        .checked_div(divisor.checked_mul(10i128.checked_pow(places)?)?)
}

/// What a suffix stands for, as multiplier and divisor.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    let power = |base: i128, power: u32| base.checked_pow(power);
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, power(10, 9)?),
        "u" => (1, power(10, 6)?),
        "m" => (1, 1000),
        "k" => (1000, 1),
        "M" => (power(10, 6)?, 1),
        "G" => (power(10, 9)?, 1),
        "T" => (power(10, 12)?, 1),
        "P" => (power(10, 15)?, 1),
        "E" => (power(10, 18)?, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        other => exponent(other)?,
    })
}

fn exponent(suffix: &str) -> Option<(i128, i128)> {
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let power = 10i128.checked_pow(exponent.unsigned_abs())?;
    Some(if exponent < 0 { (1, power) } else { (power, 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_an_amount_is_read() {
        let read = |text: &str| thousandths(&Quantity(text.to_owned()));
        for (text, expected) in [
            ("2", 2000),
            ("500m", 500),
            ("1.5", 1500),
            (".5", 500),
            ("1.", 1000),
            ("1500u", 1),
            ("+1k", 1_000_000),
            ("1Ki", 1_024_000),
            ("1.5Gi", 1_610_612_736_000),
            ("1e3", 1_000_000),
            ("5E-1", 500),
            ("2E", 2_000_000_000_000_000_000_000),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        for text in ["", "x", "1Q", "1e400", "1e"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
