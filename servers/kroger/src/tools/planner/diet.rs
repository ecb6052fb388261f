//! Whether a product fits a diet, by what Kroger tells of it: categories, allergens, claims and its name. Where that says too little the
//! product does not fit: somebody may be allergic.

use super::{
    reason::Reason,
    week::Ingredient,
    words::{DAIRY, FOODS, KINDS, MEAT, NUTS, OF_ANIMALS, PLANT, PREPARED, WHEAT, is_of},
};
use crate::{shop::Products, tools::profile::Diet, upstream::model::Product};

/// Why the product does not fit the diets: that of the first which it does not fit.
pub(super) fn clash(product: &Product, diets: &[Diet]) -> Option<Reason> {
    let facts = Facts::of(product);
    diets.iter().find_map(|diet| facts.conflict(*diet))
}

/// Why the product that an ingredient has does not fit; `None` also where it has none, or nothing is known of it.
pub(super) fn clash_of(ingredient: &Ingredient, products: &Products, diets: &[Diet]) -> Option<Reason> {
    clash(products.by_id.get(ingredient.product_id.as_deref()?)?, diets)
}

/// What is known of a product.
struct Facts<'a> {
    /// The words of its name, without single letters and numbers.
    words: Vec<String>,
    product: &'a Product,
}

fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace('&', " and ");
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    let says_something = |word: &&str| word.len() > 1 && !word.bytes().all(|byte| byte.is_ascii_digit());
    words.filter(says_something).map(str::to_owned).collect()
}

impl<'a> Facts<'a> {
    fn of(product: &'a Product) -> Self {
        Self { words: words(product.description.as_deref().unwrap_or_default()), product }
    }

    fn conflict(&self, diet: Diet) -> Option<Reason> {
        match diet {
            Diet::Vegetarian => self.is_meat().then_some(Reason::Meat),
            Diet::Vegan => self.against_vegan(),
            Diet::GlutenFree => self.against_gluten_free(),
            Diet::DairyFree => self.against_dairy_free(),
            Diet::NutFree => self.against_nut_free(),
            Diet::Organic => (!self.is_organic()).then_some(Reason::NotOrganic),
        }
    }

    fn against_vegan(&self) -> Option<Reason> {
        if self.is_meat() {
            return Some(Reason::Meat);
        }
        if self.is_dairy() {
            return Some(Reason::Milk);
        }
        if self.says(OF_ANIMALS) || self.has_allergen(&["egg"]) {
            return Some(Reason::OfAnimals);
        }
        let settled = self.says("vegan") || self.is_known();
        (!settled).then_some(Reason::NotSaidVegan)
    }

    fn against_gluten_free(&self) -> Option<Reason> {
        const IN_DOUBT: Option<Reason> = Some(Reason::NotSaidGlutenFree);
        if self.has_allergen(&["wheat", "gluten", "barley", "rye"]) {
            return Some(Reason::Gluten);
        }
        if self.is_claimed_free("gluten", &["gluten"]) {
            return None;
        }
        if self.says(WHEAT) || !self.is_known() { IN_DOUBT } else { None }
    }

    fn against_dairy_free(&self) -> Option<Reason> {
        if self.has_allergen(&["milk", "dairy"]) {
            return Some(Reason::Milk);
        }
        if self.is_claimed_free("dairy", &["dairy", "milk"]) || self.says("vegan") {
            return None;
        }
        if self.is_dairy() {
            return Some(Reason::Milk);
        }
        (!self.is_known()).then_some(Reason::NotSaidDairyFree)
    }

    fn against_nut_free(&self) -> Option<Reason> {
        if self.has_allergen(&["nut"]) {
            return Some(Reason::Nuts);
        }
        if self.is_claimed_free("nut", &["nuts"]) {
            return None;
        }
        if self.says(NUTS) {
            return Some(Reason::Nuts);
        }
        (!self.is_known()).then_some(Reason::NotSaidNutFree)
    }

    /// Whether what is in it is known well enough to go by what it does not name: its maker lists allergens, it is fruit or vegetables, or
    /// its name has a single food and no word beyond the brand that may bring in another.
    fn is_known(&self) -> bool {
        let is_plain_produce = self.is_in("Produce") && !self.says(PREPARED);
        self.allergens().any(|(_, is_free)| !is_free) || is_plain_produce || self.is_plain()
    }

