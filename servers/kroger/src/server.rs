//! The server: its tools, its pages, its other paths.

use std::sync::Arc;

use axum::Router;
use http::Method;
use jiff::Timestamp;
use portico_kit::{
    About, Caller, Component, RestRoute, Server, ToolCall,
    component::shown_by,
    tool::{self, Answer, Effect, ToolError, define},
};
use rmcp::model::Tool;
use serde_json::{Map, Value};

use crate::{
    account::{User, Who},
    shop::Shop,
    tools::{cart, coupons, lists, orders, planner, profile, search, stores},
};

/// The pages that show what the tools answer, and their names for people.
const PAGES: [(&str, &str); 8] = [
    ("product-grid", "Products"),
    ("store-map", "Stores"),
    ("cart", "Cart"),
    ("coupons", "Coupons and offers"),
    ("profile", "Profile"),
    ("orders", "Orders"),
    ("lists", "Shopping lists"),
    ("planner", "Meal plan"),
];

/// Kroger as a server.
pub(crate) struct Kroger {
    shop: Arc<Shop>,
    tools: Vec<Tool>,
    components: Vec<Component>,
}

/// What carts and orders are to whoever reads of the tools.
#[derive(Clone, Copy)]
enum Rights {
    /// Kroger's public API only adds to carts.
    Public,
    /// A partner's application reads and changes them.
    Partner,
}

impl Rights {
    fn of(shop: &Shop) -> Self {
        if shop.is_partner { Self::Partner } else { Self::Public }
    }

    /// What `manage_cart` does.
    fn cart(self) -> &'static str {
        match self {
            Self::Public => {
                "Adds to the customer's Kroger cart, and shows what was sent there. Kroger lets applications only add: taking out \
                 changes the list here alone. Never repeat an addition whose outcome is not known."
            }
            Self::Partner => {
                "Shows and changes the customer's own cart at Kroger. What is taken out, and all that clear empties, is gone from that \
                 cart. Never repeat an addition whose outcome is not known."
            }
        }
    }

    /// What clearing the cart does.
    fn clear(self) -> &'static str {
        match self {
            Self::Public => "Empties the list of what was sent",
            Self::Partner => "Empties the customer's cart at Kroger",
        }
    }

    /// What `order_history` does.
    fn orders(self) -> &'static str {
        match self {
            Self::Public => {
                "Carts that the user has marked as ordered, to order again. Kroger shows no orders to applications."
            }
            Self::Partner => {
                "Carts that the user has marked as ordered, to order again. Kroger shows no orders to applications: the cart is marked \
                 as it is before the check-out, which empties it."
            }
        }
    }
}

impl Kroger {
    pub(crate) fn new(shop: Arc<Shop>) -> Self {
        let components: Vec<Component> =
            PAGES.iter().filter_map(|(name, title)| Component::shipped(name, title)).collect();
        let shown =
            |(tool, page): (Tool, &str)| match components.iter().find(|component| component.name == page) {
                Some(component) => shown_by(tool, component),
                None => tool,
            };
        let rights = Rights::of(&shop);
        let tools = [of_kroger(rights), of_users(rights)].concat().into_iter().map(shown).collect();
        Self { shop, tools, components }
    }
}

impl Server for Kroger {
    fn about(&self) -> About {
        About {
            name: "portico-kroger",
            title: "Kroger",
            version: env!("CARGO_PKG_VERSION"),
            instructions: "Products, stores, carts, lists and meal plans at Kroger and its chains. Find a store first: prices belong to \
                           one. A cart belongs to who has signed in; what Kroger does not tell is said to be missing.",
        }
    }

    fn tools(&self) -> &[Tool] {
        &self.tools
    }

    fn components(&self) -> &[Component] {
        &self.components
    }

    fn rest(&self) -> Vec<RestRoute> {
        rest(Rights::of(&self.shop))
    }

    fn routes(self: &Arc<Self>) -> Router {
        self.shop.accounts.routes()
    }

    fn session_cookie(&self) -> Option<&str> {
        self.shop.accounts.cookie()
    }

    async fn identify(&self, caller: &Caller) -> Result<Option<Arc<str>>, ToolError> {
        Ok(self.shop.accounts.user(caller).await?.map(|user| user.id))
    }

