//! Finds tools by words: BM25 over the words of their names, titles, descriptions and arguments.

use std::collections::HashMap;
use std::sync::OnceLock;

use bytes::Bytes;

use super::kind::{Kind, Route};
use crate::envelope::Object;

/// How much a word that stands again adds (Robertson and Zaragoza, 2009).
const SATURATION: f64 = 1.2;
/// How much the length of a definition takes.
const LENGTH: f64 = 0.75;
/// A word of the name counts so often.
const NAME_WEIGHT: usize = 4;
/// Words of a question that are looked at.
const MAX_WORDS: usize = 32;

/// The tools of a set that are found rather than listed.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// All tools of the set.
    pub(crate) tools: Kind,
    /// Made when it is asked for first.
    index: OnceLock<Index>,
}

impl Search {
    /// Over `tools`.
    pub(super) fn over(tools: Kind) -> Self {
        Self { tools, index: OnceLock::new() }
    }

    /// Over those of the tools that `shows` lets somebody see.
    pub(super) fn part(&self, shows: impl Fn(&Route) -> bool) -> Self {
        Self::over(self.tools.part(|_, piece| piece.route().is_none_or(&shows), &[]))
    }

    /// The definitions that fit `question` best, at most `limit`, best first.
    pub(crate) fn find(&self, question: &str, limit: usize) -> Vec<Bytes> {
        let index = self.index.get_or_init(|| Index::of(&self.tools));
        index.best(question, limit).into_iter().filter_map(|tool| self.tools.definition(tool)).collect()
    }
}

/// Which words stand in which tools.
#[derive(Debug, Default)]
struct Index {
    /// Of each word, the tools it stands in and how often.
    postings: HashMap<String, Vec<(usize, usize)>>,
    /// Words of each tool; none of one that is not found.
    lengths: Vec<usize>,
}

impl Index {
    fn of(tools: &Kind) -> Self {
        let mut index = Self::default();
        for (tool, (name, definition)) in tools.definitions().enumerate() {
            let words = words_of(name, &definition);
            index.lengths.push(words.len());
            let mut counts: HashMap<String, usize> = HashMap::new();
            for word in words {
                *counts.entry(word).or_default() += 1;
            }
            for (word, count) in counts {
                index.postings.entry(word).or_default().push((tool, count));
            }
        }
        index
    }

    fn best(&self, question: &str, limit: usize) -> Vec<usize> {
        let count = count(self.lengths.iter().filter(|length| **length > 0).count());
        let average = self.lengths.iter().map(|length| self::count(*length)).sum::<f64>() / count.max(1.0);
        let mut scores: HashMap<usize, f64> = HashMap::new();
        let mut asked = words(question);
        asked.sort();
        asked.dedup();
        for word in asked.into_iter().take(MAX_WORDS) {
            let Some(tools) = self.postings.get(&word) else { continue };
            let with = self::count(tools.len());
            let rarity = ((count - with + 0.5) / (with + 0.5)).ln_1p();
            for (tool, times) in tools {
                let times = self::count(*times);
                let length = self.lengths.get(*tool).map_or(average, |length| self::count(*length));
                let bound = SATURATION * (1.0 - LENGTH + LENGTH * length / average);
                *scores.entry(*tool).or_default() += rarity * times * (SATURATION + 1.0) / (times + bound);
            }
        }
        let mut ranked: Vec<(usize, f64)> = scores.into_iter().collect();
        ranked.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        ranked.into_iter().take(limit).map(|(tool, _)| tool).collect()
    }
}

/// Exact for every number of tools or words there can be.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}

/// The words that a tool is found by; none for one that interface pages call and models do not (MCP Apps).
fn words_of(name: &str, definition: &str) -> Vec<String> {
    let Ok(tool) = Object::parse(definition) else { return Vec::new() };
    if is_for_apps(&tool) {
        return Vec::new();
    }
    let mut all = Vec::new();
    for _ in 0..NAME_WEIGHT {
        all.extend(words(name));
    }
    for text in ["title", "description"].iter().filter_map(|member| tool.string(member)) {
        all.extend(words(&text));
    }
    let arguments = tool.object("inputSchema").and_then(|schema| schema.object("properties"));
    let names = arguments.iter().flat_map(Object::members).map(|(name, _)| name);
    names.for_each(|name| all.extend(words(name)));
    all
}

