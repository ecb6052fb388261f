//! Coupons of a partner's application. Kroger publishes no API for them: this is a contract of ours, which docs/servers/kroger.md
//! describes for whoever has an agreement and puts an adapter in front of it.

use portico_kit::{
    Secret,
    upstream::{Call, Error, Method},
};
use serde::Deserialize;

use super::{Api, model::List};

/// A coupon.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Coupon {
    pub(crate) id: String,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) category: Option<String>,
    /// What it takes off, in dollars.
    pub(crate) value: Option<f64>,
    pub(crate) expires: Option<String>,
    #[serde(default)]
    pub(crate) product_ids: Vec<String>,
    #[serde(default)]
    pub(crate) clipped: bool,
}

/// Coupons of one answer.
const PAGE: &str = "50";

impl Api {
    /// The customer's coupons, of one category or of all.
    pub(crate) async fn coupons(&self, token: Secret, category: Option<&str>) -> Result<Vec<Coupon>, Error> {
        let call = Call::get("/v1/coupons")
            .group("coupons")
            .bearer(token)
            .quota(&self.quotas().identity)
            .query("filter.limit", PAGE);
        let call = category.iter().fold(call, |call, category| call.query("filter.category", *category));
        let list: List<Coupon> = self.client().send(&call).await?.json()?;
        Ok(list.data)
    }

    /// Clips a coupon for the customer. Clipping it twice is refused by the API and does no harm.
    pub(crate) async fn clip(&self, token: Secret, coupon: &str) -> Result<(), Error> {
        let call = Call::new(Method::POST, "/v1/coupons").segment(coupon).segment("clip");
        self.client()
            .send(&call.group("coupons").bearer(token).quota(&self.quotas().identity).repeatable())
            .await
            .map(drop)
    }
}
