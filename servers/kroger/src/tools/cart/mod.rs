//! `manage_cart`: adds to the customer's cart, and shows what was sent there; with a partner's rights, the cart itself.

pub(crate) mod mirror;
mod partner;
mod view;
pub(crate) mod wanted;

use portico_kit::{
    Secret,
    tool::{Answer, ToolError},
    upstream::{self, Class},
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    account::{Link, User, Who},
    shop::{Shop, check_product_id, product::refusal},
    upstream::cart::{CartItem, Modality, PartnerLine},
};
use mirror::Mirrors;
pub(crate) use view::Cart;
use view::{CART_URL, Source};
use wanted::There;

/// Most of one product.
const MOST: u32 = 99;
/// Lines of one addition.
const MOST_LINES: usize = 100;

/// What a token is for, in words.
const TO_ADD: &str = "to add to a cart";

/// What to do with the cart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// Show it.
    #[default]
    View,
    /// Send so many more of a product.
    Add,
    /// Bring a product to this number.
    Update,
    /// Take a product out.
    Remove,
    /// Empty it.
    Clear,
}

/// How somebody may ask for goods.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Asked {
    /// Fetched at the store.
    Pickup,
    /// Brought to the door.
    Delivery,
}

/// A change of the cart.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// Session of the signed-in customer; not needed where the gateway says who asks.
    #[serde(default, rename = "session_id")]
    _session_id: Option<String>,
    #[serde(default)]
    action: Action,
    /// Product, 13 digits; for add, update and remove.
    product_id: Option<String>,
    /// How many, 1 to 99 (add: 1 where it is missing). update needs it, 0 to 99.
    #[schemars(range(min = 0, max = 99))]
    quantity: Option<u32>,
    /// How it reaches you; where it is missing, as the product comes already (add: as you prefer it). For remove: only what comes this way.
    modality: Option<Asked>,
    /// Store for prices and stock, 8 characters. Kroger itself uses the store chosen in your account.
    location_id: Option<String>,
}

impl Request {
    /// The way that it asks for.
    fn way(&self) -> Option<Modality> {
        self.modality.map(|asked| match asked {
            Asked::Pickup => Modality::Pickup,
            Asked::Delivery => Modality::Delivery,
        })
    }
}

/// What was looked up about a change before it is made.
struct Wanted {
    item: CartItem,
    name: Option<String>,
}

pub(crate) async fn manage(shop: &Shop, who: &Who, request: Request) -> Result<Answer, ToolError> {
    let user = who.user("a cart")?;
    let store = shop.store(who, request.location_id.as_deref(), "location_id").await?;
    let mut notes = Vec::new();
    if shop.is_partner {
        partner::apply(shop, who, &request, store.as_deref()).await?;
    } else {
        apply(shop, who, &request, store.as_deref(), &mut notes).await?;
    }
    let cart = read(shop, who, user, store.as_deref(), notes).await;
    let sends = matches!(request.action, Action::Add | Action::Update);
    let cart = cart.map_err(|error| if sends { sent_and_failed(error) } else { error })?;
    tracing::info!(
        user = log_name(user),
        items = cart.item_count,
        total = cart.estimated_total.map(|total| total.to_string()),
        action = ?request.action,
        "cart_updated"
    );
    Answer::new(cart.describe(), &cart)
}

/// A name for logs, from which nobody finds the user.
fn log_name(user: &User) -> String {
    portico_kit::digest(format!("log/{}", user.id)).chars().take(12).collect()
}

/// The cart as it stands after whatever was done.
pub(crate) async fn read(
    shop: &Shop,
    who: &Who,
    user: &User,
    store: Option<&str>,
    mut notes: Vec<String>,
) -> Result<Cart, ToolError> {
    let cart = if shop.is_partner {
        let real = partner::read(shop, who).await?;
        let ids: Vec<&str> = real.items.iter().map(|line| line.upc.as_str()).collect();
        let products = shop.products_if_possible(&ids, store, &mut notes).await;
        Cart::new(Source::Partner, view::of_partner(&real, &products), notes, products.stale_seconds)
    } else {
        let sent = mirrors(shop, user).read().await?;
        let ids: Vec<&str> = sent.lines.iter().map(|line| line.product_id.as_str()).collect();
        let products = shop.products_if_possible(&ids, store, &mut notes).await;
        if sent.lines.iter().any(|line| line.attempt.is_some()) {
            notes.push(format!(
                "Kroger gave no answer to some additions. Look at {CART_URL} before you add them again."
            ));
        }
        Cart::new(Source::Local, view::of_mirror(&sent, &products), notes, products.stale_seconds)
    };
    let (link, _) = shop.accounts.state(user).await?;
    Ok(if link == Link::Linked { cart } else { cart.without_account(who.sign_in_url.clone()) })
}

