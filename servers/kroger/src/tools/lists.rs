//! `shopping_lists`: lists of the user's own. Kroger has an API for none of its own lists, so these are kept here.

use portico_kit::{
    documents::{Document, Kind},
    tool::{Answer, ToolError},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    cart::{
        self,
        wanted::{Wanted, not_nothing, sorted, summed, told},
    },
    items::{Item, List, products_of},
};
use crate::{
    account::{User, Who},
    shop::{
        Products, Shop, check_text, moment,
        money::Money,
        new_id,
        product::{ShownPrice, price_now},
    },
};

/// Lists of one user.
pub(crate) const KIND: Kind = Kind { name: "list", most: 50 };
/// Items of a list, characters of its name and of an item, pieces of an item.
const MAX_ITEMS: usize = 200;
const MAX_NAME: usize = 80;
const MAX_TEXT: usize = 200;
const MOST: u32 = 99;
/// Products whose prices one answer shows.
const MAX_PRICED: usize = 100;

/// What to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// Show them; one of them with `list_id`.
    #[default]
    List,
    /// Make a list of this name.
    Create,
    /// Give a list another name.
    Rename,
    /// Delete a list.
    Delete,
    /// Put something on a list.
    AddItem,
    /// Change an item: what is given.
    UpdateItem,
    /// Take an item off.
    RemoveItem,
    /// Send what has a product and is not checked to the Kroger cart, and check it.
    SendToCart,
}

/// What to do with lists.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// Session of the signed-in customer; not needed where the gateway says who asks.
    #[serde(default, rename = "session_id")]
    _session_id: Option<String>,
    #[serde(default)]
    action: Action,
    list_id: Option<String>,
    /// Name of a list, 1 to 80 characters.
    name: Option<String>,
    item_id: Option<String>,
    /// What the item is, 1 to 200 characters; the product's name where it is missing.
    text: Option<String>,
    /// How many, 1 to 99.
    #[schemars(range(min = 1, max = 99))]
    quantity: Option<u32>,
    checked: Option<bool>,
    /// A product that the item stands for, 13 digits.
    product_id: Option<String>,
    /// Store for prices, 8 characters.
    location_id: Option<String>,
}

/// An item as it is shown.
#[derive(Debug, Serialize, JsonSchema)]
struct ShownItem {
    item_id: String,
    text: String,
    quantity: u32,
    checked: bool,
    product_id: Option<String>,
    /// What it costs now; missing where Kroger gives no price.
    price: Option<ShownPrice>,
    /// What it has become cheaper by since it was put here.
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped_by: Option<Money>,
}

/// A list as it is shown.
#[derive(Debug, Serialize, JsonSchema)]
struct ShownList {
    list_id: String,
    name: String,
    items: Vec<ShownItem>,
    /// When it was changed last (RFC 3339).
    updated_at: String,
}

/// The lists.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Lists {
    lists: Vec<ShownList>,
    notes: Vec<String>,
    /// Kroger could not be asked: prices are so many seconds old.
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_seconds: Option<u64>,
}

pub(crate) async fn manage(shop: &Shop, who: &Who, request: Request) -> Result<Answer, ToolError> {
    let user = who.user("a shopping list")?;
    let store = shop.store(who, request.location_id.as_deref(), "location_id").await?;
    let mut notes = Vec::new();
    let changed = apply(shop, who, &request, store.as_deref(), &mut notes).await?;
    let only = changed.as_deref().or(request.list_id.as_deref().filter(|_| request.action != Action::Delete));
    let lists = show(shop, user, only, store.as_deref(), notes).await?;
    Answer::new(describe(&lists), &lists)
}

