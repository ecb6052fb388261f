//! `order_history`: what the user has marked as ordered. Kroger shows no orders to applications, so nothing else is known of them.

use std::collections::BTreeSet;

use portico_kit::{
    digest,
    documents::{Document, Kind},
    store::now,
    tool::{Answer, ToolError},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cart::{
    self,
    wanted::{Wanted, not_nothing, sorted, summed, told},
};
use crate::{
    account::{User, Who},
    shop::{
        Shop, moment,
        money::Money,
        new_id,
        product::{ESTIMATED, ShownPrice, price_now},
    },
    upstream::cart::Modality,
};

/// Orders of one user; the oldest must be forgotten before there are more.
pub(crate) const KIND: Kind = Kind { name: "order", most: 200 };
/// Events of one order: the newest are kept.
const MAX_EVENTS: usize = 50;
/// How long a partner's cart is taken for the one that was marked last, in milliseconds: Kroger does not tell an order from the next.
const SAME: i64 = 24 * 60 * 60 * 1_000;
const NOTE: &str = "Kroger shows no orders to applications: these are the carts that you marked as ordered here, with the prices of that moment.";

const NO_STORE: &str =
    "The order has no prices where no store is known: name one with location_id when you mark it.";

/// An order as it is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Order {
    placed_at: i64,
    lines: Vec<Line>,
    events: Vec<(i64, String)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    product_id: String,
    name: Option<String>,
    quantity: u32,
    modality: Modality,
    price: Option<Money>,
    saved: Option<Money>,
    /// Whether the price is what Kroger estimates for a piece.
    #[serde(default)]
    estimated: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// Show them, the last first.
    #[default]
    List,
    /// What was sent from here has been ordered; with a partner's rights what is in the cart, to be marked before the check-out empties it.
    MarkOrdered,
    /// Send the products of an order to the cart again.
    Reorder,
    /// Forget an order.
    Forget,
}

/// What to do with orders.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// Session of the signed-in customer; not needed where the gateway says who asks.
    #[serde(default, rename = "session_id")]
    _session_id: Option<String>,
    #[serde(default)]
    action: Action,
    order_id: Option<String>,
    /// Store whose prices an order is marked with, and whose stock is looked at before it is sent again, 8 characters. Where it is missing: for
    /// `mark_ordered` the store that was named when the goods were sent, else yours.
    location_id: Option<String>,
    /// Orders to show, 1 to 200.
    #[serde(default = "twenty")]
    #[schemars(range(min = 1, max = 200))]
    limit: usize,
}

fn twenty() -> usize {
    20
}

#[derive(Debug, Serialize, JsonSchema)]
struct ShownLine {
    product_id: String,
    name: Option<String>,
    quantity: u32,
    /// What a piece cost when it was marked; missing where Kroger gave no price.
    price: Option<Money>,
    /// Whether that is an estimate, as for goods sold by weight.
    estimated: bool,
    line_total: Option<Money>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Event {
    /// RFC 3339.
    at: String,
    /// Missing where this version does not know it.
    kind: Option<EventKind>,
    /// The same in words.
    what: String,
}

/// What has become of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum EventKind {
    /// The user said that it was ordered.
    Marked,
    /// Its goods were sent to the cart again.
    Reordered,
}

impl EventKind {
    /// As it is kept, and told to models.
    fn text(self) -> &'static str {
        match self {
            Self::Marked => "marked as ordered",
            Self::Reordered => "sent to the cart again",
        }
    }

    fn of(text: &str) -> Option<Self> {
        [Self::Marked, Self::Reordered].into_iter().find(|kind| kind.text() == text)
    }
}

/// How far an order is, as far as is known.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    /// The user said so; Kroger says nothing.
    MarkedAsOrdered,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ShownOrder {
    order_id: String,
    /// RFC 3339.
    placed_at: String,
    state: State,
    items: Vec<ShownLine>,
    /// By the prices of that moment; missing where one was not known.
    total: Option<Money>,
    /// What sales saved.
    savings: Option<Money>,
    events: Vec<Event>,
}

