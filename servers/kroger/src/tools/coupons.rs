//! `digital_coupons`: Kroger publishes no coupons, so without a partner's rights this shows what is on sale; with them, coupons to clip.

use http::StatusCode;
use jiff::{Timestamp, tz::TimeZone};
use portico_kit::tool::{Answer, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ends::{days_left, last_day, tell_last_days, when};
use crate::{
    account::Who,
    shop::{
        Shop, check_text,
        money::Money,
        product::{Shown, line, shown},
    },
    upstream::coupons::Coupon,
};

/// Products looked at for sales of a category, and sales shown.
const LOOKED_AT: usize = 50;
const MAX_OFFERS: usize = 20;
/// Coupons that a model reads of; the page shows all.
const MAX_TOLD: usize = 50;
const NO_COUPONS: &str =
    "Kroger's public API has no coupons: these are products on sale. Clip coupons in Kroger's own app.";

/// What to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// Show coupons, or what is on sale.
    #[default]
    List,
    /// Clip a coupon.
    Clip,
}

/// What to do with coupons.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// Session of the signed-in customer; not needed where the gateway says who asks.
    #[serde(default, rename = "session_id")]
    _session_id: Option<String>,
    #[serde(default)]
    action: Action,
    /// What they are for, such as dairy or coffee: 3 to 60 characters.
    category: Option<String>,
    /// For clip.
    coupon_id: Option<String>,
    /// Store whose sales are shown, 8 characters.
    location_id: Option<String>,
}

/// A coupon.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ShownCoupon {
    coupon_id: String,
    pub(crate) title: Option<String>,
    description: Option<String>,
    category: Option<String>,
    /// US dollars that it takes off.
    value: Option<f64>,
    /// RFC 3339.
    expires_at: Option<String>,
    /// The last day that it is good, by the calendar of the store, such as 2026-11-26; missing where the store's clock is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_day: Option<String>,
    /// Until then by the calendar of the store: 0 today, 1 tomorrow; negative where it is over.
    pub(crate) days_left: Option<i64>,
    clipped: bool,
    product_ids: Vec<String>,
}

/// Coupons, or what is on sale.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Coupons {
    /// `offers` without a partner's rights, `partner` with them.
    source: &'static str,
    can_clip: bool,
    coupons: Vec<ShownCoupon>,
    /// Products on sale.
    offers: Vec<Shown>,
    /// What one piece of each offer saves; of goods sold by weight as Kroger estimates it.
    offered_savings: Option<Money>,
    notes: Vec<String>,
    /// Kroger could not be asked: the answer is so many seconds old.
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_seconds: Option<u64>,
}

pub(crate) async fn manage(shop: &Shop, who: &Who, request: Request) -> Result<Answer, ToolError> {
    let category = request.category.as_deref().map(|text| check_text(text, "category", 60)).transpose()?;
    let coupons = if shop.is_partner {
        let mut notes = Vec::new();
        if request.action == Action::Clip && !clip(shop, who, &request).await? {
            notes.push("This coupon is clipped already.".to_owned());
        }
        let store = shop.store(who, request.location_id.as_deref(), "location_id").await?;
        let coupons = of_customer(shop, who, category.as_deref(), store.as_deref()).await?;
        Coupons {
            source: "partner",
            can_clip: true,
            coupons,
            offers: Vec::new(),
            offered_savings: None,
            notes,
            stale_seconds: None,
        }
    } else {
        if request.action == Action::Clip {
            return Err(ToolError::Refused(NO_COUPONS.to_owned()));
        }
        offers(shop, who, &request, category.as_deref()).await?
    };
    Answer::new(describe(&coupons), &coupons)
}

/// Clips a coupon; `false` where it was clipped before.
async fn clip(shop: &Shop, who: &Who, request: &Request) -> Result<bool, ToolError> {
    let id = request.coupon_id.as_deref().unwrap_or_default();
    let id = check_text(id, "coupon_id", 100)?;
    let token = shop.accounts.token(who, "to clip a coupon").await?;
    let clipping = shop.accounts.retry_refused(who, token, |token| shop.kroger.clip(token, &id)).await;
    match clipping {
        Ok(()) => {
            shop.counts.coupons_clipped.inc();
            Ok(true)
        }
        // So is a repetition refused whose first answer was lost: the list tells what has become of it.
        Err(ToolError::Upstream(error)) if error.status() == Some(StatusCode::CONFLICT) => {
            let is_clipped = |coupon: &Coupon| coupon.id == id && coupon.clipped;
            let coupons = read(shop, who, None).await?;
            if coupons.iter().any(is_clipped) { Ok(false) } else { Err(ToolError::Upstream(error)) }
        }
        Err(error) => Err(error),
    }
}

