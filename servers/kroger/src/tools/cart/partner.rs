//! The cart itself, for an application with a partner's rights.

use portico_kit::tool::ToolError;

use super::{Action, Request, look_up, more, product_id, target, view::CART_URL, way};
use crate::{
    account::Who,
    shop::Shop,
    upstream::cart::{CartItem, PartnerCart, PartnerLine},
};

const PURPOSE: &str = "to see a cart";

/// The cart; an empty one where the customer has none.
pub(super) async fn read(shop: &Shop, who: &Who) -> Result<PartnerCart, ToolError> {
    let found = cart(shop, who).await?;
    Ok(found.unwrap_or_else(|| PartnerCart { id: String::new(), items: Vec::new() }))
}

async fn cart(shop: &Shop, who: &Who) -> Result<Option<PartnerCart>, ToolError> {
    let token = shop.accounts.token(who, PURPOSE).await?;
    shop.accounts.retry_refused(who, token, |token| shop.kroger.partner_cart(token)).await
}

pub(super) async fn apply(
    shop: &Shop,
    who: &Who,
    request: &Request,
    store: Option<&str>,
) -> Result<(), ToolError> {
    match request.action {
        Action::View => Ok(()),
        Action::Add => {
            let cart = cart(shop, who).await?;
            let there = number(&lines(cart.as_ref(), product_id(request)?));
            let more = more(request)?;
            let way = way(shop, who.user("a cart")?, request, None).await?;
            let item = look_up(shop, request, store, (way, more, there.saturating_add(more))).await?.item;
            add(shop, who, cart.as_ref(), item).await
        }
        Action::Update => update(shop, who, request, store).await,
        Action::Remove => {
            let id = product_id(request)?;
            if let Some(way) = request.way() {
                let cart = cart(shop, who).await?;
                let lines = lines(cart.as_ref(), id);
                let meant = lines.iter().filter(|line| line.way() == way).count();
                if meant == 0 {
                    return Ok(());
                }
                if meant < lines.len() {
                    return Err(several_ways());
                }
            }
            remove(shop, who, &[id.to_owned()]).await
        }
        Action::Clear => {
            let lines = read(shop, who).await?.items;
            let all: Vec<String> = lines.into_iter().map(|line| line.upc).collect();
            remove(shop, who, &all).await
        }
    }
}

/// The lines of a product in the cart: one for each way in which it reaches the customer.
fn lines<'a>(cart: Option<&'a PartnerCart>, product_id: &str) -> Vec<&'a PartnerLine> {
    let all = cart.into_iter().flat_map(|cart| &cart.items);
    all.filter(|line| line.upc == product_id).collect()
}

fn number(lines: &[&PartnerLine]) -> u32 {
    lines.iter().map(|line| line.quantity).fold(0, u32::saturating_add)
}

/// Brings a product to a number, over all its lines; one line alone may also change its way and keep its number.
async fn update(shop: &Shop, who: &Who, request: &Request, store: Option<&str>) -> Result<(), ToolError> {
    let id = product_id(request)?;
    let cart = cart(shop, who).await?;
    let lines = lines(cart.as_ref(), id);
    let wanted = match (lines.as_slice(), request.quantity, request.way()) {
        ([line], None, Some(_)) => line.quantity,
        _ => target(request)?,
    };
    if wanted == 0 {
        return remove(shop, who, &[id.to_owned()]).await;
    }
    let way = way(shop, who.user("a cart")?, request, lines.last().map(|line| line.way())).await?;
    let item = look_up(shop, request, store, (way, wanted, wanted)).await?.item;
    match (cart.as_ref(), lines.as_slice()) {
        (Some(cart), [_]) => set(shop, who, &cart.id, item).await,
        (cart, lines) => match wanted.checked_sub(number(lines)) {
            Some(0) => Ok(()),
            Some(quantity) => add(shop, who, cart, CartItem { quantity, ..item }).await,
            None => Err(several_ways()),
        },
    }
}

/// Kroger's API names a product and not its way, so that of several lines the wrong one could be changed.
fn several_ways() -> ToolError {
    ToolError::Refused(format!(
        "the cart has this product in more than one way, such as by pickup and by delivery, and Kroger's API does not tell them apart; \
         change it at {CART_URL}"
    ))
}

async fn add(shop: &Shop, who: &Who, cart: Option<&PartnerCart>, item: CartItem) -> Result<(), ToolError> {
    let token = shop.accounts.token(who, PURPOSE).await?;
    let id = cart.map(|cart| cart.id.as_str());
    shop.accounts.retry_refused(who, token, |token| shop.kroger.partner_add(token, id, &item)).await
}

async fn set(shop: &Shop, who: &Who, cart: &str, item: CartItem) -> Result<(), ToolError> {
    let token = shop.accounts.token(who, PURPOSE).await?;
    shop.accounts.retry_refused(who, token, |token| shop.kroger.partner_set(token, cart, &item)).await
}

async fn remove(shop: &Shop, who: &Who, ids: &[String]) -> Result<(), ToolError> {
    let Some(cart) = cart(shop, who).await? else { return Ok(()) };
    let token = shop.accounts.token(who, PURPOSE).await?;
    for id in ids {
        let removing = |token| shop.kroger.partner_remove(token, &cart.id, id);
        shop.accounts.retry_refused(who, token.clone(), removing).await?;
    }
    Ok(())
}