/// The orders.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Orders {
    source: &'static str,
    orders: Vec<ShownOrder>,
    /// Orders that are kept; `orders` has as many of them as were asked for.
    total: usize,
    /// What sales saved, over all orders that are kept.
    total_savings: Option<Money>,
    notes: Vec<String>,
}

pub(crate) async fn manage(shop: &Shop, who: &Who, request: Request) -> Result<Answer, ToolError> {
    let user = who.user("an order history")?;
    if !(1..=KIND.most).contains(&request.limit) {
        return Err(ToolError::invalid("limit", format!("must be from 1 to {}", KIND.most)));
    }
    let mut notes = vec![NOTE.to_owned()];
    match request.action {
        Action::List => {}
        Action::MarkOrdered => notes.extend(mark(shop, who, user, &request).await?),
        Action::Reorder => notes.push(reorder(shop, who, user, &request).await?),
        Action::Forget => {
            if !shop.documents.remove(&user.id, KIND, order_id(&request)?).await? {
                return Err(unknown());
            }
        }
    }
    let all = shop.documents.all::<Order>(&user.id, KIND).await;
    let mut all =
        all.map_err(
            |error| if request.action == Action::Reorder { cart::sent_and_failed(error) } else { error },
        )?;
    all.sort_by_key(|order| std::cmp::Reverse(order.body.placed_at));
    let savings = sum(all.iter().filter_map(|order| order.body.saved()));
    let orders: Vec<ShownOrder> = all.iter().take(request.limit).map(shown).collect();
    if orders.iter().flat_map(|order| &order.items).any(|line| line.estimated) {
        notes.push(ESTIMATED.to_owned());
    }
    let orders = Orders { source: "local", orders, total: all.len(), total_savings: savings, notes };
    Answer::new(describe(&orders), &orders)
}

fn order_id(request: &Request) -> Result<&str, ToolError> {
    request
        .order_id
        .as_deref()
        .ok_or_else(|| ToolError::invalid("order_id", "is missing; this action needs it"))
}

fn unknown() -> ToolError {
    ToolError::NotFound("you have no order with this order_id".to_owned())
}

/// Turns what was sent into an order, once; answers what there is to note. What may never have reached the cart stays where it is.
async fn mark(shop: &Shop, who: &Who, user: &User, request: &Request) -> Result<Vec<String>, ToolError> {
    let stores = Stores::of(shop, who, request).await?;
    if shop.is_partner {
        return mark_cart(shop, who, user, &stores).await;
    }
    let mirrors = cart::mirrors(shop, user);
    let sent = mirrors.take_sent().await?;
    if sent.is_empty() {
        let problem = "there is nothing to mark: of what was sent to the cart from here within the last day, everything that Kroger \
                       has confirmed is marked already";
        return Err(ToolError::Refused(problem.to_owned()));
    }
    let kept = keep(shop, user, (&new_id(), &sent), &stores).await;
    if kept.is_err() {
        mirrors.put_back(&sent).await?;
    }
    kept
}

/// Marks a partner's cart. It stays as it is until the customer checks out, so that it is there to be marked a second time.
async fn mark_cart(shop: &Shop, who: &Who, user: &User, stores: &Stores) -> Result<Vec<String>, ToolError> {
    let cart = cart::of_partner(shop, who).await?;
    if cart.is_empty() {
        let problem =
            "your cart at Kroger is empty, as it is after an order: mark a cart before you check it out";
        return Err(ToolError::Refused(problem.to_owned()));
    }
    let all = shop.documents.all::<Order>(&user.id, KIND).await?;
    let last = all.iter().max_by_key(|order| order.body.placed_at);
    if last.is_some_and(|last| last.body.placed_at > now() - SAME && last.body.is_of(&cart)) {
        return Err(marked_already());
    }
    // What follows the same order has the same id, so that of two who mark a cart at once one finds it there.
    let id = digest(format!("order/{}/{}", user.id, last.map_or("", |last| last.id.as_str())));
    let id: String = id.chars().take(12).collect();
    keep(shop, user, (&id, &cart), stores).await
}

fn marked_already() -> ToolError {
    let problem =
        "this cart is marked as ordered already; forget that order first if it is to be marked anew";
    ToolError::Refused(problem.to_owned())
}

