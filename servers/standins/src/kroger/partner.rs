//! `/v1/carts`: what a partner's application can do with a customer's cart. There are no prices in it.

use axum::{
    Extension,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    Shared,
    cart::{self, Item, Line, Refusal},
    catalogue::text,
    oauth::Customer,
    reply,
};

/// Why a request about a cart got nothing.
enum Failure {
    Refused(Refusal),
    Missing,
    Conflict,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => cart::refused(refusal),
            Self::Missing => reply::empty(StatusCode::NOT_FOUND),
            Self::Conflict => reply::flat(StatusCode::CONFLICT, "CART-4409-409", "cart not fulfillable"),
        }
    }
}

fn shown(customer: &str, lines: &[Line]) -> Value {
    let created = lines.first().map(|line| json!(line)["createdDate"].clone()).unwrap_or_default();
    json!({ "id": cart::id_of("cart", customer), "name": "Cart", "createdDate": created, "items": lines })
}

/// The cart with this id, where it is the customer's and exists.
fn own(standin: &Shared, customer: &str, id: &str) -> Result<Vec<Line>, Failure> {
    let lines = standin.carts.of(customer).ok_or(Failure::Missing)?;
    if id == cart::id_of("cart", customer) { Ok(lines) } else { Err(Failure::Missing) }
}

/// What is out of stock cannot be brought.
fn fulfillable(standin: &Shared, items: &[Item]) -> Result<(), Failure> {
    let is_out = |item: &Item| {
        standin.catalogue.product(&item.upc).is_some_and(|product| {
            text(&product["items"][0]["inventory"], "stockLevel") == "TEMPORARILY_OUT_OF_STOCK"
        })
    };
    if items.iter().any(is_out) { Err(Failure::Conflict) } else { Ok(()) }
}

/// `GET /v1/carts`.
pub(crate) async fn list(
    State(standin): State<Shared>,
    Extension(Customer(customer)): Extension<Customer>,
) -> Response {
    let carts: Vec<Value> =
        standin.carts.of(&customer).map(|lines| shown(&customer, &lines)).into_iter().collect();
    reply::data(Value::Array(carts), json!({}))
}

/// `GET /v1/carts/{id}`.
pub(crate) async fn detail(
    State(standin): State<Shared>,
    Extension(Customer(customer)): Extension<Customer>,
    Path(id): Path<String>,
) -> Response {
    match own(&standin, &customer, &id) {
        Ok(lines) => reply::data(shown(&customer, &lines), json!({})),
        Err(failure) => failure.into_response(),
    }
}

/// `POST /v1/carts`, with or without items.
pub(crate) async fn create(
    State(standin): State<Shared>,
    Extension(Customer(customer)): Extension<Customer>,
    body: Bytes,
) -> Response {
    if standin.carts.of(&customer).is_some() {
        return reply::flat(StatusCode::BAD_REQUEST, "CART-4102-400", "Cart exists for user");
    }
    let items = match parse_optional(&body) {
        Ok(items) => items,
        Err(refusal) => return cart::refused(refusal),
    };
    match replace(&standin, &customer, items) {
        Ok(lines) => {
            (StatusCode::CREATED, axum::Json(json!({ "data": shown(&customer, &lines), "meta": {} })))
                .into_response()
        }
        Err(failure) => failure.into_response(),
    }
}

fn parse_optional(body: &[u8]) -> Result<Vec<Item>, Refusal> {
    let none: Value = serde_json::from_slice(body).unwrap_or_default();
    let is_empty = none["items"].as_array().is_none_or(Vec::is_empty);
    if body.is_empty() || none.is_object() && is_empty { Ok(Vec::new()) } else { cart::items(body) }
}

fn replace(standin: &Shared, customer: &str, items: Vec<Item>) -> Result<Vec<Line>, Failure> {
    fulfillable(standin, &items)?;
    standin.carts.change(customer, |lines| {
        lines.clear();
        cart::add_all(standin, lines, items);
        Ok(lines.clone())
    })
}

/// `PUT /v1/carts/{id}`: these items and no others.
pub(crate) async fn update(
    State(standin): State<Shared>,
    Extension(Customer(customer)): Extension<Customer>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let replaced = own(&standin, &customer, &id)
        .and_then(|_| Ok(parse_optional(&body)?))
        .and_then(|items| replace(&standin, &customer, items));
    done(replaced.map(|_| StatusCode::NO_CONTENT))
}

/// `POST /v1/carts/{id}/items`: adds one item, or those of a list.
pub(crate) async fn add_items(
    State(standin): State<Shared>,
    Extension(Customer(customer)): Extension<Customer>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let added = own(&standin, &customer, &id)
        .and_then(|_| Ok(cart::items(&body).or_else(|_| cart::item(&body).map(|item| vec![item]))?))
        .and_then(|items| {
            fulfillable(&standin, &items)?;
            standin.carts.change(&customer, |lines| {
                cart::add_all(&standin, lines, items);
                Ok(())
            })
        });
    done(added.map(|()| StatusCode::CREATED))
}

/// `PUT /v1/carts/{id}/items/{upc}`.
pub(crate) async fn update_item(
    State(standin): State<Shared>,
    Extension(Customer(customer)): Extension<Customer>,
    Path((id, upc)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let updated = own(&standin, &customer, &id).and_then(|_| Ok(cart::item(&body)?)).and_then(|item| {
        fulfillable(&standin, std::slice::from_ref(&item))?;
        standin.carts.change(&customer, |lines| {
            let old = lines.iter_mut().find(|line| line.upc == upc).ok_or(Failure::Missing)?;
            *old = cart::line(&standin, Item { upc: upc.clone(), ..item });
            Ok(())
        })
    });
    done(updated.map(|()| StatusCode::NO_CONTENT))
}

/// `DELETE /v1/carts/{id}/items/{upc}`.
pub(crate) async fn remove_item(
    State(standin): State<Shared>,
    Extension(Customer(customer)): Extension<Customer>,
    Path((id, upc)): Path<(String, String)>,
) -> Response {
    let removed = own(&standin, &customer, &id).and_then(|_| {
        standin.carts.change(&customer, |lines| {
            let before = lines.len();
            lines.retain(|line| line.upc != upc);
            if lines.len() == before { Err(Failure::Missing) } else { Ok(()) }
        })
    });
    done(removed.map(|()| StatusCode::NO_CONTENT))
}

fn done(result: Result<StatusCode, Failure>) -> Response {
    result.map_or_else(IntoResponse::into_response, reply::empty)
}
