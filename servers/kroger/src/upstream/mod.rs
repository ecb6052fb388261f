//! Calls to Kroger: token, quota, short caches, and one renewal of a token that was refused early.

pub(crate) mod cart;
pub(crate) mod coupons;
pub(crate) mod model;
mod token;

use std::{sync::Arc, time::Duration};

use futures::future::try_join_all;
use moka::future::Cache;
use portico_kit::{
    Check, ConfigError, Metrics,
    upstream::{Answer, Call, Class, Client, DailyQuota, Error},
};
use serde_json::Value;

use crate::config::Config;
use model::{Department, List, Location, Product};
use token::Tokens;

/// Answers kept at most, of each kind.
const KEPT: u64 = 1_000;
const PRODUCTS_KEPT_FOR: Duration = Duration::from_mins(5);
const STORES_KEPT_FOR: Duration = Duration::from_mins(10);
const DEPARTMENTS_KEPT_FOR: Duration = Duration::from_hours(24);

/// Products that one call may name.
const MOST_IDS: usize = 50;

/// An answer, and how old it is where Kroger could not be asked and one from before stands in for it.
pub(crate) struct Looked<T> {
    pub(crate) data: Arc<T>,
    pub(crate) stale_seconds: Option<u64>,
}

impl<T> Looked<T> {
    fn fresh(data: Arc<T>) -> Self {
        Self { data, stale_seconds: None }
    }
}

/// Query parameters, which are also the cache's key.
pub(crate) type Query = Vec<(&'static str, String)>;

pub(crate) struct Api {
    client: Client,
    tokens: Tokens,
    products: Cache<Query, Arc<List<Product>>>,
    stores: Cache<Query, Arc<List<Location>>>,
    departments: Cache<(), Arc<List<Department>>>,
    quotas: Quotas,
}

/// Kroger counts each group of paths for itself.
struct Quotas {
    products: Arc<DailyQuota>,
    locations: Arc<DailyQuota>,
    departments: Arc<DailyQuota>,
    cart: Arc<DailyQuota>,
    identity: Arc<DailyQuota>,
}

fn cache<K, V>(life: Duration) -> Cache<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder().max_capacity(KEPT).time_to_live(life).build()
}

impl Api {
    pub(crate) fn new(
        config: &Config,
        metrics: Arc<Metrics>,
        credentials: Check,
    ) -> Result<Self, ConfigError> {
        let client = Client::new("Kroger", config.base.clone(), config.policy.clone(), explain, metrics)?;
        let quota = |name, limit| Arc::new(DailyQuota::new(name, limit));
        Ok(Self {
            client,
            tokens: Tokens::new(config.client_id.clone(), config.client_secret.clone(), credentials),
            products: cache(PRODUCTS_KEPT_FOR),
            stores: cache(STORES_KEPT_FOR),
            departments: cache(DEPARTMENTS_KEPT_FOR),
            quotas: Quotas {
                products: quota(config.daily.products),
                locations: quota(config.daily.locations),
                departments: quota(config.daily.departments),
                cart: quota(config.daily.cart),
                identity: quota(config.daily.identity),
                products: quota("products", config.daily.products),
                locations: quota("locations", config.daily.locations),
                departments: quota("departments", config.daily.departments),
            },
        })
    }

    pub(crate) async fn products(&self, query: Query) -> Result<Looked<List<Product>>, Error> {
        let fetch = async {
            let call =
                with_query(Call::get("/v1/products").group("products"), &query).quota(&self.quotas.products);
            self.send(call).await?.json().map(Arc::new)
        };
        self.products.try_get_with(query.clone(), fetch).await.map(Looked::fresh).map_err(unshared)
    }

    /// Products by their ids; unknown ones are left out. Fifty cost one call.
    pub(crate) async fn by_ids(&self, ids: &[&str], store: Option<&str>) -> Result<Looked<Vec<Product>>, Error> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let pages = try_join_all(ids.chunks(MOST_IDS).map(|ids| {
            let mut query = vec![("filter.productId", ids.join(",")), ("filter.limit", MOST_IDS.to_string())];
            query.extend(store.map(|store| ("filter.locationId", store.to_owned())));
            self.products(query)
        }));
        let pages = pages.await?;
        let stale_seconds = pages.iter().filter_map(|page| page.stale_seconds).max();
        let products = pages.iter().flat_map(|page| page.data.data.iter().cloned()).collect();
        Ok(Looked { data: Arc::new(products), stale_seconds })
    }

    pub(crate) async fn stores(&self, query: Query) -> Result<Looked<List<Location>>, Error> {
        let fetch = async {
            let call = with_query(Call::get("/v1/locations").group("locations"), &query)
                .quota(&self.quotas.locations);
            self.send(call).await?.json().map(Arc::new)
        };
        self.stores.try_get_with(query.clone(), fetch).await.map(Looked::fresh).map_err(unshared)
    }

    pub(crate) async fn departments(&self) -> Result<Looked<List<Department>>, Error> {
        let fetch = async {
            let call = Call::get("/v1/departments").group("departments").quota(&self.quotas.departments);
            self.send(call).await?.json().map(Arc::new)
        };
        self.departments.try_get_with((), fetch).await.map(Looked::fresh).map_err(unshared)
    }

    /// Keeps a token at hand, whether or not anybody calls a tool, so that it is always known whether the credentials
    /// work. Never ends.
    pub(crate) async fn keep_token(&self) {
        self.tokens.keep(&self.client).await;
    }

    /// Sends with a token; a token that Kroger refuses is replaced once.
    async fn send(&self, call: Call) -> Result<Answer, Error> {
        let token = self.tokens.get(&self.client).await?;
        match self.client.send(&call.clone().bearer(token.clone())).await {
            Err(error) if error.class() == Class::Authentication => {
                self.tokens.forget(&token).await;
                let token = self.tokens.get(&self.client).await?;
                self.client.send(&call.bearer(token)).await
            }
            result => result,
        }
    }
}

/// Everyone who waited for the same answer gets the same error.
fn unshared(error: Arc<Error>) -> Error {
    Arc::unwrap_or_clone(error)
}

fn with_query(call: Call, query: &Query) -> Call {
    query.iter().fold(call, |call, (name, value)| call.query(name, value.clone()))
}

/// The reason in any of the forms that Kroger's parts answer with.
fn explain(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let body = body.get("errors").unwrap_or(&body);
    let text = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
    text("reason").or_else(|| text("error_description")).or_else(|| text("message"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::explain;

    #[rstest]
    #[case::nested(
        r#"{"errors":{"timestamp":1,"code":"PRODUCT-2017","reason":"too short"}}"#,
        Some("too short")
    )]
    #[case::flat(r#"{"timestamp":1,"code":"AUTH-1007","reason":"Invalid token"}"#, Some("Invalid token"))]
    #[case::nested_oauth(
        r#"{"errors":{"error":"invalid_token","error_description":"expired"}}"#,
        Some("expired")
    )]
    #[case::oauth(
        r#"{"error":"unauthorized","error_description":"invalid credentials"}"#,
        Some("invalid credentials")
    )]
    #[case::gateway(r#"{"message":"Unauthorized"}"#, Some("Unauthorized"))]
    #[case::empty("", None)]
    #[case::html("<html></html>", None)]
    fn every_form_of_error_gives_its_reason(#[case] body: &str, #[case] reason: Option<&str>) {
        assert_eq!(explain(body.as_bytes()).as_deref(), reason);
    }
}
