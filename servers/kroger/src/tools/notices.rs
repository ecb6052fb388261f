//! What a user asked to be told: coupons that end soon, and things on lists that have become cheaper. It is looked for when the user
//! looks at the profile: nothing runs in the background, and Kroger is asked for nothing that nobody reads.

use portico_kit::tool::ToolError;

use super::{coupons, lists, profile::Preferences};
use crate::{
    account::{User, Who},
    shop::{Shop, product::price_now},
};

/// Days in which a coupon ends soon.
const SOON: i64 = 3;
/// Notices of one answer, and products whose prices are looked at.
const MOST: usize = 10;
const MAX_PRODUCTS: usize = 50;

/// What there is to tell. Where it cannot be found out, that is told.
pub(super) async fn of(
    shop: &Shop,
    who: &Who,
    user: &User,
    wishes: &Preferences,
) -> Result<Vec<String>, ToolError> {
    let mut notices = Vec::new();
    if wishes.notices.coupons && shop.is_partner {
        match coupons::of_customer(shop, who, None).await {
            Ok(found) => notices.extend(ending(&found)),
            Err(error) => notices.push(format!("Coupons could not be looked at: {error}.")),
        }
    }
    if wishes.notices.price_drops {
        notices.extend(cheaper(shop, who, user).await?);
    }
    notices.truncate(MOST);
    Ok(notices)
}

fn ending(found: &[coupons::ShownCoupon]) -> Vec<String> {
    let soon = found.iter().filter(|coupon| coupon.days_left.is_some_and(|days| (0..=SOON).contains(&days)));
    soon.map(|coupon| {
        let title = coupon.title.as_deref().unwrap_or("A coupon");
        match coupon.days_left {
            Some(0) => format!("{title} ends today."),
            days => format!("{title} ends in {} days.", days.unwrap_or_default()),
        }
    })
    .collect()
}

async fn cheaper(shop: &Shop, who: &Who, user: &User) -> Result<Vec<String>, ToolError> {
    let Some(store) = shop.store(who, None, "location_id").await? else {
        return Ok(vec!["Prices can be watched once you have chosen a store.".to_owned()]);
    };
    let lists = shop.documents.all::<lists::List>(&user.id, lists::KIND).await?;
    let items: Vec<&lists::Item> = lists
        .iter()
        .flat_map(|list| &list.body.items)
        .filter(|item| item.product_id.is_some() && item.price_then.is_some())
        .take(MAX_PRODUCTS)
        .collect();
    let ids: Vec<&str> = items.iter().filter_map(|item| item.product_id.as_deref()).collect();
    let mut notices = Vec::new();
    let products = shop.products_if_possible(&ids, Some(&store), &mut notices).await;
    for item in items {
        let product = item.product_id.as_ref().and_then(|id| products.by_id.get(id));
        let now = product.and_then(price_now).map(|price| price.current);
        let drop = item.dropped_by(Some(&store), now);
        if let (Some(drop), Some(now)) = (drop, now) {
            notices.push(format!(
                "{} costs ${now} now, ${drop} less than when you put it on your list.",
                item.text
            ));
        }
    }
    Ok(notices)
}
