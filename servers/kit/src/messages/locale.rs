//! The languages that are spoken here, and which of them somebody reads.

use std::fmt;

/// Most wishes of a list that are looked at.
const MOST_WISHES: usize = 32;

/// A language.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Locale {
    /// English.
    #[default]
    En,
    /// Spanish.
    Es,
    /// French.
    Fr,
    /// German.
    De,
}

impl Locale {
    /// All of them, English first.
    pub const ALL: [Self; 4] = [Self::En, Self::Es, Self::Fr, Self::De];

    /// Its language tag (BCP 47).
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Es => "es",
            Self::Fr => "fr",
            Self::De => "de",
        }
    }

    /// The language of a tag, whatever its script or region: `de-AT` and `de_CH` are German.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let language = tag.trim().split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|locale| locale.tag().eq_ignore_ascii_case(language))
    }

    /// The language to speak: the first of `wishes` that is spoken here decides. A wish is a tag, or a list as `Accept-Language` has it
    /// (RFC 9110, 12.5.4). Give them in the order of their weight: what the call says, what the client says, what is kept of the user,
    /// what the browser says. English where nobody wishes anything that is spoken here.
    #[must_use]
    pub fn negotiate<'a>(wishes: impl IntoIterator<Item = &'a str>) -> Self {
        wishes.into_iter().find_map(best).unwrap_or_default()
    }

    /// A number as it is written in this language, such as `1.234,5`.
    #[must_use]
    pub fn number(self, plain: &str) -> String {
        let (sign, digits) = plain.strip_prefix('-').map_or(("", plain), |digits| ("-", digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let point = if fraction.is_empty() { "" } else { self.point() };
        format!("{sign}{}{point}{fraction}", self.grouped(whole))
    }

    /// An amount of US dollars as it is written in this language, to the cent.
    #[must_use]
    pub fn dollars(self, amount: f64) -> String {
        let number = self.number(&format!("{:.2}", amount.abs()));
        let sign = if amount < 0.0 { "-" } else { "" };
        match self {
            Self::En => format!("{sign}${number}"),
            Self::Es => format!("{sign}{number}\u{a0}US$"),
            Self::Fr => format!("{sign}{number}\u{a0}$US"),
            Self::De => format!("{sign}{number}\u{a0}$"),
        }
    }

    fn point(self) -> &'static str {
        if self == Self::En { "." } else { "," }
    }

    /// Groups of three digits; Spanish leaves four together.
    fn grouped(self, whole: &str) -> String {
        let (separator, least) = match self {
            Self::En => (',', 4),
            Self::Es => ('.', 5),
            Self::Fr => ('\u{202f}', 4),
            Self::De => ('.', 4),
        };
        if whole.len() < least {
            return whole.to_owned();
        }
        let mut grouped = String::with_capacity(whole.len() * 2);
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                grouped.push(separator);
            }
            grouped.push(digit);
        }
        grouped
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

/// The language of a list with the greatest weight; of several the first.
fn best(list: &str) -> Option<Locale> {
    let mut found: Option<(f64, Locale)> = None;
    for wish in list.split(',').take(MOST_WISHES) {
        let (tag, weight) = wish.split_once(';').unwrap_or((wish, ""));
        let weight =
            weight.trim().strip_prefix("q=").map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0));
        let Some(locale) = Locale::of_tag(tag) else { continue };
        if weight > found.map_or(0.0, |(weight, _)| weight) {
            found = Some((weight, locale));
        }
    }
    found.map(|(_, locale)| locale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&[], Locale::En)]
    #[case(&["de-AT"], Locale::De)]
    #[case(&["fr_CA"], Locale::Fr)]
    #[case(&["ES"], Locale::Es)]
    #[case(&["pt-BR", "fr"], Locale::Fr)]
    #[case(&["pt-BR"], Locale::En)]
    #[case(&["pt, es;q=0.5, de;q=0.9, *;q=0.1"], Locale::De)]
    #[case(&["fr;q=0, es;q=0.1"], Locale::Es)]
    #[case(&["de;q=0"], Locale::En)]
    #[case(&["de, fr"], Locale::De)]
    #[case(&["", "fr"], Locale::Fr)]
    #[case(&["deutsch", "english"], Locale::En)]
    fn the_first_wish_that_is_spoken_here_decides(#[case] wishes: &[&str], #[case] locale: Locale) {
        assert_eq!(Locale::negotiate(wishes.iter().copied()), locale);
    }

    proptest! {
        #[test]
        fn any_header_gives_a_language(header: String) {
            prop_assert!(Locale::ALL.contains(&Locale::negotiate([header.as_str()])));
        }
    }

    #[test]
    fn numbers_and_amounts_are_written_as_each_language_has_them() {
        let all = |write: &dyn Fn(Locale) -> String| Locale::ALL.map(write);
        assert_eq!(
            all(&|locale| locale.number("1234.5")),
            ["1,234.5", "1234,5", "1\u{202f}234,5", "1.234,5"]
        );
        assert_eq!(
            all(&|locale| locale.number("-1234567")),
            ["-1,234,567", "-1.234.567", "-1\u{202f}234\u{202f}567", "-1.234.567"]
        );
        assert_eq!(all(&|locale| locale.number("999")), ["999"; 4]);
        assert_eq!(
            all(&|locale| locale.dollars(3.5)),
            ["$3.50", "3,50\u{a0}US$", "3,50\u{a0}$US", "3,50\u{a0}$"]
        );
        assert_eq!(Locale::En.dollars(-0.05), "-$0.05");
    }
}
