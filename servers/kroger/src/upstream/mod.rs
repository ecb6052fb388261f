//! Calls to Kroger: token, quota, short caches with an older answer for bad times, and one renewal of a token that was refused early.

pub(crate) mod cart;
pub(crate) mod coupons;
pub(crate) mod model;
mod token;

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::{join_all, try_join_all};
use portico_kit::{
    Check, ConfigError, Metrics, Store,
    cache::{Cache, Keep},
    upstream::{Answer, Batch, Bounds, Call, Class, Client, DailyQuota, Error},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::config::Config;
use model::{Department, List, Location, Product};
use token::Tokens;

/// How long answers serve, and how much longer where Kroger cannot be asked. Its acceptable use policy allows no more than a short cache.
const PRODUCTS: Keep = minutes(5, 30);
const STORES: Keep = minutes(60, 12 * 60);
const DEPARTMENTS: Keep = minutes(24 * 60, 24 * 60);
/// Products that one call may name.
const MOST_IDS: usize = 50;

const fn minutes(fresh: u64, stale: u64) -> Keep {
    Keep { fresh: Duration::from_mins(fresh), stale: Duration::from_mins(stale) }
}

/// An answer, and how old it is where Kroger could not be asked and one from before stands in for it.
pub(crate) struct Looked<T> {
    pub(crate) data: T,
    pub(crate) stale_seconds: Option<u64>,
}

/// Query parameters.
pub(crate) type Query = Vec<(&'static str, String)>;

/// A product at a store, or at none.
type Wanted = (Option<String>, String);

/// Kroger, with caches in front of it.
pub(crate) struct Api {
    remote: Arc<Remote>,
    cache: Cache,
    products: Batch<Wanted, Product>,
}

/// Kroger itself.
struct Remote {
    client: Client,
    tokens: Tokens,
    quotas: Quotas,
}

/// Kroger counts each group of paths for itself, over all users of an application.
struct Quotas {
    products: Arc<DailyQuota>,
    locations: Arc<DailyQuota>,
    departments: Arc<DailyQuota>,
    cart: Arc<DailyQuota>,
    identity: Arc<DailyQuota>,
}

impl Quotas {
    fn new(config: &Config, store: &Store) -> Self {
        let quota = |name, limit| Arc::new(DailyQuota::stored(store, name, limit));
        Self {
            products: quota("products", config.daily.products),
            locations: quota("locations", config.daily.locations),
            departments: quota("departments", config.daily.departments),
            cart: quota("cart", config.daily.cart),
            identity: quota("identity", config.daily.identity),
        }
    }
}

impl Api {
    pub(crate) fn new(
        config: &Config,
        (store, cache): (&Store, Cache),
        metrics: Arc<Metrics>,
        (credentials, circuit): (Check, Check),
    ) -> Result<Self, ConfigError> {
        let client = Client::new("Kroger", config.base.clone(), config.policy.clone(), explain, metrics)?
            .with_check(circuit);
        let tokens = Tokens::new(config.client_id.clone(), config.client_secret.clone(), credentials);
        let remote = Arc::new(Remote { client, tokens, quotas: Quotas::new(config, store) });
        let batched = Arc::clone(&remote);
        let fetch = move |wanted| {
            let remote = Arc::clone(&batched);
            Box::pin(async move { remote.by_ids(wanted).await }) as std::pin::Pin<Box<_>>
        };
        Ok(Self { remote, cache, products: Batch::new("Kroger", Bounds::default(), fetch) })
    }

    /// Products of a search.
    pub(crate) async fn products(&self, query: Query) -> Result<Looked<List<Product>>, Error> {
        self.list("products", query, PRODUCTS, |remote| &remote.quotas.products).await
    }

    /// Stores of a search.
    pub(crate) async fn stores(&self, query: Query) -> Result<Looked<List<Location>>, Error> {
        self.list("locations", query, STORES, |remote| &remote.quotas.locations).await
    }

    /// All departments that stores may have.
    pub(crate) async fn departments(&self) -> Result<Looked<List<Department>>, Error> {
        self.list("departments", Vec::new(), DEPARTMENTS, |remote| &remote.quotas.departments).await
    }

    /// A list of `/v1/GROUP`, from the cache where it is there. What is kept are the fields that are used here, and no word that a user
    /// searched for: the key is a digest.
    async fn list<T>(
        &self,
        group: &'static str,
        query: Query,
        keep: Keep,
        quota: fn(&Remote) -> &Arc<DailyQuota>,
    ) -> Result<Looked<List<T>>, Error>
    where
        T: Serialize + DeserializeOwned + Send,
    {
        let key = format!("{group}/{}", portico_kit::digest(format!("{query:?}")));
        let remote = Arc::clone(&self.remote);
        let fetch = async move {
            let call =
                query.iter().fold(Call::get("/v1").segment(group).group(group), |call, (name, value)| {
                    call.query(name, value.clone())
                });
            let list: List<T> = remote.send(call.quota(quota(&remote))).await?.json()?;
            encoded(&list)
        };
        let fetched = self.cache.fetch(&key, keep, fetch).await?;
        let stale_seconds = fetched.is_stale.then_some(fetched.age.as_secs());
        Ok(Looked { data: decoded(&fetched.value)?, stale_seconds })
    }

    /// Products by their ids; unknown ones are left out. Fifty cost one call, whoever of all users asks for them.
    pub(crate) async fn by_ids(
        &self,
        ids: &[&str],
        store: Option<&str>,
    ) -> Result<Looked<Vec<Product>>, Error> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let found = try_join_all(ids.into_iter().map(|id| self.by_id(id, store))).await?;
        let stale_seconds = found.iter().filter_map(|product| product.stale_seconds).max();
        Ok(Looked { data: found.into_iter().filter_map(|product| product.data).collect(), stale_seconds })
    }

    async fn by_id(&self, id: &str, store: Option<&str>) -> Result<Looked<Option<Product>>, Error> {
        let key = format!("product/{}/{id}", store.unwrap_or("-"));
        let held = self.cache.get(&key).await;
        if let Some(hit) = held.as_ref().filter(|hit| hit.is_fresh) {
            return Ok(Looked { data: decoded(&hit.value)?, stale_seconds: None });
        }
        match (self.products.get((store.map(str::to_owned), id.to_owned())).await, held) {
            (Ok(product), _) => {
                self.cache.put(&key, encoded(&product)?, PRODUCTS).await;
                Ok(Looked { data: product, stale_seconds: None })
            }
            (Err(error), Some(hit)) if error.class().allows_stale() => {
                Ok(Looked { data: decoded(&hit.value)?, stale_seconds: Some(hit.age.as_secs()) })
            }
            (Err(error), _) => Err(error),
        }
    }

    /// The client, for what belongs to a customer: none of it is kept.
    pub(crate) fn client(&self) -> &Client {
        &self.remote.client
    }

    fn quotas(&self) -> &Quotas {
        &self.remote.quotas
    }

    /// Keeps a token at hand, whether or not anybody calls a tool, so that it is always known whether the credentials
    /// work. Never ends.
    pub(crate) async fn keep_token(&self) {
        self.remote.tokens.keep(&self.remote.client).await;
    }
}

impl Remote {
    /// Looks products up, those of one store by fifty at a time.
    async fn by_ids(&self, wanted: Vec<Wanted>) -> Result<HashMap<Wanted, Product>, Error> {
        let mut stores: HashMap<Option<String>, Vec<String>> = HashMap::new();
        for (store, id) in wanted {
            stores.entry(store).or_default().push(id);
        }
        let pages = stores.iter().flat_map(|(store, ids)| ids.chunks(MOST_IDS).map(move |ids| (store, ids)));
        let pages = join_all(pages.map(|(store, ids)| self.page(store.as_ref(), ids))).await;
        let mut found = HashMap::new();
        for page in pages {
            found.extend(page?);
        }
        Ok(found)
    }

    async fn page(&self, store: Option<&String>, ids: &[String]) -> Result<Vec<(Wanted, Product)>, Error> {
        let call = Call::get("/v1/products").group("products").quota(&self.quotas.products);
        let call = call.query("filter.productId", ids.join(",")).query("filter.limit", MOST_IDS.to_string());
        let call = store.iter().fold(call, |call, store| call.query("filter.locationId", store.as_str()));
        let list: List<Product> = self.send(call).await?.json()?;
        Ok(list
            .data
            .into_iter()
            .map(|product| ((store.cloned(), product.product_id.clone()), product))
            .collect())
    }

    /// Sends with the application's token; one that Kroger refuses is replaced once.
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

fn encoded<T: Serialize>(value: &T) -> Result<Bytes, Error> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| unreadable(&error))
}

fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> Error {
    Error::new("Kroger", Class::Malformed, format!("what is kept of an answer cannot be read: {error}"))
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
