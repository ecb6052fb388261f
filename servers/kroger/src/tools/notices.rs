//! What a user asked to be told: coupons and sales that end soon, and things on lists that have become cheaper. It is looked for when the user
//! looks at the profile: nothing runs in the background, and Kroger is asked for nothing that nobody reads.

use std::collections::HashSet;

use jiff::{Timestamp, tz::TimeZone};
use portico_kit::tool::ToolError;

use super::{
    coupons,
    ends::{days_left, when},
    items::{Item, List, products_of},
    lists,
    profile::{Notices, Preferences},
};
use crate::{
    account::{User, Who},
    shop::{Products, Shop, product::price_now},
};

/// Days in which a coupon or a sale ends soon.
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
    let wishes = &wishes.notices;
    if !wishes.coupons && !wishes.price_drops {
        return Ok(Vec::new());
    }
    let store = shop.store(who, None, "location_id").await?;
    let mut notices = Vec::new();
    if wishes.coupons && shop.is_partner {
        match coupons::of_customer(shop, who, None, store.as_deref()).await {
            Ok(found) => notices.extend(ending(&found)),
            Err(error) => notices.push(format!("Coupons could not be looked at: {error}.")),
        }
    }
    match &store {
        Some(store) => notices.extend(of_lists(shop, user, wishes, store).await?),
        None => notices.push("Prices can be watched once you have chosen a store.".to_owned()),
    }
    // One product may stand on several lists.
    let mut told = HashSet::new();
    notices.retain(|notice| told.insert(notice.clone()));
    notices.truncate(MOST);
    Ok(notices)
}

/// What there is to tell of the products on the user's lists at this store.
async fn of_lists(shop: &Shop, user: &User, wishes: &Notices, store: &str) -> Result<Vec<String>, ToolError> {
    let lists = shop.documents.all::<List>(&user.id, lists::KIND).await?;
    let items = lists.iter().flat_map(|list| &list.body.items);
    let items: Vec<&Item> = items.collect();
    let (ids, _) = products_of(items.iter().copied(), MAX_PRODUCTS);
    let mut notices = Vec::new();
    let products = shop.products_if_possible(&ids, Some(store), &mut notices).await;
    if wishes.coupons {
        let zone = shop.zone(Some(store)).await;
        let open = items.iter().filter(|item| item.is_open());
        notices.extend(open.filter_map(|item| sale(item, &products, &zone)));
    }
    if wishes.price_drops {
        notices.extend(items.iter().filter_map(|item| cheaper(item, &products, store)));
    }
    Ok(notices)
}

fn ending(found: &[coupons::ShownCoupon]) -> Vec<String> {
    let coming = found.iter().filter_map(|coupon| Some((coupon, soon(coupon.days_left?)?)));
    coming
        .map(|(coupon, days)| {
            format!("{} ends {}.", coupon.title.as_deref().unwrap_or("A coupon"), when(days))
        })
        .collect()
}

fn soon(days: i64) -> Option<i64> {
    (0..=SOON).contains(&days).then_some(days)
}

fn sale(item: &Item, products: &Products, zone: &TimeZone) -> Option<String> {
    let price = products.by_id.get(item.product_id.as_ref()?).and_then(price_now)?;
    let end: Timestamp = price.sale_ends_at.as_deref()?.parse().ok()?;
    let days = soon(days_left(end, Timestamp::now(), zone))?;
    Some(format!("The sale of {} at {} ends {}.", item.text, price.told(price.current), when(days)))
}

fn cheaper(item: &Item, products: &Products, store: &str) -> Option<String> {
    let price = products.by_id.get(item.product_id.as_ref()?).and_then(price_now)?;
    let drop = item.dropped_by(Some(store), Some(price.current))?;
    let (now, drop) = (price.told(price.current), price.told(drop));
    Some(format!("{} costs {now} now, {drop} less than when you put it on your list.", item.text))
}
