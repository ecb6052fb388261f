//! Whether a product fits a diet, by what Kroger tells of it: categories, allergens, claims and its name. Where that says too little the
//! product does not fit: somebody may be allergic.

use crate::{tools::profile::Diet, upstream::model::Product};

const MEAT: &[&str] = &[
    "chicken",
    "beef",
    "pork",
    "bacon",
    "turkey",
    "sausage",
    "sausages",
    "ham",
    "salmon",
    "tuna",
    "shrimp",
    "tilapia",
    "fish",
    "steak",
    "steaks",
    "lamb",
    "anchovy",
    "anchovies",
    "gelatin",
    "rotisserie",
    "pepperoni",
    "salami",
    "cod",
    "crab",
    "lobster",
    "veal",
    "duck",
];
const DAIRY: &[&str] = &[
    "milk",
    "cheese",
    "butter",
    "cream",
    "yogurt",
    "whey",
    "ricotta",
    "feta",
    "mozzarella",
    "parmesan",
    "ghee",
    "casein",
    "cheddar",
    "gouda",
    "pizza",
    "croissant",
    "croissants",
    "custard",
];
/// Words before `milk`, `butter` and the like that make them of plants.
const PLANT: &[&str] = &["oat", "almond", "soy", "coconut", "cashew", "rice", "peanut", "vegan", "pea"];
const NUTS: &[&str] = &[
    "almond",
    "almonds",
    "peanut",
    "peanuts",
    "pecan",
    "pecans",
    "walnut",
    "walnuts",
    "cashew",
    "cashews",
    "hazelnut",
    "hazelnuts",
    "pistachio",
    "pistachios",
    "nut",
    "nuts",
    "macadamia",
    "praline",
    "marzipan",
    "granola",
];
/// Categories whose goods are mostly made of wheat.
const GRAIN: &[&str] =
    &["Bakery", "Pasta, Sauces, Grain", "Breakfast", "Baking Goods", "Snacks", "Frozen", "Deli"];
/// What has gluten wherever it is.
const WHEAT: &[&str] = &[
    "wheat",
    "bread",
    "pasta",
    "flour",
    "cracker",
    "crackers",
    "cookie",
    "cookies",
    "pretzel",
    "pretzels",
    "cereal",
    "bagel",
    "bagels",
    "bun",
    "buns",
    "pizza",
    "noodles",
    "spaghetti",
    "macaroni",
    "couscous",
    "croissant",
    "croissants",
    "naan",
    "tortilla",
    "tortillas",
    "pancake",
    "granola",
    "barley",
    "rye",
    "malt",
    "beer",
    "soy",
    "cake",
    "cakes",
    "pie",
    "pies",
    "oats",
    "oat",
];
/// What is of those categories and is nothing but itself.
const NO_GRAIN: &[&str] = &[
    "rice",
    "quinoa",
    "beans",
    "oil",
    "sugar",
    "salt",
    "pepper",
    "cumin",
    "chili",
    "honey",
    "potato",
    "corn",
    "peas",
    "broccoli",
    "blueberries",
    "popcorn",
    "hummus",
];

struct Facts<'a> {
    words: Vec<String>,
    product: &'a Product,
}

/// Why the product does not fit; `None` where it does.
pub(super) fn conflict(product: &Product, diet: Diet) -> Option<&'static str> {
    let name = product.description.as_deref().unwrap_or_default().to_lowercase();
    let words = name.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let facts = Facts { words: words.map(str::to_owned).collect(), product };
    match diet {
        Diet::Vegetarian => facts.is_meat().then_some("is meat or fish"),
        Diet::Vegan if facts.is_meat() => Some("is meat or fish"),
        Diet::Vegan if facts.is_dairy() => Some("has milk"),
        Diet::Vegan => (facts.says(&["egg", "eggs", "honey"]) || facts.has_allergen(&["egg"]))
            .then_some("comes from animals"),
        Diet::GlutenFree => facts.has_gluten().then_some("is not said to be free of gluten"),
        Diet::DairyFree => facts.is_dairy().then_some("has milk"),
        Diet::NutFree => facts.has_nuts().then_some("has nuts"),
        Diet::Organic => (!facts.is_organic()).then_some("is not organic"),
    }
}