/// Products and numbers in one order.
fn goods<'a>(lines: impl Iterator<Item = (&'a str, u32)>) -> Vec<(&'a str, u32)> {
    let mut goods: Vec<(&str, u32)> = lines.collect();
    goods.sort_unstable();
    goods
}

/// The stores whose prices an order is marked with.
struct Stores {
    /// The one that the call names.
    asked: Option<String>,
    /// The customer's own, where a line does not say.
    own: Option<String>,
}

impl Stores {
    async fn of(shop: &Shop, who: &Who, request: &Request) -> Result<Self, ToolError> {
        let own = shop.store(who, request.location_id.as_deref(), "location_id").await?;
        shop.check_store(request.location_id.as_deref(), "location_id").await?;
        Ok(Self { asked: request.location_id.clone(), own })
    }

    fn of_line<'a>(&'a self, line: &'a cart::mirror::Line) -> Option<&'a str> {
        self.asked.as_deref().or(line.store.as_deref()).or(self.own.as_deref())
    }

    /// The prices of lines, each at its store, in their order; and what is to be noted of those that are missing.
    async fn prices(
        &self,
        shop: &Shop,
        lines: &[cart::mirror::Line],
    ) -> (Vec<Option<ShownPrice>>, Vec<String>) {
        let (mut prices, mut notes) = (vec![None; lines.len()], Vec::new());
        let stores: BTreeSet<Option<&str>> = lines.iter().map(|line| self.of_line(line)).collect();
        for store in stores {
            let here = || lines.iter().enumerate().filter(move |(_, line)| self.of_line(line) == store);
            let ids: Vec<&str> = here().map(|(_, line)| line.product_id.as_str()).collect();
            let products = shop.products_if_possible(&ids, store, &mut notes).await;
            for (index, line) in here() {
                prices[index] = products.by_id.get(&line.product_id).and_then(price_now);
            }
        }
        notes.dedup();
        if lines.iter().any(|line| self.of_line(line).is_none()) {
            notes.push(NO_STORE.to_owned());
        }
        (prices, notes)
    }
}

async fn keep(
    shop: &Shop,
    user: &User,
    (id, sent): (&str, &[cart::mirror::Line]),
    stores: &Stores,
) -> Result<Vec<String>, ToolError> {
    let (prices, notes) = stores.prices(shop, sent).await;
    let line = |(line, price): (&cart::mirror::Line, &Option<ShownPrice>)| Line {
        product_id: line.product_id.clone(),
        name: line.name.clone(),
        quantity: line.quantity,
        modality: line.modality,
        saved: price.as_ref().and_then(ShownPrice::piece_saves),
        estimated: price.as_ref().is_some_and(|price| price.unit.is_some()),
        price: price.as_ref().and_then(ShownPrice::piece),
    };
    let at = now();
    let order = Order {
        placed_at: at,
        lines: sent.iter().zip(&prices).map(line).collect(),
        events: vec![(at, EventKind::Marked.text().to_owned())],
    };
    let keeping = shop.documents.change(&user.id, KIND, id, |kept: &mut Order| {
        if !kept.lines.is_empty() {
            return Err(marked_already());
        }
        kept.clone_from(&order);
        Ok(())
    });
    keeping.await?;
    shop.counts.orders_marked.inc();
    shop.counts.saved_cents.inc_by(order.saved().map_or(0, Money::cents));
    Ok(notes)
}

async fn reorder(shop: &Shop, who: &Who, user: &User, request: &Request) -> Result<String, ToolError> {
    let id = order_id(request)?;
    let order = shop.documents.get::<Order>(&user.id, KIND, id).await?.ok_or_else(unknown)?.body;
    let store = shop.store(who, request.location_id.as_deref(), "location_id").await?;
    let ids: Vec<&str> = order.lines.iter().map(|line| line.product_id.as_str()).collect();
    let products = shop.products(&ids, store.as_deref()).await?;
    let lines: Vec<&Line> = order.lines.iter().collect();
    let (going, staying) = sorted(&lines, &products, &cart::there(shop, who).await?);
    not_nothing(&going, &staying)?;
    let items = summed(&going, &products, Modality::default());
    let count = items.len();
    cart::send(shop, who, items, (None, store.as_deref())).await?;
    let noting = shop.documents.change(&user.id, KIND, id, |order: &mut Order| {
        // One that was forgotten meanwhile is not made anew.
        if order.lines.is_empty() {
            return Err(unknown());
        }
        order.note(now(), EventKind::Reordered);
        Ok(())
    });
    noting.await.map_err(cart::sent_and_failed)?;
    Ok(told(count, &staying))
}