/// The lines of a partner's cart, as those of the mirror are.
pub(crate) async fn of_partner(shop: &Shop, who: &Who) -> Result<Vec<mirror::Line>, ToolError> {
    let cart = partner::read(shop, who).await?;
    let line = |line: PartnerLine| mirror::Line {
        modality: line.way(),
        product_id: line.upc,
        name: line.description,
        quantity: line.quantity,
        sent_at: portico_kit::store::now(),
        attempt: None,
        store: None,
    };
    Ok(cart.items.into_iter().map(line).collect())
}

/// How many of each product are in the cart: a partner's cart itself, else what was sent within the last day.
pub(crate) async fn there(shop: &Shop, who: &Who) -> Result<There, ToolError> {
    let lines = if shop.is_partner {
        // Whoever has not signed in learns what for.
        shop.accounts.token(who, TO_ADD).await?;
        of_partner(shop, who).await?
    } else {
        mirrors(shop, who.user("a cart")?).read().await?.lines
    };
    Ok(There::of(lines.into_iter().map(|line| (line.product_id, line.quantity))))
}

/// What was sent for this user.
pub(crate) fn mirrors<'a>(shop: &'a Shop, user: &'a User) -> Mirrors<'a> {
    Mirrors { documents: &shop.documents, user: &user.id }
}

