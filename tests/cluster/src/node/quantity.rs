//! Reading resource quantities such as `500m` and `1Gi`.

/// Suffixes, the longer before the shorter.
const SUFFIXES: [(&str, f64); 14] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
];

/// The quantity in its base unit (cores, bytes).
pub(super) fn parse(text: &str) -> Option<f64> {
    let plain = text.parse::<f64>().ok();
    plain.or_else(|| {
        SUFFIXES
            .iter()
            .find_map(|(suffix, factor)| Some(text.strip_suffix(suffix)?.parse::<f64>().ok()? * factor))
    })
}

/// How often `divisor` fits into `quantity`, rounded up, as a container's variable shows it.
pub(super) fn divided(quantity: &str, divisor: &str) -> Option<String> {
    let divisor = parse(divisor).filter(|divisor| *divisor > 0.0).unwrap_or(1.0);
    Some(format!("{:.0}", (parse(quantity)? / divisor).ceil()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_round_up_and_bytes_divide() {
        assert_eq!(divided("1500m", "0").as_deref(), Some("2"));
        assert_eq!(divided("1500m", "1m").as_deref(), Some("1500"));
        assert_eq!(divided("1Gi", "1Mi").as_deref(), Some("1024"));
        assert_eq!(divided("2M", "1").as_deref(), Some("2000000"));
        assert_eq!(divided("much", "1"), None);
    }
}
