//! How near the name of a product is to what somebody wrote: whole words and their plurals, never parts of words.

use super::words::{DECISIVE, FORMS, MADE, NUTS, PLAIN, is_of};
use crate::upstream::model::Product;

/// Words of recipes that say how much, or how it is prepared, and not what.
const RECIPE: &str = "cup tbsp tsp tablespoon teaspoon oz ounce lb lbs pound can pinch of kg gram ml liter pint quart gallon dozen large small medium chopped diced \
    sliced minced grated peeled cubed halved quartered drained rinsed softened melted finely coarsely thinly roughly freshly fresh ripe \
    packed heaping optional divided taste needed to the and or with for plus about inch package pkg jar bottle box bag head bunch slice piece";
/// Words that are looked for.
const MAX_WORDS: usize = 8;

/// The text without numbers, signs and words of recipes, in small letters: what a store's search understands.
pub(super) fn normal(text: &str) -> String {
    let text = text.to_lowercase();
    let words = text.split(|letter: char| !letter.is_alphabetic()).filter(|word| word.chars().count() > 1);
    // A clove is a piece of garlic, and a spice.
    let is_garlic = text.contains("garlic");
    let says_what = |word: &&str| !(is_of(word, RECIPE) || is_garlic && same(word, "clove"));
    words.filter(says_what).take(MAX_WORDS).collect::<Vec<_>>().join(" ")
}

/// How near a name is; the least is the nearest. Names of another `missing` or `is_made` are other goods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nearness {
    /// Words of the text that the name lacks.
    pub(super) missing: usize,
    /// Whether the name ends with another food than the text: `Egg Whites` for eggs.
    pub(super) is_other: bool,
    /// Words of the name beyond the text that say more than a size or a plain kind.
    pub(super) foreign: usize,
}

/// How near the product's name is to `text`, as [`normal`] gives it. `None` where it is not what was asked for, though it may share a word:
/// all words must be there, or the one that the text ends with and more than half.
pub(super) fn nearness(product: &Product, text: &str) -> Option<Nearness> {
    let wanted: Vec<&str> = text.split_whitespace().collect();
    let (all, own) = words(product);
    let food = *wanted.last()?;
    let missing: Vec<&&str> = wanted.iter().filter(|word| !has(&all, word)).collect();
    if !has(&own, food)
        || missing.len() * 2 >= wanted.len()
        || missing.iter().any(|word| is_of(word, DECISIVE))
    {
        return None;
    }
    let is_asked = |word: &str| wanted.iter().any(|wanted| same(wanted, word));
    let foreign: Vec<&String> = own.iter().filter(|word| !is_asked(word) && !is_plain(word)).collect();
    let end = own.iter().rfind(|word| !is_plain(word) || same(word, food));
    let is_other = end.is_some_and(|end| !same(end, food)) || is_nut_butter(&own, &is_asked);
    if is_other && end.is_some_and(|end| is_of(end, MADE) && !is_asked(end)) {
        return None;
    }
    Some(Nearness { missing: missing.len(), is_other, foreign: foreign.len() })
}

/// Whether the name shares a word with the text, or at least says something like it.
pub(super) fn is_similar(product: &Product, text: &str) -> bool {
    let (_, own) = words(product);
    text.split_whitespace().any(|word| has(&own, word))
}

/// Whether the word leaves a food what it is. Kinds count in the singular alone: egg whites are no white eggs.
fn is_plain(word: &str) -> bool {
    PLAIN.split_ascii_whitespace().any(|plain| plain == word) || is_of(word, FORMS)
}

fn is_nut_butter(own: &[String], is_asked: &impl Fn(&str) -> bool) -> bool {
    own.windows(2).any(|pair| same(&pair[1], "butter") && is_of(&pair[0], NUTS) && !is_asked(&pair[0]))
}

/// The words of a product's name: all, and those that are not of the brand.
fn words(product: &Product) -> (Vec<String>, Vec<String>) {
    let split = |text: Option<&str>| -> Vec<String> {
        let text = text.unwrap_or_default().to_lowercase();
        let words =
            text.split(|letter: char| !letter.is_alphabetic()).filter(|word| word.chars().count() > 1);
        words.map(str::to_owned).collect()
    };
    let (all, brand) = (split(product.description.as_deref()), split(product.brand.as_deref()));
    let own: Vec<String> = all.iter().filter(|word| !brand.contains(word)).cloned().collect();
    if own.is_empty() { (all.clone(), all) } else { (all, own) }
}

fn has(words: &[String], wanted: &str) -> bool {
    words.iter().any(|word| same(word, wanted))
}

/// Whether two words are one, in either number.
fn same(one: &str, other: &str) -> bool {
    is_of(one, other) || is_of(other, one)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn is_named(name: &str, text: &str) -> bool {
        let product = json!({ "productId": "1", "description": name, "brand": "Harbor Lane" });
        nearness(&serde_json::from_value(product).unwrap(), &normal(text)).is_some()
    }

    #[rstest]
    #[case("Hamburger Buns", "ham")]
    #[case("Hamburger Buns", "hamburger")]
    #[case("Iceberg Lettuce", "ice")]
    #[case("Vanilla Ice Cream", "ice")]
    #[case("Italian Sausage Links", "sage")]
    #[case("Chocolate Milk", "cola")]
    #[case("Crumbled Feta Cheese", "rum")]
    #[case("Original Tempeh", "gin")]
    #[case("Corn Tortillas", "flour tortillas")]
    #[case("Corn Tortillas", "corn")]
    #[case("Vegetable Oil", "olive oil")]
    #[case("Vegetable Oil", "extra virgin olive oil")]
    #[case("Sweet Potatoes", "russet potatoes")]
    #[case("Ground Cumin", "ground cinnamon")]
    #[case("Ground Beef 90% Lean", "1 tsp ground cloves")]
    #[case("Brown Rice", "brown sugar")]
    #[case("Boneless Skinless Chicken Thighs", "boneless skinless chicken breasts")]
    #[case("Salted Butter Sticks", "unsalted butter sticks")]
    #[case("White Sandwich Bread", "gluten free sandwich bread")]
    #[case("Oat Milk", "oats")]
    #[case("Harbor Lane Crisps", "harbor")]
    fn what_was_not_asked_for_is_not_named(#[case] name: &str, #[case] text: &str) {
        assert!(!is_named(name, text));
    }

    #[rstest]
    #[case("2% Reduced Fat Milk", "milk")]
    #[case("Grade A Large White Eggs", "2 large eggs")]
    #[case("Boneless Skinless Chicken Breasts", "chicken breast")]
    #[case("All Purpose Flour", "2 cups flour")]
    #[case("All Purpose Flour", "2 cups all-purpose white flour")]
    #[case("Garlic Bulb", "2 cloves garlic")]
    #[case("Ground Cloves", "ground cloves")]
    #[case("Spaghetti Pasta", "spaghetti")]
    #[case("Strawberries", "1 pint strawberry")]
    #[case("Ground Black Pepper", "freshly ground pepper, to taste")]
    #[case("Creamy Peanut Butter", "peanut butter")]
    fn what_was_asked_for_is_named(#[case] name: &str, #[case] text: &str) {
        assert!(is_named(name, text));
    }

    #[test]
    fn amounts_are_no_part_of_what_is_searched_for() {
        assert_eq!(normal("2 cups chopped Yellow Onions (large)"), "yellow onions");
        assert_eq!(normal("½ tsp"), "");
    }
}
