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
    "ham",
    "salmon",
    "tuna",
    "shrimp",
    "tilapia",
    "fish",
    "steak",
    "lamb",
    "anchovy",
    "gelatin",
    "rotisserie",
    "pepperoni",
    "salami",
];
const DAIRY: &[&str] =
    &["milk", "cheese", "butter", "cream", "yogurt", "whey", "ricotta", "feta", "mozzarella", "parmesan"];
const PLANT: &[&str] = &[
    "oat",
    "almond",
    "soy",
    "coconut",
    "cashew",
    "alternative",
    "tofu",
    "vegan",
    "plant",
    "peanut",
    "dairy free",
];
const NUTS: &[&str] =
    &["almond", "peanut", "pecan", "walnut", "cashew", "hazelnut", "pistachio", "nut", "trail mix"];
/// Categories whose goods are mostly made of wheat.
const GRAIN: &[&str] = &["Bakery", "Pasta, Sauces, Grain", "Breakfast", "Baking Goods", "Snacks"];
/// What is of those categories and has no gluten of its own.
const NO_GRAIN: &[&str] = &[
    "rice",
    "quinoa",
    "bean",
    "oil",
    "sugar",
    "salt",
    "pepper",
    "cumin",
    "honey",
    "sauce",
    "pesto",
    "corn tortilla",
    "potato chips",
];

struct Facts<'a> {
    name: String,
    product: &'a Product,
}

/// Why the product does not fit; `None` where it does.
pub(super) fn conflict(product: &Product, diet: Diet) -> Option<&'static str> {
    let facts = Facts { name: product.description.as_deref().unwrap_or_default().to_lowercase(), product };
    match diet {
        Diet::Vegetarian => facts.is_meat().then_some("is meat or fish"),
        Diet::Vegan if facts.is_meat() => Some("is meat or fish"),
        Diet::Vegan if facts.is_dairy() => Some("has milk"),
        Diet::Vegan => facts
            .says(&["egg", "honey"])
            .then_some("comes from animals")
            .filter(|_| !facts.says(&["eggplant"])),
        Diet::GlutenFree => facts.has_gluten().then_some("is not said to be free of gluten"),
        Diet::DairyFree => facts.is_dairy().then_some("has milk"),
        Diet::NutFree => facts.has_nuts().then_some("has nuts"),
        Diet::Organic => (!facts.is_organic()).then_some("is not organic"),
    }
}

impl Facts<'_> {
    fn says(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.name.contains(word))
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
        !self.says(&["vegetable broth", "plant based"])
            && (self.is_in(&["Meat & Seafood"]) || self.says(MEAT) || self.has_allergen(&["fish"]))
    }

    fn is_dairy(&self) -> bool {
        let named = self.is_in(&["Dairy"]) || self.says(DAIRY);
        let egg = self.says(&["egg"]) && !self.has_allergen(&["milk"]);
        self.has_allergen(&["milk"]) || (named && !self.says(PLANT) && !egg)
    }

    fn has_gluten(&self) -> bool {
        if self.says(&["gluten free"]) {
            return false;
        }
        self.has_allergen(&["wheat", "gluten", "barley", "rye"])
            || self.says(&["soy sauce", "bread", "pizza"])
            || (self.is_in(GRAIN) && !self.says(NO_GRAIN))
    }

    fn has_nuts(&self) -> bool {
        self.has_allergen(&["nut"]) || (self.says(NUTS) && !self.says(&["coconut", "nutmeg", "doughnut"]))
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
