//! Prices that were seen, so that a drop can be told.
//!
//! Kroger's acceptable use policy forbids a database of its answers. So what was seen is remembered for a day, in memory; only where the
//! operator says that Kroger permits it (`KROGER_RECORD_PRICES`) it is written down, one price a product, store and day.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use portico_kit::{
    Store,
    store::{self, Migration, now},
};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::{AssertSqlSafe, Row as _};

use super::{moment, money::Money, product::Shown};

/// The table of recorded prices.
pub(crate) const MIGRATION: Migration = Migration {
    version: 200,
    name: "prices",
    sql: "CREATE TABLE kroger_prices (
        location_id TEXT NOT NULL, product_id TEXT NOT NULL, day BIGINT NOT NULL, price BIGINT NOT NULL,
        PRIMARY KEY (location_id, product_id, day));
    CREATE INDEX kroger_prices_day ON kroger_prices (day)",
};

const DAY: i64 = 24 * 60 * 60 * 1_000;
/// Prices that are remembered at once, and days that recorded ones are kept.
const MOST: usize = 20_000;
const KEPT_DAYS: i64 = 120;

/// A store and a product.
type Key = (String, String);

/// What was seen of a product, in memory.
#[derive(Debug, Clone, Copy)]
struct Seen {
    first: Money,
    at: i64,
    last: Money,
    lowest: Money,
}

/// A price that was seen before and is another now.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct PriceChange {
    /// What one paid then: of all prices that were seen the one furthest back.
    pub(crate) before: Money,
    /// When that was seen (RFC 3339).
    pub(crate) since: String,
    /// What it has become cheaper by; missing where it has become dearer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dropped_by: Option<Money>,
    /// The lowest price that was seen.
    pub(crate) lowest: Money,
}

/// Prices that were seen.
pub(crate) struct Prices {
    record: Option<Store>,
    seen: Mutex<HashMap<Key, Seen>>,
}

impl Prices {
    /// Prices that are remembered, and written down in `record` where there is one.
    pub(crate) fn new(record: Option<Store>) -> Self {
        Self { record, seen: Mutex::default() }
    }

    /// Takes the prices of an answer, and adds to its products what has changed since they were seen first.
    pub(crate) async fn compare(&self, location: &str, products: &mut [Shown]) {
        let prices: Vec<(String, Money)> = products
            .iter()
            .filter_map(|product| Some((product.product_id.clone(), product.price.as_ref()?.current)))
            .collect();
        let new = self.remember(location, &prices);
        let before = match &self.record {
            Some(store) => recorded(store, location, &prices, &new).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "prices could not be recorded");
                HashMap::new()
            }),
            None => self.remembered(location, &prices),
        };
        for product in products {
            let (Some(price), Some(past)) = (&product.price, before.get(&product.product_id)) else {
                continue;
            };
            product.price_change = past.against(price.current);
        }
    }

    /// Notes prices in memory; answers the products whose price was not noted yet.
    fn remember(&self, location: &str, prices: &[(String, Money)]) -> HashSet<String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let time = now();
        if seen.len() + prices.len() > MOST {
            seen.retain(|_, seen| seen.at > time - DAY);
        }
        let mut new = HashSet::new();
        for (product, price) in prices {
            let key = (location.to_owned(), product.clone());
            let known = seen.get(&key).copied().filter(|seen| seen.at > time - DAY);
            if known.is_none_or(|seen| seen.last != *price) {
                new.insert(product.clone());
            }
            let first = known.unwrap_or(Seen { first: *price, at: time, last: *price, lowest: *price });
            if known.is_some() || seen.len() < MOST {
                seen.insert(key, Seen { last: *price, lowest: first.lowest.min(*price), ..first });
            }
        }
        new
    }

    fn remembered(&self, location: &str, prices: &[(String, Money)]) -> HashMap<String, Past> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let past = |product: &String| {
            let seen = seen.get(&(location.to_owned(), product.clone()))?;
            Some((product.clone(), Past { before: seen.first, since: seen.at, lowest: seen.lowest }))
        };
        prices.iter().filter_map(|(product, _)| past(product)).collect()
    }

    /// Removes recorded prices that are over.
    pub(crate) async fn forget(&self) -> Result<(), store::Error> {
        let Some(store) = &self.record else { return Ok(()) };
        let query = sqlx::query("DELETE FROM kroger_prices WHERE day < $1").bind(today() - KEPT_DAYS);
        store.run("removing old prices", query.execute(store.write())).await.map(drop)
    }
}

/// What is known of a product's past.
#[derive(Debug, Clone, Copy)]
struct Past {
    before: Money,
    since: i64,
    lowest: Money,
}

impl Past {
    fn against(&self, price: Money) -> Option<PriceChange> {
        (self.before != price).then(|| PriceChange {
            before: self.before,
            since: moment(self.since),
            dropped_by: self.before.less(price),
            lowest: self.lowest.min(price),
        })
    }
}

fn today() -> i64 {
    now().div_euclid(DAY)
}

/// Writes the new prices down, and reads what was written of all of them before.
async fn recorded(
    store: &Store,
    location: &str,
    prices: &[(String, Money)],
    new: &HashSet<String>,
) -> Result<HashMap<String, Past>, store::Error> {
    let text = "INSERT INTO kroger_prices (location_id, product_id, day, price) VALUES ($1, $2, $3, $4) \
                ON CONFLICT (location_id, product_id, day) DO UPDATE SET price = $4";
    for (product, price) in prices.iter().filter(|(product, _)| new.contains(product)) {
        let query = sqlx::query(text).bind(location).bind(product).bind(today()).bind(price.raw());
        store.run("recording a price", query.execute(store.write())).await?;
    }
    if prices.is_empty() {
        return Ok(HashMap::new());
    }
    let places: Vec<String> = (2..prices.len() + 2).map(|number| format!("${number}")).collect();
    let text = format!(
        "SELECT product_id, day, price FROM kroger_prices WHERE location_id = $1 AND product_id IN ({}) ORDER BY day",
        places.join(", ")
    );
    let reading = store.reading("reading prices", |pool| {
        // Only the numbers of the places are put together here.
        let query = sqlx::query(AssertSqlSafe(text.clone())).bind(location);
        let query = prices.iter().fold(query, |query, (product, _)| query.bind(product));
        async move { query.fetch_all(&pool).await }
    });
    let rows = reading.await?;
    let mut past: HashMap<String, Past> = HashMap::new();
    for row in rows {
        let (product, day, price): (String, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let Some(price) = Money::from_raw(price) else { continue };
        let first = Past { before: price, since: day * DAY, lowest: price };
        let known = past.entry(product).or_insert(first);
        known.lowest = known.lowest.min(price);
    }
    Ok(past)
}