/// Carries the change out; answers the id of a list that is new.
async fn apply(
    shop: &Shop,
    who: &Who,
    request: &Request,
    store: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<Option<String>, ToolError> {
    let user = who.user("a shopping list")?;
    match request.action {
        Action::List => {}
        Action::Create => {
            let (id, name) = (new_id(), name(request)?);
            change_new(shop, user, &id, name).await?;
            return Ok(Some(id));
        }
        Action::Rename => {
            let name = name(request)?;
            change(shop, user, request, |list| {
                list.name.clone_from(&name);
                Ok(())
            })
            .await?;
        }
        Action::Delete => {
            if !shop.documents.remove(&user.id, KIND, list_id(request)?).await? {
                return Err(unknown_list());
            }
        }
        Action::AddItem => add(shop, user, request, store).await?,
        Action::UpdateItem => update(shop, user, request, store).await?,
        Action::RemoveItem => {
            let id = item_id(request)?;
            change(shop, user, request, |list| {
                let before = list.items.len();
                list.items.retain(|item| item.id != id);
                if list.items.len() < before { Ok(()) } else { Err(unknown_item()) }
            })
            .await?;
        }
        Action::SendToCart => notes.push(send(shop, who, request, store).await?),
    }
    Ok(None)
}

fn name(request: &Request) -> Result<String, ToolError> {
    check_text(request.name.as_deref().unwrap_or_default(), "name", MAX_NAME)
}

fn list_id(request: &Request) -> Result<&str, ToolError> {
    request
        .list_id
        .as_deref()
        .ok_or_else(|| ToolError::invalid("list_id", "is missing; this action needs it"))
}

fn item_id(request: &Request) -> Result<&str, ToolError> {
    request
        .item_id
        .as_deref()
        .ok_or_else(|| ToolError::invalid("item_id", "is missing; this action needs it"))
}

fn unknown_list() -> ToolError {
    ToolError::NotFound("you have no list with this list_id".to_owned())
}

fn unknown_item() -> ToolError {
    ToolError::NotFound("this list has no item with this item_id".to_owned())
}

async fn change_new(shop: &Shop, user: &User, id: &str, name: String) -> Result<(), ToolError> {
    let making = shop.documents.change(&user.id, KIND, id, |list: &mut List| {
        list.name.clone_from(&name);
        Ok(())
    });
    making.await.map(drop)
}

/// Changes a list that exists.
async fn change(
    shop: &Shop,
    user: &User,
    request: &Request,
    mut change: impl FnMut(&mut List) -> Result<(), ToolError>,
) -> Result<(), ToolError> {
    let changing = shop.documents.change(&user.id, KIND, list_id(request)?, |list: &mut List| {
        // A list has a name, so one without is not there.
        if list.name.is_empty() {
            return Err(unknown_list());
        }
        change(list)
    });
    changing.await.map(drop)
}

/// What is known of the product that an item stands for.
struct Known {
    name: Option<String>,
    price: Option<Money>,
}

async fn look_up(shop: &Shop, request: &Request, store: Option<&str>) -> Result<Known, ToolError> {
    let Some(id) = request.product_id.as_deref() else { return Ok(Known { name: None, price: None }) };
    let product = shop.product(id, store).await?;
    let price = price_now(&product).map(|price| price.current);
    Ok(Known { name: product.description, price })
}

fn quantity(request: &Request) -> Result<Option<u32>, ToolError> {
    match request.quantity {
        Some(quantity) if !(1..=MOST).contains(&quantity) => {
            Err(ToolError::invalid("quantity", format!("must be from 1 to {MOST}")))
        }
        quantity => Ok(quantity),
    }
}

async fn add(shop: &Shop, user: &User, request: &Request, store: Option<&str>) -> Result<(), ToolError> {
    let known = look_up(shop, request, store).await?;
    let text = request.text.as_deref().or(known.name.as_deref()).unwrap_or_default();
    let item = Item {
        id: new_id(),
        text: check_text(text, "text", MAX_TEXT)?,
        is_named_by_product: request.text.is_none(),
        quantity: quantity(request)?.unwrap_or(1),
        checked: request.checked.unwrap_or(false),
        product_id: request.product_id.clone(),
        price_then: known.price,
        price_at: store.map(str::to_owned),
    };
    change(shop, user, request, |list| {
        if list.items.len() >= MAX_ITEMS {
            return Err(ToolError::Refused(format!(
                "the list has {MAX_ITEMS} items, which is the most; take some off first"
            )));
        }
        list.items.push(item.clone());
        Ok(())
    })
    .await
}

async fn update(shop: &Shop, user: &User, request: &Request, store: Option<&str>) -> Result<(), ToolError> {
    let (id, quantity) = (item_id(request)?, quantity(request)?);
    let known = look_up(shop, request, store).await?;
    let text = request.text.as_deref().map(|text| check_text(text, "text", MAX_TEXT)).transpose()?;
    change(shop, user, request, |list| {
        let item = list.items.iter_mut().find(|item| item.id == id).ok_or_else(unknown_item)?;
        item.quantity = quantity.unwrap_or(item.quantity);
        item.checked = request.checked.unwrap_or(item.checked);
        if let Some(text) = &text {
            item.text.clone_from(text);
            item.is_named_by_product = false;
        } else if let Some(name) = known.name.as_ref().filter(|_| item.is_named_by_product) {
            item.text.clone_from(name);
        }
        if request.product_id.is_some() {
            item.product_id.clone_from(&request.product_id);
            item.price_then = known.price;
            item.price_at = store.map(str::to_owned);
        }
        Ok(())
    })
    .await
}

/// Sends a list's products to the cart; says what was sent. They are checked before, so that a process that dies in between sends nothing
/// twice, and unchecked where Kroger refuses them.
async fn send(shop: &Shop, who: &Who, request: &Request, store: Option<&str>) -> Result<String, ToolError> {
    let user = who.user("a shopping list")?;
    let list =
        shop.documents.get::<List>(&user.id, KIND, list_id(request)?).await?.ok_or_else(unknown_list)?.body;
    let open: Vec<&Item> = list.items.iter().filter(|item| item.is_open()).collect();
    let ids: Vec<&str> = open.iter().filter_map(|item| item.product_id.as_deref()).collect();
    let products = shop.products(&ids, store).await?;
    let way = shop.preferences(&user.id).await?.modality();
    let (mut going, staying) = sorted(&open, &products, &cart::there(shop, who).await?);
    not_nothing(&going, &staying)?;
    // Who cannot send learns it before anything is marked, and of two who send at once each sends what it has marked itself.
    shop.accounts.token(who, "to add to a cart").await?;
    let sent: Vec<String> = going.iter().map(|item| item.id.clone()).collect();
    let sent = mark(shop, user, request, (&sent, true)).await?;
    going.retain(|item| sent.contains(&item.id));
    let items = summed(&going, &products, way);
    let count = items.len();
    if let Err(error) = cart::send(shop, who, items, (None, store)).await {
        if !cart::is_unknown(&error) {
            mark(shop, user, request, (&sent, false)).await?;
        }
        return Err(error);
    }
    Ok(told(count, &staying))
}

/// Checks items, or takes that back; answers those that it has changed.
async fn mark(
    shop: &Shop,
    user: &User,
    request: &Request,
    (ids, checked): (&[String], bool),
) -> Result<Vec<String>, ToolError> {
    let mut changed = Vec::new();
    change(shop, user, request, |list| {
        changed.clear();
        for item in list.items.iter_mut().filter(|item| ids.contains(&item.id) && item.checked != checked) {
            item.checked = checked;
            changed.push(item.id.clone());
        }
        Ok(())
    })
    .await?;
    Ok(changed)
}

impl Wanted for Item {
    fn text(&self) -> &str {
        &self.text
    }

    fn product(&self) -> Option<(&str, u32)> {
        self.product_id.as_deref().map(|id| (id, self.quantity))
    }
}

async fn show(
    shop: &Shop,
    user: &User,
    only: Option<&str>,
    store: Option<&str>,
    mut notes: Vec<String>,
) -> Result<Lists, ToolError> {
    let found = match only {
        Some(id) => vec![shop.documents.get::<List>(&user.id, KIND, id).await?.ok_or_else(unknown_list)?],
        None => shop.documents.all::<List>(&user.id, KIND).await?,
    };
    let (ids, unpriced) = products_of(found.iter().flat_map(|list| &list.body.items), MAX_PRICED);
    if unpriced > 0 && store.is_some() {
        notes.push(format!("Prices are missing of {unpriced} products: an answer has those of {MAX_PRICED}, what is not checked first."));
    }
    let products = if store.is_some() {
        shop.products_if_possible(&ids, store, &mut notes).await
    } else {
        Products::default()
    };
    let lists = found.iter().map(|list| shown(list, &products, store)).collect();
    Ok(Lists { lists, notes, stale_seconds: products.stale_seconds })
}

fn shown(list: &Document<List>, products: &Products, store: Option<&str>) -> ShownList {
    let item = |item: &Item| {
        let product = item.product_id.as_ref().and_then(|id| products.by_id.get(id));
        let price = product.and_then(price_now);
        let now = price.as_ref().map(|price| price.current);
        ShownItem {
            item_id: item.id.clone(),
            text: item.text.clone(),
            quantity: item.quantity,
            checked: item.checked,
            product_id: item.product_id.clone(),
            dropped_by: item.dropped_by(store, now),
            price,
        }
    };
    ShownList {
        list_id: list.id.clone(),
        name: list.body.name.clone(),
        items: list.body.items.iter().map(item).collect(),
        updated_at: moment(list.changed_at),
    }
}

fn describe(lists: &Lists) -> String {
    let mut lines: Vec<String> = lists.notes.clone();
    if lists.lists.is_empty() {
        lines.push("There are no shopping lists.".to_owned());
    }
    // One list is told whole; of several, only what they are.
    let whole = lists.lists.len() == 1;
    for list in &lists.lists {
        let open = list.items.iter().filter(|item| !item.checked).count();
        lines.push(format!("{} [{}]: {open} of {} open", list.name, list.list_id, list.items.len()));
        lines.extend(list.items.iter().filter(|_| whole).map(line));
    }
    lines.join("\n")
}

fn line(item: &ShownItem) -> String {
    let mark = if item.checked { "x" } else { " " };
    let price = item.price.as_ref();
    let drop = price.zip(item.dropped_by);
    let drop =
        drop.map(|(price, drop)| format!(", {} less than before", price.told(drop))).unwrap_or_default();
    let price =
        price.map(|price| format!(" {}{}", price.told(price.current), price.about())).unwrap_or_default();
    format!("- [{mark}] {} × {}{price}{drop} [{}]", item.quantity, item.text, item.item_id)
}
