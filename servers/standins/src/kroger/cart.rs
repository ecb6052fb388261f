//! `PUT /v1/cart/add` and `GET /v1/identity/profile`: what a customer's token opens.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use axum::{Extension, body::Bytes, extract::State, http::StatusCode, response::Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Shared, catalogue::text, oauth::Customer, reply};

/// Carts and lines of one at most; what is over them is refused.
const MAX_CARTS: usize = 1_000;
const MAX_LINES: usize = 500;
/// Longest special instructions, in bytes.
const MAX_INSTRUCTIONS: usize = 500;

/// One line of a request.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item {
    pub(crate) upc: String,
    pub(crate) quantity: u32,
    pub(crate) modality: Option<String>,
    #[serde(default)]
    pub(crate) allow_substitutes: bool,
    #[serde(default)]
    pub(crate) special_instructions: String,
}

/// One line of a cart.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    pub(crate) upc: String,
    pub(crate) quantity: u32,
    pub(crate) modality: String,
    pub(crate) description: String,
    created_date: String,
    pub(crate) allow_substitutes: bool,
    pub(crate) special_instructions: String,
}

/// Status, code and reason in the cart's flat form.
pub(crate) type Refusal = (StatusCode, &'static str, &'static str);

const UNREADABLE: Refusal = (StatusCode::BAD_REQUEST, "API-4101-400", "Cannot parse parameters");
const FULL: Refusal = (StatusCode::BAD_REQUEST, "CART-4103-400", "The cart is full");

pub(crate) fn refused((status, code, reason): Refusal) -> Response {
    reply::flat(status, code, reason)
}

impl Item {
    fn check(&self) -> Result<(), Refusal> {
        let bad = |reason| (StatusCode::BAD_REQUEST, "CART-4101-400", reason);
        if self.upc.len() != 13 {
            return Err(bad("UPC must have a length of 13 characters"));
        }
        if self.quantity == 0 || self.special_instructions.len() > MAX_INSTRUCTIONS {
            return Err(UNREADABLE);
        }
        match self.modality.as_deref() {
            None | Some("SHIP" | "DELIVERY" | "PICKUP") => Ok(()),
            Some(_) => Err(bad(
                "Modality must be omitted or equal to one of the following codes: SHIP, DELIVERY, PICKUP",
            )),
        }
    }

    fn modality(&self) -> &str {
        self.modality.as_deref().unwrap_or("PICKUP")
    }
}

/// The items of a body `{"items": […]}`: all are good, or none is taken.
pub(crate) fn items(body: &[u8]) -> Result<Vec<Item>, Refusal> {
    #[derive(Deserialize)]
    struct Body {
        items: Vec<Item>,
    }
    let body: Body = serde_json::from_slice(body).map_err(|_| UNREADABLE)?;
    if body.items.is_empty() {
        return Err(UNREADABLE);
    }
    body.items.iter().try_for_each(Item::check)?;
    Ok(body.items)
}

/// One item that is the whole body.
pub(crate) fn item(body: &[u8]) -> Result<Item, Refusal> {
    let item: Item = serde_json::from_slice(body).map_err(|_| UNREADABLE)?;
    item.check()?;
    Ok(item)
}

/// The carts of all customers, by name.
#[derive(Default)]
pub(crate) struct Carts(Mutex<BTreeMap<String, Vec<Line>>>);

impl Carts {
    pub(crate) fn all(&self) -> Value {
        json!(&*self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn of(&self, customer: &str) -> Option<Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(customer).cloned()
    }

    /// Changes a customer's cart, which is made where there is none; a refused change leaves it as it was.
    pub(crate) fn change<T, E: From<Refusal>>(
        &self,
        customer: &str,
        change: impl FnOnce(&mut Vec<Line>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut carts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if carts.len() >= MAX_CARTS && !carts.contains_key(customer) {
            return Err(FULL.into());
        }
        let mut lines = carts.get(customer).cloned().unwrap_or_default();
        let done = change(&mut lines)?;
        if lines.len() > MAX_LINES {
            return Err(FULL.into());
        }
        carts.insert(customer.to_owned(), lines);
        Ok(done)
    }
}

pub(crate) fn add_all(standin: &Shared, lines: &mut Vec<Line>, items: Vec<Item>) {
    for item in items {
        add(standin, lines, item);
    }
}

/// Adds to what is there of the same product in the same way.
fn add(standin: &Shared, lines: &mut Vec<Line>, item: Item) {
    let same = |line: &&mut Line| line.upc == item.upc && line.modality == item.modality();
    match lines.iter_mut().find(same) {
        Some(line) => line.quantity = line.quantity.saturating_add(item.quantity),
        None => lines.push(line(standin, item)),
    }
}

pub(crate) fn line(standin: &Shared, item: Item) -> Line {
    let product = standin.catalogue.product(&item.upc);
    Line {
        quantity: item.quantity,
        modality: item.modality().to_owned(),
        description: product.map(|product| text(product, "description").to_owned()).unwrap_or_default(),
        created_date: Timestamp::now().to_string(),
        allow_substitutes: item.allow_substitutes,
        special_instructions: item.special_instructions,
        upc: item.upc,
    }
}

/// `PUT /v1/cart/add`. A product that no store has is taken too: the documents name no refusal for it.
pub(crate) async fn put(
    State(standin): State<Shared>,
    Extension(Customer(customer)): Extension<Customer>,
    body: Bytes,
) -> Response {
    let added = items(&body).and_then(|items| {
        standin.carts.change(&customer, |lines| {
            add_all(&standin, lines, items);
            Ok::<_, Refusal>(())
        })
    });
    added.map_or_else(refused, |()| reply::empty(StatusCode::NO_CONTENT))
}

/// An id made of a name, in the form of a UUID, the same each time.
pub(crate) fn id_of(kind: &str, customer: &str) -> String {
    let digest = Sha256::digest(format!("{kind}/{customer}"));
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// `GET /v1/identity/profile`: one opaque id and nothing else.
pub(crate) async fn profile(Extension(Customer(customer)): Extension<Customer>) -> Response {
    reply::data(json!({ "id": id_of("profile", &customer) }), json!({}))
}