/// Whether a tool is for interface pages alone (MCP Apps, `_meta.ui.visibility`).
pub(super) fn is_for_apps(tool: &Object<'_>) -> bool {
    let visibility =
        tool.object("_meta").and_then(|meta| meta.object("ui")).and_then(|ui| ui.get("visibility"));
    let visible: Option<Vec<String>> = visibility.and_then(|raw| serde_json::from_str(raw).ok());
    visible.is_some_and(|to| !to.iter().any(|who| who == "model"))
}

/// The words of a text in one form: `addToCart`, `add_to_cart` and `Adds to carts` have `add` and `cart` alike.
fn words(text: &str) -> Vec<String> {
    let (mut all, mut word, mut was_small) = (Vec::new(), String::new(), false);
    for letter in text.chars().chain([' ']) {
        let begins = letter.is_uppercase() && was_small;
        if (begins || !letter.is_alphanumeric()) && !word.is_empty() {
            all.push(stem(std::mem::take(&mut word)));
        }
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
        }
        was_small = letter.is_lowercase() || letter.is_numeric();
    }
    all
}

/// Without the `s` of plurals and of the third person, which is all that English names of tools call for.
fn stem(word: String) -> String {
    match word.strip_suffix('s') {
        Some(stem) if stem.chars().count() >= 3 && !stem.ends_with('s') => stem.to_owned(),
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(tools: &[(&str, &str)]) -> Index {
        let mut index = Index::default();
        for (tool, (name, description)) in tools.iter().enumerate() {
            let definition = format!(
                r#"{{"name":"{name}","description":"{description}","inputSchema":{{"properties":{{"postcode":{{}}}}}}}}"#
            );
            let words = words_of(name, &definition);
            index.lengths.push(words.len());
            for word in words {
                let tools = index.postings.entry(word).or_default();
                match tools.last_mut().filter(|last| last.0 == tool) {
                    Some(last) => last.1 += 1,
                    None => tools.push((tool, 1)),
                }
            }
        }
        index
    }

    #[test]
    fn names_in_every_spelling_come_apart_into_words() {
        assert_eq!(
            words("addToCart add_to-carts HTTPGet2 über"),
            ["add", "to", "cart", "add", "to", "cart", "httpget2", "über"]
        );
        assert_eq!(
            (stem("address".into()), stem("bus".into()), stem("is".into())),
            ("address".into(), "bus".into(), "is".into())
        );
    }

    #[test]
    fn the_tool_that_is_named_by_the_question_comes_first() {
        let tools = [
            ("list_orders", "Lists the orders of a customer."),
            ("add_to_cart", "Puts a product into the cart of the shop."),
            (
                "find_stores",
                "Finds shops near a place where a cart can be filled and orders be fetched, with their hours.",
            ),
            ("delete_file", "Deletes a file."),
        ];
        let index = index(&tools);
        let first = |question: &str| index.best(question, 1).first().map(|tool| tools[*tool].0);
        assert_eq!(first("put something in my cart"), Some("add_to_cart"));
        assert_eq!(first("which stores are near me"), Some("find_stores"));
        assert_eq!(first("customer's ORDERS"), Some("list_orders"));
        assert_eq!(first("weather"), None);
        assert_eq!(index.best("cart orders file", 2).len(), 2);
        assert_eq!(index.best("postcode", 9).len(), 4, "arguments count, too");
    }

    #[test]
    fn a_tool_for_interface_pages_is_not_found() {
        let tool = |visibility: &str| {
            format!(r#"{{"name":"sort","inputSchema":{{}},"_meta":{{"ui":{{"visibility":{visibility}}}}}}}"#)
        };
        assert!(words_of("sort", &tool(r#"["app"]"#)).is_empty());
        assert!(!words_of("sort", &tool(r#"["model","app"]"#)).is_empty());
        assert!(!words_of("sort", r#"{"name":"sort","inputSchema":{}}"#).is_empty());
    }
}