    async fn call(&self, call: ToolCall) -> Result<Answer, ToolError> {
        let (shop, arguments) = (self.shop.as_ref(), Some(call.arguments));
        let who = shop.accounts.who(call.user.map(|id| User { id }))?;
        let answer = match call.name.as_str() {
            "search_products_advanced" => search::search(shop, &who, tool::arguments(arguments)?).await,
            "store_locator_advanced" => {
                stores::locate(&shop.kroger, tool::arguments(arguments)?, Timestamp::now()).await
            }
            "manage_cart" => cart::manage(shop, &who, tool::arguments(arguments)?).await,
            "digital_coupons" => coupons::manage(shop, &who, tool::arguments(arguments)?).await,
            "user_profile" => profile::manage(shop, &who, tool::arguments(arguments)?).await,
            "order_history" => orders::manage(shop, &who, tool::arguments(arguments)?).await,
            "shopping_lists" => lists::manage(shop, &who, tool::arguments(arguments)?).await,
            "meal_planner" => planner::manage(shop, &who, tool::arguments(arguments)?).await,
            other => Err(ToolError::Internal(format!("tool `{other}` is listed and not written"))),
        };
        Ok(answer?.with_locale(locale(shop, &who).await))
    }
}

/// The language that the user chose. What was done stays done where it cannot be read.
async fn locale(shop: &Shop, who: &Who) -> Option<String> {
    let read = shop.preferences(&who.user.as_ref()?.id).await;
    read.inspect_err(|error| tracing::warn!(%error, "the user's language could not be read")).ok()?.locale
}

/// Those that ask Kroger, each with its page.
fn of_kroger(rights: Rights) -> Vec<(Tool, &'static str)> {
    let search = define::<search::Request, search::Found>(
        "search_products_advanced",
        "Search Kroger products",
        "Searches Kroger's products. With a store (filters.location_id) there are prices, stock and aisles, and filters and order by \
         price.",
        Effect::ReadsOutside,
    );
    let stores = define::<stores::Request, stores::Found>(
        "store_locator_advanced",
        "Find Kroger stores",
        "Finds stores near a ZIP code or a point, with the services wanted, and tells which are open now.",
        Effect::ReadsOutside,
    );
    let cart = define::<cart::Request, cart::Cart>(
        "manage_cart",
        "Kroger cart",
        rights.cart(),
        Effect::ChangesOutside,
    );
    let coupons = define::<coupons::Request, coupons::Coupons>(
        "digital_coupons",
        "Kroger coupons and offers",
        "Shows what is on sale at a store for a category; with a partner's rights, coupons to clip.",
        Effect::ChangesOutside,
    );
    vec![(search, "product-grid"), (stores, "store-map"), (cart, "cart"), (coupons, "coupons")]
}

/// Those that keep something for users.
fn of_users(rights: Rights) -> Vec<(Tool, &'static str)> {
    let profile = define::<profile::Request, profile::Profile>(
        "user_profile",
        "Profile",
        "Shows and sets what the user prefers (store, diets, budget), exports and deletes all that is kept of the user.",
        Effect::Replaces,
    );
    let orders = define::<orders::Request, orders::Orders>(
        "order_history",
        "Orders",
        rights.orders(),
        Effect::ChangesOutside,
    );
    let lists = define::<lists::Request, lists::Lists>(
        "shopping_lists",
        "Shopping lists",
        "Lists of the user's own: make, change and check them, and send one to the Kroger cart.",
        Effect::ChangesOutside,
    );
    let planner = define::<planner::Request, planner::Plan>(
        "meal_planner",
        "Meal planner",
        "Plans the meals of a week, finds products of the user's store for their ingredients that fit the diets, compares what they \
         cost with the budget, and sends them to the Kroger cart.",
        Effect::ChangesOutside,
    );
    vec![(profile, "profile"), (orders, "orders"), (lists, "lists"), (planner, "planner")]
}

/// The paths of the REST interface that are named after what they are for.
fn rest(rights: Rights) -> Vec<RestRoute> {
    let route = |method, path, tool, action: &str, summary| {
        let fixed = Map::from_iter([("action".to_owned(), Value::from(action))]);
        RestRoute { method, path, tool, fixed, summary }
    };
    vec![
        route(Method::GET, "/cart/{session_id}", "manage_cart", "view", "The cart"),
        route(Method::POST, "/cart/{session_id}/items", "manage_cart", "add", "Adds to the cart"),
        route(
            Method::PUT,
            "/cart/{session_id}/items",
            "manage_cart",
            "update",
            "Brings a product to a number",
        ),
        route(Method::DELETE, "/cart/{session_id}", "manage_cart", "clear", rights.clear()),
        route(Method::GET, "/profile/{session_id}", "user_profile", "view", "The profile"),
        route(Method::PUT, "/profile/{session_id}", "user_profile", "update", "Sets preferences"),
        route(Method::GET, "/orders/{session_id}", "order_history", "list", "What was marked as ordered"),
        route(Method::GET, "/lists/{session_id}", "shopping_lists", "list", "The shopping lists"),
    ]
}
