//! Words of product names that tell what is in a product, in one place. Each stands in its singular; the plural counts as well.

/// Meat and fish, and what is made of them.
pub(super) const MEAT: &str = "meat meatball meatloaf beef steak sirloin ribeye brisket veal bison venison jerky pastrami bologna \
    chicken poultry turkey duck goose quail hen rotisserie wing liver pate bone \
    pork ham bacon pancetta prosciutto rib carnitas lard chorizo sausage salami salame pepperoni bratwurst frankfurter wiener kielbasa \
    mortadella soppressata capicola andouille linguica lamb mutton carne barbacoa \
    fish seafood salmon tuna tilapia cod trout halibut mackerel sardine anchovy herring haddock pollock catfish snapper swordfish surimi \
    caviar shrimp prawn crab lobster crawfish clam oyster mussel scallop calamari squid octopus chowder \
    worcestershire caesar gelatin collagen marshmallow gummy tallow suet";

/// What is made of milk.
pub(super) const DAIRY: &str = "milk buttermilk cheese butter cream creamer yogurt kefir whey casein caseinate lactose ghee curd custard \
    cheddar gouda mozzarella parmesan romano asiago provolone swiss colby monterey brie camembert feta ricotta mascarpone gorgonzola \
    gruyere havarti muenster queso cotija manchego halloumi paneer burrata velveeta \
    pizza croissant alfredo ranch caesar latte gelato sherbet milkshake quesadilla pancake waffle";

/// What is made of eggs or by bees.
pub(super) const OF_ANIMALS: &str = "egg honey mayonnaise mayo aioli meringue brioche beeswax";

/// Plants before `milk`, `butter` and the like.
pub(super) const PLANT: &str = "oat almond soy coconut cashew rice peanut vegan pea";

pub(super) const NUTS: &str = "nut almond peanut pecan walnut cashew hazelnut pistachio macadamia praline marzipan nougat nutella granola \
    muesli pesto baklava satay";

/// What has gluten wherever it is.
pub(super) const WHEAT: &str = "wheat bread loaf baguette breaded breading flour cracker cookie pretzel cereal bagel bun roll pizza pasta \
    noodle spaghetti macaroni lasagna ravioli couscous croissant naan pita tortilla pancake waffle biscuit muffin donut doughnut cake brownie pie \
    crouton stuffing ramen wonton dumpling granola barley rye malt malted beer seitan farro bulgur semolina spelt soy oat";

/// Foods that are nothing but themselves, where no further one stands beside them.
pub(super) const FOODS: &str = "rice quinoa bean lentil pea oil sugar salt pepper cumin chili honey potato corn popcorn broccoli blueberry \
    strawberry spinach tomato juice coffee tea water milk cream butter cheese egg chicken beef pork turkey lamb salmon tilapia cod shrimp";

/// Words beside them that say of what kind they are, and bring nothing in.
pub(super) const KINDS: &str = "organic fresh frozen raw dry dried pure natural whole ground granulated powder brown white red green \
    black yellow long grain jasmine basmati pinto kidney garbanzo navy baby sweet sea kosher extra virgin olive vegetable canola \
    avocado coconut oat almond peanut soy creamy crunchy bell clover large medium small grade cage free reduced fat lowfat skim \
    unsalted salted heavy whipping shredded block cheddar mozzarella gouda parmesan feta aged sharp mild diced crushed sliced paste \
    floret crown kernel orange apple lemon lime sparkling colombian purified drinking boneless skinless breast thigh loin chop fillet \
    lean wild caught atlantic peeled";

/// What makes more of fruit and vegetables than themselves.
pub(super) const PREPARED: &str = "kit dip salad dressing sauce bowl tray snack mix stuffed seasoned glazed caramel chocolate roll soup pudding";

/// Words of names that say of what size, cut or plain kind a food is, and leave it what it is.
pub(super) const PLAIN: &str = "organic fresh natural pure raw whole reduced fat lowfat low nonfat skim vitamin lactose free grade cage large \
    medium small jumbo extra plain greek white yellow red black ground granulated long grain all purpose boneless skinless peeled lean salted";

/// Words at the end of names that say in what form or pack a food comes.
pub(super) const FORMS: &str = "bulb stick block bunch stalk crown root floret link fillet heart each bag gallon count ct pack jug carton jar bottle tub \
    pouch box can oz lb";

/// What may stand before `cheese` and be meant alone.
pub(super) const CHEESES: &str = "cheddar gouda mozzarella parmesan romano asiago provolone swiss colby brie camembert feta ricotta gorgonzola gruyere \
    havarti muenster cotija manchego halloumi";

/// Words of a text that describe a food further. Goods may lack them, and those that have them go first.
pub(super) const LOOSE: &str = "canned dried crushed shredded cooked uncooked frozen raw extra virgin boneless skinless lean long grain all purpose \
    kosher sea table ground plain organic natural large medium small jumbo";

/// Words that a product must have where somebody asks for them, however many others it has.
pub(super) const DECISIVE: &str = "free vegan vegetarian gluten dairy lactose nut sugar unsalted unsweetened salted sodium decaf decaffeinated whole skim";

/// Foods that are made of what stands before them, and are something else: corn tortillas are no corn.
pub(super) const MADE: &str = "tortilla chip crisp cracker cookie cake cream juice oil butter broth stock soup milk flour powder vinegar yogurt \
    pizza bun snack ketchup jam jelly syrup beverage drink alternative ring";

/// Whether the word is one of the list, or the plural of one.
pub(super) fn is_of(word: &str, list: &str) -> bool {
    let word_is = |known: &str| match word.strip_prefix(known) {
        Some(rest) => ["", "s", "es"].contains(&rest),
        None => known.strip_suffix('y').is_some_and(|stem| word.strip_prefix(stem) == Some("ies")),
    };
    list.split_ascii_whitespace().any(word_is)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::is_of;

    #[rstest]
    #[case("egg", true)]
    #[case("eggs", true)]
    #[case("tomatoes", true)]
    #[case("anchovies", true)]
    #[case("eggplant", false)]
    #[case("eg", false)]
    #[case("", false)]
    fn a_word_of_a_list_is_known_in_both_numbers(#[case] word: &str, #[case] known: bool) {
        assert_eq!(is_of(word, "egg tomato anchovy"), known);
    }
}