    fn is_plain(&self) -> bool {
        let brand = words(self.product.brand.as_deref().unwrap_or_default());
        let own: Vec<&String> = self.words.iter().filter(|word| !brand.contains(word)).collect();
        let foods = own.iter().filter(|word| is_of(word, FOODS)).count();
        foods == 1 && own.iter().all(|word| is_of(word, FOODS) || is_of(word, KINDS))
    }

    fn says(&self, list: &str) -> bool {
        self.words.iter().any(|word| is_of(word, list))
    }

    fn is_in(&self, category: &str) -> bool {
        self.product.categories.iter().any(|of_product| of_product == category)
    }

    /// Names of allergens in small letters, and whether the product is said to be free of them.
    fn allergens(&self) -> impl Iterator<Item = (String, bool)> {
        self.product.allergens.iter().map(|allergen| {
            let small = |text: Option<&String>| text.map(|text| text.to_lowercase()).unwrap_or_default();
            let level = small(allergen.level_of_containment_name.as_ref());
            (small(allergen.name.as_ref()), level.contains("free"))
        })
    }

    /// Allergens that the product contains or may contain.
    fn has_allergen(&self, names: &[&str]) -> bool {
        self.allergens().any(|(name, is_free)| !is_free && names.iter().any(|wanted| name.contains(wanted)))
    }

    /// Whether its name says `gluten free` and the like, or its maker that it is free of one of these allergens.
    fn is_claimed_free(&self, of: &str, allergens: &[&str]) -> bool {
        self.words.windows(2).any(|pair| pair[0] == of && pair[1] == "free")
            || self.allergens().any(|(name, is_free)| is_free && allergens.contains(&name.as_str()))
    }

    fn is_meat(&self) -> bool {
        self.is_in("Meat & Seafood") || self.says(MEAT) || self.has_allergen(&["fish"])
    }

    /// Each word of dairy counts, but for one behind a plant's (`oat milk`, `peanut butter`). What stands with the dairy and says nothing
    /// counts too, unless it is eggs or plainly a plant's.
    fn is_dairy(&self) -> bool {
        let of_plant = |index: usize| index > 0 && is_of(&self.words[index - 1], PLANT);
        let mut named = self.words.iter().enumerate().filter(|(_, word)| is_of(word, DAIRY));
        let is_named = named.any(|(index, _)| !of_plant(index));
        let stands_with = self.is_in("Dairy") && !self.says(PLANT) && !self.says("egg tofu alternative");
        self.has_allergen(&["milk", "dairy"]) || is_named || stands_with
    }

