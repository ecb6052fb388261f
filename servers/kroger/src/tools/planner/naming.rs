//! How near the name of a product is to what somebody wrote: whole words and their plurals, never parts of words.

use super::words::{CHEESES, DECISIVE, FORMS, LOOSE, MADE, NUTS, PLAIN, is_of};
use crate::upstream::model::Product;

/// Words of recipes that say how much, or how it is prepared, and not what.
const RECIPE: &str = "cup tbsp tsp tablespoon teaspoon oz ounce lb lbs pound can pinch of kg gram ml liter pint quart gallon dozen large small medium chopped diced \
    sliced minced grated peeled cubed halved quartered drained rinsed softened melted finely coarsely thinly roughly freshly fresh ripe \
    packed heaping optional divided taste needed to the and or with for plus about inch package pkg jar bottle box bag head bunch slice piece \
    beaten deveined seeded cored undrained washed trimmed boiled pressed juiced zested mashed crumbled toasted warm cold room temperature garnish \
    serving frying cut into";
/// What begins a part of a text that says how, for what or in place of what, and not what.
const ASIDE: [&str; 8] = [",", ";", " for ", " at ", " cut ", " in ", " with ", " or "];
/// What begins a part of a name that says in what it lies or how it is packed.
const AFTER: [&str; 3] = [" in ", " with ", " - "];
/// Words that are looked for.
const MAX_WORDS: usize = 8;

/// The text without numbers, signs and words of recipes, in small letters: what a store's search understands.
pub(super) fn normal(text: &str) -> String {
    let text = without_brackets(&text.to_lowercase());
    let ends = ASIDE.iter().filter_map(|aside| text.find(aside));
    let heads = ends.map(|end| words_of(&text[..end])).filter(|head| !head.is_empty());
    heads.min_by_key(String::len).unwrap_or_else(|| words_of(&text))
}

fn without_brackets(text: &str) -> String {
    let mut depth = 0_u32;
    let outside = |letter: &char| {
        depth = depth.saturating_add(u32::from(*letter == '('));
        let is_outside = depth == 0;
        depth = depth.saturating_sub(u32::from(*letter == ')'));
        is_outside
    };
    text.chars().filter(outside).collect()
}

fn words_of(text: &str) -> String {
    let words = text.split(|letter: char| !letter.is_alphabetic()).filter(|word| word.chars().count() > 1);
    // A clove is a piece of garlic, and a spice.
    let is_garlic = text.contains("garlic");
    let says_what = |word: &&str| !(is_of(word, RECIPE) || is_garlic && same(word, "clove"));
    words.filter(says_what).take(MAX_WORDS).collect::<Vec<_>>().join(" ")
}

/// How near a name is; the least is the nearest. Names of another `missing` or `is_other` are other goods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nearness {
    /// Words of the text that the name lacks, such as only describe it further among them.
    pub(super) missing: usize,
    /// Whether the name ends with another food than the text: `Egg Whites` for eggs.
    pub(super) is_other: bool,
    /// Words of the name beyond the text that say more than a size or a plain kind.
    pub(super) foreign: usize,
}

/// How near the product's name is to `text`, as [`normal`] gives it. `None` where it is not what was asked for, though it may share a word:
/// all words must be there that do not only describe it further, or the last of them and more than half.
pub(super) fn nearness(product: &Product, text: &str) -> Option<Nearness> {
    let wanted: Vec<&str> = text.split_whitespace().collect();
    let (all, own) = words(product);
    let firm: Vec<&str> = wanted.iter().copied().filter(|word| !is_loose(word, &wanted)).collect();
    let food = *firm.last().or(wanted.last())?;
    let missing: Vec<&&str> = wanted.iter().filter(|word| !has(&all, word)).collect();
    let lacking = missing.iter().filter(|word| firm.contains(**word)).count();
    if !has(&own, food)
        || (lacking > 0 && lacking * 2 >= firm.len())
        || missing.iter().any(|word| is_of(word, DECISIVE))
    {
        return None;
    }
    let is_asked = |word: &str| wanted.iter().any(|wanted| same(wanted, word));
    let own = without_cheese(&own, food);
    let foreign: Vec<&String> = own.iter().filter(|word| !is_asked(word) && !is_plain(word)).collect();
    let end = own.iter().rfind(|word| !is_plain(word) || same(word, food));
    let is_other = end.is_some_and(|end| !same(end, food)) || is_nut_butter(own, &is_asked);
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

/// Whether the word only describes the text's food further. Flour and sugar are white where nothing else is said.
fn is_loose(word: &str, wanted: &[&str]) -> bool {
    is_of(word, LOOSE) || word == "white" && wanted.last().is_some_and(|food| is_of(food, "flour sugar"))
}

/// A cheese that is asked for by its kind.
fn without_cheese<'a>(own: &'a [String], food: &str) -> &'a [String] {
    match own {
        [before @ .., kind, cheese] if cheese == "cheese" && same(kind, food) && is_of(kind, CHEESES) => {
            &own[..=before.len()]
        }
        _ => own,
    }
}

