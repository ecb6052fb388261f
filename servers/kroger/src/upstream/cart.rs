//! Customers' carts: the public API only adds to them; a partner's application may read and change them.

use portico_kit::{
    Secret,
    upstream::{Body, Call, Class, Error, Method},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Api;

/// How goods reach the customer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Modality {
    /// Fetched at the store.
    #[default]
    Pickup,
    /// Brought to the door.
    Delivery,
    /// Sent by a parcel service. Such lines come from Kroger's own pages; here nobody asks for it.
    Ship,
}

impl Modality {
    /// What a line's text means; pickup is what Kroger takes where there is none.
    fn of(text: Option<&str>) -> Self {
        match text {
            Some("DELIVERY") => Self::Delivery,
            Some("SHIP") => Self::Ship,
            _ => Self::Pickup,
        }
    }
}

/// So many of one product.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CartItem {
    pub(crate) upc: String,
    pub(crate) quantity: u32,
    pub(crate) modality: Modality,
}

/// A line of a cart that a partner may read. It has no price.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartnerLine {
    pub(crate) upc: String,
    #[serde(default)]
    pub(crate) quantity: u32,
    pub(crate) description: Option<String>,
    pub(crate) created_date: Option<String>,
    modality: Option<String>,
}

impl PartnerLine {
    /// How it reaches the customer.
    pub(crate) fn way(&self) -> Modality {
        Modality::of(self.modality.as_deref())
    }
}

/// A cart that a partner may read.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PartnerCart {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) items: Vec<PartnerLine>,
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

impl Api {
    /// Adds to the customer's cart, all or nothing. Kroger has no key against adding twice: this is sent once, and where no answer
    /// comes it is not known what became of it.
    pub(crate) async fn add_to_cart(&self, token: Secret, items: &[CartItem]) -> Result<(), Error> {
        let call =
            Call::new(Method::PUT, "/v1/cart/add").group("cart").bearer(token).quota(&self.quotas().cart);
        self.client().send(&call.body(Body::Json(json!({ "items": items })))).await.map(drop)
    }

    /// The customer's cart, where there is one.
    pub(crate) async fn partner_cart(&self, token: Secret) -> Result<Option<PartnerCart>, Error> {
        let call = Call::get("/v1/carts").group("cart").bearer(token).quota(&self.quotas().cart);
        let carts: Data<Vec<PartnerCart>> = self.client().send(&call).await?.json()?;
        Ok(carts.data.into_iter().next())
    }

    /// Adds a line to the cart `id`, or makes a cart with it where there is none.
    pub(crate) async fn partner_add(
        &self,
        token: Secret,
        cart: Option<&str>,
        item: &CartItem,
    ) -> Result<(), Error> {
        let (path, body) = match cart {
            Some(_) => ("/v1/carts", json!(item)),
            None => ("/v1/carts", json!({ "items": [item] })),
        };
        let call = Call::new(Method::POST, path)
            .group("cart")
            .bearer(token)
            .quota(&self.quotas().cart)
            .body(Body::Json(body));
        let call = cart.iter().fold(call, |call, id| call.segment(id).segment("items"));
        self.client().send(&call).await.map(drop)
    }

    /// Sets the number of a line. Doing it twice is the same as once.
    pub(crate) async fn partner_set(&self, token: Secret, cart: &str, item: &CartItem) -> Result<(), Error> {
        let call = Call::new(Method::PUT, "/v1/carts").segment(cart).segment("items").segment(&item.upc);
        let call = call
            .group("cart")
            .bearer(token)
            .quota(&self.quotas().cart)
            .body(Body::Json(json!(item)))
            .repeatable();
        self.client().send(&call).await.map(drop)
    }

    /// Takes a line out; one that is not there is out already.
    pub(crate) async fn partner_remove(&self, token: Secret, cart: &str, upc: &str) -> Result<(), Error> {
        let call = Call::new(Method::DELETE, "/v1/carts").segment(cart).segment("items").segment(upc);
        match self
            .client()
            .send(&call.group("cart").bearer(token).quota(&self.quotas().cart).repeatable())
            .await
        {
            Err(error) if error.class() == Class::NotFound => Ok(()),
            other => other.map(drop),
        }
    }
}
