//! Takes out of a text what may be a secret or tell of a person, before it leaves the process in a report or a log.

/// What stands in the place of what was taken out.
const MASK: &str = "[redacted]";
/// A word of letters and digits this long is taken for a key or a token.
const LONG: usize = 20;

/// `text` without e-mail addresses, and without words that look like keys, tokens or numbers of cards and telephones.
#[must_use]
pub fn redact(text: &str) -> String {
    let text = &without_spaced_cards(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = rest.find(is_word) {
        let (between, from) = rest.split_at(start);
        let end = from.find(|letter| !is_word(letter)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        out.push_str(between);
        out.push_str(if is_telling(word) { MASK } else { word });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Takes out numbers of cards that are written in groups.
fn without_spaced_cards(text: &str) -> String {
    let is_part = |letter: char| letter.is_ascii_digit() || letter == ' ';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let (between, from) = rest.split_at(start);
        let end = from.find(|letter| !is_part(letter)).unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        let number = run.trim_end();
        out.push_str(between);
        out.push_str(if number.contains(' ') && is_card(number) { MASK } else { number });
        out.push_str(&run[number.len()..]);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Whether the digits are as many as a card has, and hold by their last one (ISO/IEC 7812-1).
fn is_card(number: &str) -> bool {
    let digits: Vec<u32> = number.chars().filter_map(|letter| letter.to_digit(10)).collect();
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| if place % 2 == 1 { doubled(*digit) } else { *digit })
        .sum();
    (13..=19).contains(&digits.len()) && sum.is_multiple_of(10)
}

/// Signs that keys, tokens and addresses are written with.
fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || "@._-+/=~%".contains(letter)
}

fn is_telling(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let at = word.split_once('@').or_else(|| word.split_once("%40"));
    let is_address = at.is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
    // Ids of products (13 digits) and stores (8) may be named; cards have 15 and more, telephones a sign before them.
    let is_number = digits >= 15 || (word.starts_with('+') && digits >= 8);
    let is_path = word.contains('/') && digits < 8 && word.split('/').all(|part| part.len() < LONG);
    is_address || is_number || (word.len() >= LONG && digits >= 3 && !is_path)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Bearer eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJ4In0.c2ln0123", "Bearer [redacted]")]
    #[case("for ada@example.com, please", "for [redacted], please")]
    #[case("card 4111111111111111 refused", "card [redacted] refused")]
    #[case("card 4111 1111 1111 1111 refused", "card [redacted] refused")]
    #[case("counts 1234 5678 9012 3456 7 of 12", "counts 1234 5678 9012 3456 7 of 12")]
    #[case("called +15135551234", "called [redacted]")]
    #[case("GET /x?user=ada%40example.com", "GET /x?[redacted]")]
    #[case("key qL3/Zm9vYmFyYmF6cXV4Cg2mAb+cD/eFgH1=", "key [redacted]")]
    #[case("product 0001111041700 at 01400376: HTTP 500", "product 0001111041700 at 01400376: HTTP 500")]
    #[case("servers/kroger/src/account/tokens.rs:12", "servers/kroger/src/account/tokens.rs:12")]
    #[case("", "")]
    #[case("ü 測試 👍", "ü 測試 👍")]
    fn secrets_and_people_are_taken_out_and_the_rest_stays(#[case] text: &str, #[case] left: &str) {
        assert_eq!(redact(text), left);
    }
}
