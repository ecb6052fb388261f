//! The cart as it is shown.

use schemars::JsonSchema;
use serde::Serialize;

use super::mirror::Mirror;
use crate::{
    shop::{
        Products, moment,
        money::Money,
        product::{ESTIMATED, ShownPrice, price_now},
    },
    upstream::cart::{Modality, PartnerCart},
};

/// Where customers see their real cart.
pub(crate) const CART_URL: &str = "https://www.kroger.com/cart";
const SENT_FROM_HERE: &str = "What was sent to your Kroger cart from here within the last day. It is not your cart: Kroger does not let \
                              this application read it.";
const REAL: &str = "Your cart at Kroger.";

/// Whether a line is in the cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LineState {
    /// Kroger took it.
    Sent,
    /// Kroger gave no answer: perhaps it is in the cart, perhaps not.
    Unknown,
}

/// One line.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct ShownLine {
    pub(crate) product_id: String,
    pub(crate) name: Option<String>,
    pub(crate) quantity: u32,
    pub(crate) modality: Modality,
    /// What it costs now; missing where Kroger gives no price.
    pub(crate) price: Option<ShownPrice>,
    /// So many times the price of a piece, which is an estimate for goods sold by weight.
    pub(crate) line_total: Option<Money>,
    pub(crate) state: LineState,
    /// When it was sent (RFC 3339).
    pub(crate) sent_at: Option<String>,
}

/// Where the lines come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// What this server has sent.
    Local,
    /// Kroger's cart itself.
    Partner,
}

/// The cart.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Cart {
    pub(crate) source: Source,
    /// What this list is, in words; `source` says the same.
    pub(crate) label: &'static str,
    pub(crate) items: Vec<ShownLine>,
    /// Pieces of all lines.
    pub(crate) item_count: u32,
    /// By the prices of now, without tax and fees, goods sold by weight as Kroger estimates them; missing where no line has a price.
    pub(crate) estimated_total: Option<Money>,
    /// What sales save of that.
    pub(crate) savings: Option<Money>,
    pub(crate) kroger_cart_url: &'static str,
    pub(crate) notes: Vec<String>,
    /// Whether a Kroger account is linked, so that things can be sent to the cart.
    pub(crate) signed_in: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sign_in_url: Option<String>,
    /// Kroger could not be asked: prices are so many seconds old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stale_seconds: Option<u64>,
}

impl Cart {
    /// The cart of these lines.
    pub(crate) fn new(
        source: Source,
        items: Vec<ShownLine>,
        mut notes: Vec<String>,
        stale_seconds: Option<u64>,
    ) -> Self {
        let by_weight = |line: &ShownLine| line.price.as_ref().is_some_and(|price| price.unit.is_some());
        if items.iter().any(by_weight) {
            notes.push(ESTIMATED.to_owned());
        }
        let sum = |amounts: Vec<Money>| {
            (!amounts.is_empty()).then(|| amounts.into_iter().fold(Money::ZERO, Money::plus))
        };
        let savings = |line: &ShownLine| Some(line.price.as_ref()?.piece_saves()?.times(line.quantity));
        Self {
            source,
            label: if source == Source::Local { SENT_FROM_HERE } else { REAL },
            item_count: items.iter().map(|line| line.quantity).sum(),
            estimated_total: sum(items.iter().filter_map(|line| line.line_total).collect()),
            savings: sum(items.iter().filter_map(savings).collect()),
            kroger_cart_url: CART_URL,
            items,
            notes,
            signed_in: true,
            sign_in_url: None,
            stale_seconds,
        }
    }

    /// Where nothing can be sent: no account is linked, and here one can be.
    pub(crate) fn without_account(self, sign_in_url: Option<String>) -> Self {
        Self { signed_in: false, sign_in_url, ..self }
    }

    /// The cart in words.
    pub(crate) fn describe(&self) -> String {
        let mut lines = vec![format!("{} {} items, {}.", self.label, self.item_count, self.total())];
        lines.extend(self.items.iter().map(line));
        if !self.signed_in {
            let place =
                self.sign_in_url.as_ref().map(|url| format!(" Sign in at {url}.")).unwrap_or_default();
            lines.push(format!("No Kroger account is linked, so nothing can be sent.{place}"));
        }
        lines.extend(self.notes.iter().cloned());
        lines.join("\n")
    }

    fn total(&self) -> String {
        let unpriced = self.items.iter().filter(|line| line.line_total.is_none()).count();
        match self.estimated_total {
            Some(total) if unpriced == 0 => format!("about ${total} before tax"),
            Some(total) => format!("about ${total} before tax, and {unpriced} lines without a price"),
            None => "no prices known".to_owned(),
        }
    }
}

fn line(line: &ShownLine) -> String {
    let total = line.line_total.map(|total| format!(" ${total}")).unwrap_or_default();
    let way = match line.modality {
        Modality::Pickup => "",
        Modality::Delivery => ", by delivery",
        Modality::Ship => ", shipped",
    };
    let state = if line.state == LineState::Unknown { " (not known whether Kroger took it)" } else { "" };
    format!(
        "- {} × {}{total}{way}{state} [{}]",
        line.quantity,
        line.name.as_deref().unwrap_or("(no name)"),
        line.product_id
    )
}

fn line_total(price: Option<&ShownPrice>, quantity: u32) -> Option<Money> {
    Some(price?.piece()?.times(quantity))
}

/// The mirror's lines with the prices of now.
pub(crate) fn of_mirror(mirror: &Mirror, products: &Products) -> Vec<ShownLine> {
    let show = |line: &super::mirror::Line| {
        let price = products.by_id.get(&line.product_id).and_then(price_now);
        ShownLine {
            product_id: line.product_id.clone(),
            name: line.name.clone(),
            quantity: line.quantity,
            modality: line.modality,
            line_total: line_total(price.as_ref(), line.quantity),
            price,
            state: if line.attempt.is_some() { LineState::Unknown } else { LineState::Sent },
            sent_at: Some(moment(line.sent_at)),
        }
    };
    mirror.lines.iter().map(show).collect()
}

/// The real cart's lines with the prices of now.
pub(crate) fn of_partner(cart: &PartnerCart, products: &Products) -> Vec<ShownLine> {
    let show = |line: &crate::upstream::cart::PartnerLine| {
        let product = products.by_id.get(&line.upc);
        let price = product.and_then(price_now);
        ShownLine {
            product_id: line.upc.clone(),
            name: line
                .description
                .clone()
                .or_else(|| product.and_then(|product| product.description.clone())),
            quantity: line.quantity,
            modality: line.way(),
            line_total: line_total(price.as_ref(), line.quantity),
            price,
            state: LineState::Sent,
            sent_at: line.created_date.clone(),
        }
    };
    cart.items.iter().map(show).collect()
}
