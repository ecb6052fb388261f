//! Takes out of a text what may be a secret or tell of a person, before it leaves the process in a report or a log.

/// What stands in the place of what was taken out.
const MASK: &str = "[redacted]";
/// A word of letters and digits this long is taken for a key or a token.
const LONG: usize = 20;

/// `text` without e-mail addresses, and without words that look like keys, tokens or numbers of cards and telephones.
#[must_use]
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
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

/// Signs that keys, tokens and addresses are written with.
fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || "@._-+/=~".contains(letter)
}

fn is_telling(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let is_address = word.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
    // Ids of products (13 digits) and stores (8) may be named; cards have 15 and more.
    let is_number = digits >= 15;
    let is_path = word.contains('/') && digits < 8;
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
    #[case("product 0001111041700 at 01400376: HTTP 500", "product 0001111041700 at 01400376: HTTP 500")]
    #[case("servers/kroger/src/account/tokens.rs:12", "servers/kroger/src/account/tokens.rs:12")]
    #[case("", "")]
    #[case("ü 測試 👍", "ü 測試 👍")]
    fn secrets_and_people_are_taken_out_and_the_rest_stays(#[case] text: &str, #[case] left: &str) {
        assert_eq!(redact(text), left);
    }
}