impl Facts<'_> {
    fn says(&self, words: &[&str]) -> bool {
        self.words.iter().any(|word| words.contains(&word.as_str()))
    }

    /// Whether these two words stand one after the other.
    fn says_both(&self, first: &str, second: &str) -> bool {
        self.words.windows(2).any(|pair| pair[0] == first && pair[1] == second)
    }

    fn is_in(&self, categories: &[&str]) -> bool {
        self.product.categories.iter().any(|category| categories.contains(&category.as_str()))
    }

    /// Allergens that the product contains or may contain.
    fn has_allergen(&self, names: &[&str]) -> bool {
        self.product.allergens.iter().any(|allergen| {
            let name = allergen.name.as_deref().unwrap_or_default().to_lowercase();
            let level = allergen.level_of_containment_name.as_deref().unwrap_or_default().to_lowercase();
            !level.contains("free") && names.iter().any(|wanted| name.contains(wanted))
        })
    }

    fn is_meat(&self) -> bool {
        self.is_in(&["Meat & Seafood"]) || self.says(MEAT) || self.has_allergen(&["fish"])
    }

    /// Each word of dairy counts, but for one behind a plant's (`oat milk`, `peanut butter`). What stands with the dairy and says nothing
    /// counts too, unless it is eggs or plainly a plant's.
    fn is_dairy(&self) -> bool {
        let of_plant = |index: usize| index > 0 && PLANT.contains(&self.words[index - 1].as_str());
        let mut named = self.words.iter().enumerate().filter(|(_, word)| DAIRY.contains(&word.as_str()));
        let is_named = named.any(|(index, _)| !of_plant(index));
        let stands_with = self.is_in(&["Dairy"])
            && !self.says(PLANT)
            && !self.says(&["egg", "eggs", "tofu", "alternative"]);
        self.has_allergen(&["milk"]) || is_named || stands_with
    }

    fn has_gluten(&self) -> bool {
        if self.has_allergen(&["wheat", "gluten", "barley", "rye"]) {
            return true;
        }
        if self.says_both("gluten", "free") {
            return false;
        }
        let corn = self.says_both("corn", "tortillas") || self.says_both("corn", "tortilla");
        let wheat = self
            .words
            .iter()
            .any(|word| WHEAT.contains(&word.as_str()) && !(corn && word.starts_with("tortilla")));
        wheat || (self.is_in(GRAIN) && !self.says(NO_GRAIN))
    }

    fn has_nuts(&self) -> bool {
        self.has_allergen(&["nut"]) || self.says(NUTS)
    }

    fn is_organic(&self) -> bool {
        self.product.organic_claim_name.as_deref().is_some_and(|name| !name.is_empty())
            || self.says(&["organic"])
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn product(name: &str, category: &str, allergen: Option<&str>) -> Product {
        let allergens: Vec<_> = allergen
            .iter()
            .map(|name| json!({ "name": name, "levelOfContainmentName": "Contains" }))
            .collect();
        serde_json::from_value(json!({ "productId": "1", "description": name, "categories": [category], "allergens": allergens })).unwrap()
    }

    #[rstest]
    #[case("Boneless Chicken Breasts", "Meat & Seafood", None, Diet::Vegetarian, false)]
    #[case("Organic Vegetable Broth", "Canned & Packaged", None, Diet::Vegetarian, true)]
    #[case("Chicken Broth", "Canned & Packaged", None, Diet::Vegetarian, false)]
    #[case("Organic Firm Tofu", "Produce", Some("Soy"), Diet::Vegan, true)]
    #[case("Oat Milk", "Dairy", None, Diet::Vegan, true)]
    #[case("2% Milk", "Dairy", Some("Milk"), Diet::Vegan, false)]
    #[case("Large Eggs", "Dairy", Some("Eggs"), Diet::Vegan, false)]
    #[case("Large Eggs", "Dairy", Some("Eggs"), Diet::DairyFree, true)]
    #[case("Pure Clover Honey", "Baking Goods", None, Diet::Vegan, false)]
    #[case("Eggplant", "Produce", None, Diet::Vegan, true)]
    #[case("White Bread", "Bakery", Some("Wheat"), Diet::GlutenFree, false)]
    #[case("Mystery Loaf", "Bakery", None, Diet::GlutenFree, false)]
    #[case("Gluten Free White Bread", "Bakery", None, Diet::GlutenFree, true)]
    #[case("Brown Rice", "Pasta, Sauces, Grain", None, Diet::GlutenFree, true)]
    #[case("Soy Sauce", "Condiment & Sauces", None, Diet::GlutenFree, false)]
    #[case("Creamy Peanut Butter", "Condiment & Sauces", Some("Peanuts"), Diet::NutFree, false)]
    #[case("Coconut Cream", "Canned & Packaged", None, Diet::NutFree, true)]
    #[case("Goat Cheese", "Dairy", None, Diet::Vegan, false)]
    #[case("Goat Cheese", "Dairy", None, Diet::DairyFree, false)]
    #[case("Peanut Butter Ice Cream", "Frozen", None, Diet::DairyFree, false)]
    #[case("Creamy Peanut Butter", "Condiment & Sauces", None, Diet::DairyFree, true)]
    #[case("Egg & Cheese Croissant", "Frozen", None, Diet::DairyFree, false)]
    #[case("Almond Coconut Granola Bars", "Snacks", None, Diet::NutFree, false)]
    #[case("Sugar Cookies", "Bakery", None, Diet::GlutenFree, false)]
    #[case("Salted Pretzels", "Snacks", None, Diet::GlutenFree, false)]
    #[case("Honey Wheat Crackers", "Snacks", None, Diet::GlutenFree, false)]
    #[case("Corn Tortillas", "Bakery", None, Diet::GlutenFree, true)]
    #[case("Gluten Free Bread", "Bakery", Some("Wheat"), Diet::GlutenFree, false)]
    #[case("Ham Steak", "Deli", None, Diet::Vegetarian, false)]
    #[case("Graham Crackers", "Snacks", None, Diet::Vegetarian, true)]
    #[case("Mayonnaise", "Condiment & Sauces", Some("Eggs"), Diet::Vegan, false)]
    #[case("Organic Carrots", "Produce", None, Diet::Organic, true)]
    #[case("Carrots", "Produce", None, Diet::Organic, false)]
    fn a_diet_is_kept_by_what_is_known_of_a_product(
        #[case] name: &str,
        #[case] category: &str,
        #[case] allergen: Option<&str>,
        #[case] diet: Diet,
        #[case] fits: bool,
    ) {
        assert_eq!(conflict(&product(name, category, allergen), diet).is_none(), fits);
    }
}