async fn apply(
    shop: &Shop,
    who: &Who,
    request: &Request,
    store: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<(), ToolError> {
    let user = who.user("a cart")?;
    let mirrors = mirrors(shop, user);
    let locally = format!(
        "This changed only the list here: Kroger does not let this application take things out. Do it at {CART_URL}."
    );
    match request.action {
        Action::View => return Ok(()),
        Action::Add => return add(shop, who, request, store).await,
        Action::Clear => mirrors.clear().await?,
        Action::Remove => {
            if !mirrors.remove(product_id(request)?, request.way()).await? {
                return Err(ToolError::NotFound(
                    "this product was not sent from here within the last day".to_owned(),
                ));
            }
        }
        Action::Update => {
            let (id, wanted) = (product_id(request)?, target(request)?);
            let mirror = mirrors.read().await?;
            let sent = mirror.quantity(id);
            if wanted > sent {
                let way = way(shop, user, request, mirror.way(id)).await?;
                let found = look_up(shop, request, store, (way, wanted, wanted)).await?;
                return send(shop, who, vec![(found.item, found.name)], (Some(wanted), store)).await;
            }
            if wanted == sent {
                return Ok(());
            }
            mirrors.lower(id, wanted, request.way()).await?;
        }
    }
    notes.push(locally);
    Ok(())
}

async fn add(shop: &Shop, who: &Who, request: &Request, store: Option<&str>) -> Result<(), ToolError> {
    let user = who.user("a cart")?;
    let sent = mirrors(shop, user).read().await?.quantity(product_id(request)?);
    let more = more(request)?;
    let way = way(shop, user, request, None).await?;
    let wanted = look_up(shop, request, store, (way, more, sent.saturating_add(more))).await?;
    send(shop, who, vec![(wanted.item, wanted.name)], (None, store)).await
}

/// How what is sent reaches the customer: as asked, as what is `there` of the product, as the customer prefers.
async fn way(
    shop: &Shop,
    user: &User,
    request: &Request,
    there: Option<Modality>,
) -> Result<Modality, ToolError> {
    match request.way().or(there) {
        Some(way) => Ok(way),
        None => Ok(shop.preferences(&user.id).await?.modality()),
    }
}

/// The product, its way and number, with which there are `total`, checked against what Kroger tells of the product.
async fn look_up(
    shop: &Shop,
    request: &Request,
    store: Option<&str>,
    (modality, quantity, total): (Modality, u32, u32),
) -> Result<Wanted, ToolError> {
    let id = product_id(request)?;
    let product = shop.product(id, store).await?;
    if let Some(problem) = refusal(&product, total) {
        let name = product.description.as_deref().unwrap_or("this product");
        return Err(ToolError::invalid("quantity", format!("{name} {problem}")));
    }
    let item = CartItem { upc: id.to_owned(), quantity, modality };
    Ok(Wanted { item, name: product.description })
}

fn product_id(request: &Request) -> Result<&str, ToolError> {
    let Some(id) = request.product_id.as_deref() else {
        return Err(ToolError::invalid("product_id", "is missing; this action needs it"));
    };
    check_product_id(id, "product_id").map(|()| id)
}

/// How many more are to be added.
fn more(request: &Request) -> Result<u32, ToolError> {
    bounded(request.quantity.unwrap_or(1), 1)
}

/// The number that a product is to be brought to. There is none to fall back on: any would change the cart.
fn target(request: &Request) -> Result<u32, ToolError> {
    let given =
        request.quantity.ok_or_else(|| ToolError::invalid("quantity", "is missing; update needs it"))?;
    bounded(given, 0)
}

fn bounded(quantity: u32, least: u32) -> Result<u32, ToolError> {
    if (least..=MOST).contains(&quantity) {
        return Ok(quantity);
    }
    Err(ToolError::invalid("quantity", format!("must be from {least} to {MOST}")))
}

/// Sends items to the customer's cart in one call, once; with a `target` what is missing to that number. `store` is the one whose prices the
/// customer saw. It is written down before, so that
/// a process that dies in between leaves the lines as "not known". A partner reads the cart itself, so nothing is written down.
pub(crate) async fn send(
    shop: &Shop,
    who: &Who,
    items: Vec<(CartItem, Option<String>)>,
    (target, store): (Option<u32>, Option<&str>),
) -> Result<(), ToolError> {
    if items.is_empty() {
        return Err(ToolError::Refused("there is nothing to send".to_owned()));
    }
    if items.len() > MOST_LINES {
        return Err(ToolError::Refused(format!("more than {MOST_LINES} products cannot be sent at once")));
    }
    // Whoever has not signed in learns it before anything is written down.
    let token = shop.accounts.token(who, TO_ADD).await?;
    if shop.is_partner {
        let wire: Vec<CartItem> = items.into_iter().map(|(item, _)| item).collect();
        return put(shop, who, token, &wire).await;
    }
    let mirrors = mirrors(shop, who.user("a cart")?);
    let (attempt, wire) = mirrors.begin(&items, target, store).await?;
    if wire.is_empty() {
        return Ok(());
    }
    match put(shop, who, token, &wire).await {
        Ok(()) => mirrors.done(&attempt).await.map_err(sent_and_failed),
        Err(error) if is_unknown(&error) => Err(error),
        Err(error) => {
            mirrors.refused(&attempt).await?;
            Err(error)
        }
    }
}

async fn put(shop: &Shop, who: &Who, token: Secret, wire: &[CartItem]) -> Result<(), ToolError> {
    match shop.accounts.retry_refused(who, token, |token| shop.kroger.add_to_cart(token, wire)).await {
        Ok(()) => {
            shop.counts.cart_items.inc_by(wire.iter().map(|item| u64::from(item.quantity)).sum());
            Ok(())
        }
        Err(ToolError::Upstream(error)) if error.class() == Class::UnknownOutcome => {
            shop.counts.cart_unknown.inc();
            let problem = format!("{}; your cart is at {CART_URL}", error.reason());
            Err(ToolError::Upstream(error.with_reason(problem)))
        }
        other => other,
    }
}

/// What failed after Kroger had taken an addition: whoever asked for it must not simply ask again.
pub(crate) fn sent_and_failed(error: ToolError) -> ToolError {
    if is_unknown(&error) {
        return error;
    }
    tracing::error!(%error, "an addition was sent, and what followed failed");
    let problem =
        format!("the addition was sent, and this server failed afterwards; your cart is at {CART_URL}");
    ToolError::Upstream(upstream::Error::new("Kroger", Class::UnknownOutcome, problem))
}

/// Whether what failed may have been carried out all the same.
pub(crate) fn is_unknown(error: &ToolError) -> bool {
    matches!(error, ToolError::Upstream(error) if error.class() == Class::UnknownOutcome)
}