fn is_nut_butter(own: &[String], is_asked: &impl Fn(&str) -> bool) -> bool {
    own.windows(2).any(|pair| same(&pair[1], "butter") && is_of(&pair[0], NUTS) && !is_asked(&pair[0]))
}

/// The words of a product's name: all, and those that say what it is, without the brand and what follows.
fn words(product: &Product) -> (Vec<String>, Vec<String>) {
    let split = |text: Option<&str>| -> Vec<String> {
        let text = text.unwrap_or_default().to_lowercase();
        let words =
            text.split(|letter: char| !letter.is_alphabetic()).filter(|word| word.chars().count() > 1);
        words.map(str::to_owned).collect()
    };
    let (all, brand) = (split(product.description.as_deref()), split(product.brand.as_deref()));
    let name = product.description.as_deref().unwrap_or_default();
    let end = AFTER.iter().filter_map(|after| name.find(after)).min().unwrap_or(name.len());
    let own: Vec<String> = split(name.get(..end)).into_iter().filter(|word| !brand.contains(word)).collect();
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
    #[case("Tuna in Vegetable Oil", "vegetable oil")]
    #[case("Macaroni & Cheese", "cheese crackers")]
    #[case("Black Beans", "white beans")]
    #[case("White Rice", "long grain brown rice")]
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
    #[case("Grade A Large White Eggs", "3 eggs, beaten")]
    #[case("Grade A Large White Eggs", "3 large eggs beaten")]
    #[case("Garlic Bulb", "2 cloves garlic, crushed")]
    #[case("Raw Shrimp", "1 lb shrimp, peeled and deveined")]
    #[case("Unsalted Butter Sticks", "unsalted butter, at room temperature")]
    #[case("Chicken Breasts", "boneless skinless chicken breasts, cut into 1-inch cubes")]
    #[case("Red Bell Peppers", "1 red bell pepper (seeded)")]
    #[case("Cilantro Bunch", "cilantro for garnish")]
    #[case("Black Beans", "1 can (15 oz) black beans, undrained")]
    #[case("Diced Tomatoes in Tomato Juice", "canned tomatoes")]
    #[case("Oregano Leaves", "dried oregano")]
    #[case("White Rice", "cooked long grain rice")]
    #[case("Olive Oil", "extra virgin olive oil")]
    #[case("Iodized Salt", "kosher salt")]
    #[case("Chunk Light Tuna in Vegetable Oil", "tuna in water")]
    #[case("Butter Sticks", "butter or margarine")]
    #[case("Sharp Cheddar Cheese", "cheddar")]
    #[case("Soy Sauce", "soy sauce")]
    #[case("Granulated Sugar", "white sugar")]
    #[case("Crunchy Peanut Butter", "peanut butter")]
    fn what_was_asked_for_is_named(#[case] name: &str, #[case] text: &str) {
        assert!(is_named(name, text));
    }

    #[test]
    fn amounts_are_no_part_of_what_is_searched_for() {
        assert_eq!(normal("2 cups chopped Yellow Onions (large)"), "yellow onions");
        assert_eq!(normal("½ tsp"), "");
    }
}
