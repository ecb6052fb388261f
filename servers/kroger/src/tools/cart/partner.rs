//! The cart itself, for an application with a partner's rights.

use portico_kit::tool::ToolError;

use super::{Action, Request, look_up, product_id, quantity};
use crate::{
    account::Who,
    shop::Shop,
    upstream::cart::{CartItem, PartnerCart},
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
            let total = there(cart.as_ref(), product_id(request)?).saturating_add(quantity(request, 1)?);
            let item = look_up(shop, request, store, total).await?.item;
            add(shop, who, cart.as_ref(), item).await
        }
        Action::Update if quantity(request, 0)? > 0 => {
            let item = look_up(shop, request, store, quantity(request, 1)?).await?.item;
            let cart = cart(shop, who).await?;
            let is_there = there(cart.as_ref(), &item.upc) > 0;
            match cart {
                Some(cart) if is_there => set(shop, who, &cart.id, item).await,
                cart => add(shop, who, cart.as_ref(), item).await,
            }
        }
        Action::Update | Action::Remove => remove(shop, who, &[product_id(request)?.to_owned()]).await,
        Action::Clear => {
            let lines = read(shop, who).await?.items;
            let all: Vec<String> = lines.into_iter().map(|line| line.upc).collect();
            remove(shop, who, &all).await
        }
    }
}

/// How many of a product the cart has.
fn there(cart: Option<&PartnerCart>, product_id: &str) -> u32 {
    let lines = cart.iter().flat_map(|cart| &cart.items).filter(|line| line.upc == product_id);
    lines.map(|line| line.quantity).fold(0, u32::saturating_add)
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
