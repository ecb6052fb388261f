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

/// Coupons of one answer, and those that are read in all.
const PAGE: usize = 50;
const MOST: usize = 500;

impl Api {
    /// The customer's coupons, of one category or of all: the first 500, page by page.
    pub(crate) async fn coupons(&self, token: Secret, category: Option<&str>) -> Result<Vec<Coupon>, Error> {
        let mut coupons: Vec<Coupon> = Vec::new();
        let mut read = 0;
        loop {
            let page = self.page_of_coupons(token.clone(), category, read).await?;
            let count = page.data.len();
            read += count;
            // Where one ends or comes meanwhile, the pages shift and may overlap.
            let is_new = |coupon: &Coupon| coupons.iter().all(|known| known.id != coupon.id);
            let new: Vec<Coupon> = page.data.into_iter().filter(is_new).collect();
            coupons.extend(new);
            let total = page.meta.pagination.total;
            let is_last = if total > 0 { read >= total } else { count < PAGE };
            if count == 0 || is_last || read >= MOST {
                coupons.truncate(MOST);
                return Ok(coupons);
            }
        }
    }

    async fn page_of_coupons(
        &self,
        token: Secret,
        category: Option<&str>,
        start: usize,
    ) -> Result<List<Coupon>, Error> {
        let call = Call::get("/v1/coupons")
            .group("coupons")
            .bearer(token)
            .quota(&self.quotas().identity)
            .query("filter.start", start.to_string())
            .query("filter.limit", PAGE.to_string());
        let call = category.iter().fold(call, |call, category| call.query("filter.category", *category));
        self.client().send(&call).await?.json()
    }

    /// Clips a coupon for the customer. Clipping it twice is refused by the API (409) and does no harm.
    pub(crate) async fn clip(&self, token: Secret, coupon: &str) -> Result<(), Error> {
        let call = Call::new(Method::POST, "/v1/coupons").segment(coupon).segment("clip");
        self.client()
            .send(&call.group("coupons").bearer(token).quota(&self.quotas().identity).repeatable())
            .await
            .map(drop)
    }
}