impl Wanted for Line {
    fn text(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.product_id)
    }

    fn product(&self) -> Option<(&str, u32)> {
        Some((&self.product_id, self.quantity))
    }

    fn modality(&self) -> Option<Modality> {
        Some(self.modality)
    }
}

fn sum(amounts: impl Iterator<Item = Money>) -> Option<Money> {
    amounts.reduce(Money::plus)
}

impl Order {
    fn is_of(&self, cart: &[cart::mirror::Line]) -> bool {
        let own = self.lines.iter().map(|line| (line.product_id.as_str(), line.quantity));
        goods(own) == goods(cart.iter().map(|line| (line.product_id.as_str(), line.quantity)))
    }

    fn note(&mut self, at: i64, kind: EventKind) {
        self.events.push((at, kind.text().to_owned()));
        let oldest = self.events.len().saturating_sub(MAX_EVENTS);
        self.events.drain(..oldest);
    }

    /// Missing where a price was not known: a sum without it would be wrong.
    fn total(&self) -> Option<Money> {
        let each: Option<Vec<Money>> =
            self.lines.iter().map(|line| Some(line.price?.times(line.quantity))).collect();
        sum(each?.into_iter())
    }

    fn saved(&self) -> Option<Money> {
        sum(self.lines.iter().filter_map(|line| Some(line.saved?.times(line.quantity))))
    }
}

fn shown(order: &Document<Order>) -> ShownOrder {
    let line = |line: &Line| ShownLine {
        product_id: line.product_id.clone(),
        name: line.name.clone(),
        quantity: line.quantity,
        price: line.price,
        estimated: line.estimated,
        line_total: line.price.map(|price| price.times(line.quantity)),
    };
    ShownOrder {
        order_id: order.id.clone(),
        placed_at: moment(order.body.placed_at),
        state: State::MarkedAsOrdered,
        items: order.body.lines.iter().map(line).collect(),
        total: order.body.total(),
        savings: order.body.saved(),
        events: order
            .body
            .events
            .iter()
            .map(|(at, what)| Event { at: moment(*at), kind: EventKind::of(what), what: what.clone() })
            .collect(),
    }
}

fn describe(orders: &Orders) -> String {
    let mut lines = orders.notes.clone();
    if orders.orders.is_empty() {
        lines.push("Nothing is marked as ordered.".to_owned());
    }
    if orders.total > orders.orders.len() {
        lines.push(format!(
            "The last {} of {} orders; a higher limit shows more.",
            orders.orders.len(),
            orders.total
        ));
    }
    for order in &orders.orders {
        let about = if order.items.iter().any(|line| line.estimated) { "about " } else { "" };
        let total =
            order.total.map_or_else(|| "total not known".to_owned(), |total| format!("{about}${total}"));
        let names: Vec<String> = order
            .items
            .iter()
            .take(6)
            .map(|line| format!("{} × {}", line.quantity, line.name.as_deref().unwrap_or(&line.product_id)))
            .collect();
        let more = if order.items.len() > 6 {
            format!(" and {} more", order.items.len() - 6)
        } else {
            String::new()
        };
        lines.push(format!("- {} {total}: {}{more} [{}]", order.placed_at, names.join(", "), order.order_id));
    }
    lines.extend(orders.total_savings.map(|saved| format!("Sales saved ${saved} in all.")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_events_the_newest_are_kept() {
        let mut order = Order::default();
        for at in 1..=60 {
            order.note(at, EventKind::Reordered);
        }
        let kept = order.events.iter().map(|(at, _)| *at);
        assert!(kept.eq(11..=60), "{:?}", order.events);
    }
}