async fn read(shop: &Shop, who: &Who, category: Option<&str>) -> Result<Vec<Coupon>, ToolError> {
    let token = shop.accounts.token(who, "to see coupons").await?;
    shop.accounts.retry_refused(who, token, |token| shop.kroger.coupons(token, category)).await
}

/// The customer's coupons, those that end first at the top, by the calendar of this store.
pub(crate) async fn of_customer(
    shop: &Shop,
    who: &Who,
    category: Option<&str>,
    store: Option<&str>,
) -> Result<Vec<ShownCoupon>, ToolError> {
    let found = read(shop, who, category).await?;
    let (now, zone) = (Timestamp::now(), shop.zone(store).await);
    let mut coupons: Vec<ShownCoupon> = found.iter().map(|coupon| show(coupon, now, &zone)).collect();
    coupons.sort_by_key(|coupon| coupon.days_left.unwrap_or(i64::MAX));
    Ok(coupons)
}

fn show(coupon: &Coupon, now: Timestamp, zone: &TimeZone) -> ShownCoupon {
    let expires: Option<Timestamp> = coupon.expires.as_deref().and_then(|text| text.parse().ok());
    ShownCoupon {
        coupon_id: coupon.id.clone(),
        title: coupon.title.clone(),
        description: coupon.description.clone(),
        category: coupon.category.clone(),
        value: coupon.value,
        expires_at: expires.map(|time| time.to_string()),
        last_day: expires.and_then(|end| last_day(end, zone)),
        days_left: expires.map(|end| days_left(end, now, zone)),
        clipped: coupon.clipped,
        product_ids: coupon.product_ids.clone(),
    }
}

/// Products of a category that are on sale, the largest saving first.
async fn offers(
    shop: &Shop,
    who: &Who,
    request: &Request,
    category: Option<&str>,
) -> Result<Coupons, ToolError> {
    let store = shop.store(who, request.location_id.as_deref(), "location_id").await?;
    let store = store.ok_or_else(|| {
        ToolError::invalid(
            "location_id",
            "is missing: sales belong to a store, which store_locator_advanced finds",
        )
    })?;
    let term = category.ok_or_else(|| {
        ToolError::invalid("category", "is missing: say what the offers should be for, such as dairy")
    })?;
    if term.chars().count() < 3 {
        return Err(ToolError::invalid("category", "must have 3 to 60 characters"));
    }
    let query = vec![
        ("filter.term", term.to_owned()),
        ("filter.locationId", store.clone()),
        ("filter.limit", LOOKED_AT.to_string()),
    ];
    let looked = shop.kroger.products(query).await?;
    if looked.data.data.is_empty() {
        shop.check_store(Some(&store), "location_id").await?;
    }
    let mut offers: Vec<Shown> =
        looked.data.data.iter().map(shown).filter(|product| saving(product).is_some()).collect();
    offers.sort_by_key(|product| std::cmp::Reverse(saving(product)));
    offers.truncate(MAX_OFFERS);
    tell_last_days(shop, Some(&store), &mut offers).await;
    Ok(Coupons {
        source: "offers",
        can_clip: false,
        coupons: Vec::new(),
        offered_savings: offers
            .iter()
            .filter_map(|offer| offer.price.as_ref()?.piece_saves())
            .reduce(Money::plus),
        offers,
        notes: vec![NO_COUPONS.to_owned()],
        stale_seconds: looked.stale_seconds,
    })
}

fn saving(product: &Shown) -> Option<Money> {
    product.price.as_ref()?.savings.filter(|saving| !saving.is_zero())
}

fn describe(found: &Coupons) -> String {
    let mut lines = vec![format!("{} coupons, {} offers", found.coupons.len(), found.offers.len())];
    lines.extend(found.coupons.iter().take(MAX_TOLD).map(coupon_line));
    if found.coupons.len() > MAX_TOLD {
        lines.push(format!(
            "{} more end later; a category narrows them down.",
            found.coupons.len() - MAX_TOLD
        ));
    }
    lines.extend(found.offers.iter().map(line));
    lines.extend(found.notes.iter().cloned());
    lines.join("\n")
}

fn coupon_line(coupon: &ShownCoupon) -> String {
    let title = coupon.title.as_deref().unwrap_or("(no title)");
    let left = match coupon.days_left {
        Some(days) if days < 0 => ", over".to_owned(),
        Some(days) => format!(", ends {}", when(days)),
        None => String::new(),
    };
    let clipped = if coupon.clipped { ", clipped" } else { "" };
    format!("- {title}{left}{clipped} [{}]", coupon.coupon_id)
}