    fn is_organic(&self) -> bool {
        self.product.organic_claim_name.as_deref().is_some_and(|name| !name.is_empty())
            || self.says("organic")
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    /// A product whose maker lists an allergen, or with `free of` before it that it is not in there.
    fn product(name: &str, category: &str, allergen: Option<&str>) -> Product {
        let listed = |name: &&str| match name.strip_prefix("free of ") {
            Some(name) => json!({ "name": name, "levelOfContainmentName": "Free from" }),
            None => json!({ "name": name, "levelOfContainmentName": "Contains" }),
        };
        let allergens: Vec<_> = allergen.iter().map(listed).collect();
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
    #[case("Corn Tortillas", "Bakery", Some("free of Gluten"), Diet::GlutenFree, true)]
    #[case("Corn Tortillas", "Bakery", None, Diet::GlutenFree, false)]
    #[case("Gluten Free Bread", "Bakery", Some("Wheat"), Diet::GlutenFree, false)]
    #[case("Ham Steak", "Deli", None, Diet::Vegetarian, false)]
    #[case("Graham Crackers", "Snacks", None, Diet::Vegetarian, true)]
    #[case("Mayonnaise", "Condiment & Sauces", Some("Eggs"), Diet::Vegan, false)]
    #[case("Organic Carrots", "Produce", None, Diet::Organic, true)]
    #[case("Carrots", "Produce", None, Diet::Organic, false)]
    #[case("Corn Muffins", "Bakery", None, Diet::GlutenFree, false)]
    #[case("Corn Muffins", "Bakery", Some("Milk"), Diet::GlutenFree, false)]
    #[case("Mystery Loaf", "Bakery", Some("Soybeans"), Diet::GlutenFree, false)]
    #[case("Cinnamon Sugar Donuts", "Bakery", None, Diet::GlutenFree, false)]
    #[case("Sea Salt Pita Chips", "Snacks", None, Diet::GlutenFree, false)]
    #[case("Chicken Noodle Soup", "Canned & Packaged", None, Diet::GlutenFree, false)]
    #[case("Chicken & Rice", "Frozen", None, Diet::GlutenFree, false)]
    #[case("Breaded Shrimp", "Meat & Seafood", None, Diet::GlutenFree, false)]
    #[case("Caesar Salad Kit", "Produce", None, Diet::GlutenFree, false)]
    #[case("Boneless Skinless Chicken Breasts", "Meat & Seafood", None, Diet::GlutenFree, true)]
    #[case("Honeycrisp Apples", "Produce", None, Diet::GlutenFree, true)]
    #[case("Almond Beverage", "Dairy", Some("Tree Nuts"), Diet::GlutenFree, true)]
    #[case("Tomato Ketchup", "Condiment & Sauces", Some("free of Gluten"), Diet::GlutenFree, true)]
    #[case("Tomato Ketchup", "Condiment & Sauces", Some("free of Soybeans"), Diet::GlutenFree, false)]
    #[case("Sliced Provolone", "Deli", None, Diet::DairyFree, false)]
    #[case("Sliced Provolone", "Deli", None, Diet::Vegan, false)]
    #[case("Buttermilk Pancake Mix", "Breakfast", None, Diet::DairyFree, false)]
    #[case("Buttermilk Pancake Mix", "Breakfast", None, Diet::Vegan, false)]
    #[case("Mystery Loaf", "Bakery", None, Diet::DairyFree, false)]
    #[case("Mystery Loaf", "Bakery", None, Diet::Vegan, false)]
    #[case("Dairy Free Cake", "Bakery", None, Diet::DairyFree, true)]
    #[case("Dairy Free Cake", "Bakery", None, Diet::Vegan, false)]
    #[case("Vegan Cheddar Slices", "Dairy", None, Diet::DairyFree, true)]
    #[case("Pinto Beans", "Canned & Packaged", None, Diet::Vegan, true)]
    #[case("Mushroom Ravioli", "Frozen", Some("Wheat"), Diet::Vegan, true)]
    #[case("Meatballs", "Frozen", None, Diet::Vegetarian, false)]
    #[case("Chorizo", "Deli", None, Diet::Vegetarian, false)]
    #[case("Prosciutto", "Deli", None, Diet::Vegetarian, false)]
    #[case("Clam Chowder", "Canned & Packaged", None, Diet::Vegetarian, false)]
    #[case("Brownie Mix", "Baking Goods", None, Diet::NutFree, false)]
    #[case("Brownie Mix", "Baking Goods", Some("Wheat"), Diet::NutFree, true)]
    #[case("Nut Free Brownie Mix", "Baking Goods", None, Diet::NutFree, true)]
    #[case("Brown Rice", "Pasta, Sauces, Grain", None, Diet::NutFree, true)]
    fn a_diet_is_kept_by_what_is_known_of_a_product(
        #[case] name: &str,
        #[case] category: &str,
        #[case] allergen: Option<&str>,
        #[case] diet: Diet,
        #[case] fits: bool,
    ) {
        assert_eq!(clash(&product(name, category, allergen), &[diet]).is_none(), fits);
    }

    #[test]
    fn words_of_the_brand_bring_nothing_in_and_take_nothing_out() {
        let of_brand = |brand: &str, name: &str| {
            let product =
                json!({ "productId": "1", "brand": brand, "description": name, "categories": ["Grain"] });
            clash(&serde_json::from_value(product).unwrap(), &[Diet::GlutenFree]).is_none()
        };
        assert!(of_brand("Harbor Lane", "Harbor Lane Brown Rice"));
        assert!(!of_brand("Rice Harbor", "Rice Harbor Crisps"));
        assert!(!of_brand("Wheat Fields", "Wheat Fields Brown Rice"));
    }
}
