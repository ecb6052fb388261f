//! What all tools work with: Kroger, what users keep, and the prices that were seen.

mod counts;
pub(crate) mod money;
pub(crate) mod prices;
pub(crate) mod product;

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::tz::TimeZone;
use portico_kit::{
    ConfigError, Messages, Serving, Store,
    audit_log::AuditLog,
    cache::Cache,
    documents::Documents,
    person::{Holdings, Person},
    seal::Sealer,
    store::{Migration, now},
    tool::ToolError,
};

use counts::Counts;
use prices::Prices;

use crate::{
    Error,
    account::{self, Accounts, Who},
    config::{Config, is_location},
    tools::{
        cart::mirror,
        profile::{self, Preferences},
    },
    upstream::{
        Api,
        model::{Location, Product},
    },
};

/// The tables of this server.
const MIGRATIONS: &[Migration] = {
    let [accounts, browser_users] = account::MIGRATIONS;
    &[accounts, browser_users, prices::MIGRATION]
};

/// Everything of one server.
pub(crate) struct Shop {
    pub(crate) kroger: Api,
    pub(crate) accounts: Accounts,
    pub(crate) documents: Documents,
    pub(crate) prices: Prices,
    pub(crate) counts: Counts,
    audit: AuditLog,
    /// What is kept of users, as a whole.
    pub(crate) person: Person,
    pub(crate) cache: Cache,
    /// The store whose prices are shown where neither the call nor the user names one.
    pub(crate) default_store: Option<String>,
    /// Whether Kroger has given the application a partner's rights.
    pub(crate) is_partner: bool,
}

/// Products by their ids, and how old the answer is where Kroger could not be asked.
#[derive(Default)]
pub(crate) struct Products {
    pub(crate) by_id: HashMap<String, Product>,
    pub(crate) stale_seconds: Option<u64>,
}

impl Shop {
    /// Opens the database and everything that stands on it.
    pub(crate) async fn open(config: &Config, serving: &Serving) -> Result<Self, Error> {
        let (metrics, checks) = (&serving.metrics, &serving.checks);
        let store = Store::open(&config.store, MIGRATIONS).await?;
        let sealer = sealer(config)?;
        let cache = match &config.redis {
            Some(url) => Cache::redis(url, "portico:kroger:", metrics)?,
            None => Cache::memory(config.cache_mebibytes, metrics),
        };
        let documents = Documents::new(store.clone(), sealer.clone());
        let audit = AuditLog::new(&store, metrics, config.audit_days);
        let told = (checks.add("credentials"), checks.add("kroger"));
        let kroger = Api::new(config, (&store, cache.clone()), Arc::clone(metrics), told)?;
        let kept = (store.clone(), sealer);
        let messages = Messages::new(&account::MESSAGES).map_err(portico_kit::Error::from)?;
        let settings = account::Settings::of(config);
        let accounts = Accounts::new(settings, kroger.client().clone(), kept, audit.clone(), messages);
        let holdings: Vec<Arc<dyn Holdings>> = vec![Arc::new(documents.clone()), Arc::new(accounts.clone())];
        Ok(Self {
            kroger,
            accounts,
            person: Person::new(cache.clone(), audit.clone(), holdings),
            audit,
            cache,
            documents,
            counts: Counts::new(metrics),
            prices: Prices::new(config.records_prices.then(|| store.clone())),
            default_store: config.location.clone(),
            is_partner: config.is_partner,
        })
    }

    /// What must go on in the background: a token at hand, and what is over forgotten. Never ends.
    pub(crate) async fn keep(&self) {
        tokio::join!(self.kroger.keep_token(), self.forget(), self.seal_again(), self.accounts.keep());
    }

    /// An old key goes a day after its successor at the earliest; until then nothing may need it.
    async fn seal_again(&self) {
        let mut often = tokio::time::interval(Duration::from_hours(6));
        loop {
            often.tick().await;
            let sealed = async {
                Ok::<_, ToolError>((self.documents.seal_again().await?, self.accounts.seal_again().await?))
            };
            match sealed.await {
                Ok((0, 0)) => {}
                Ok((documents, accounts)) => {
                    tracing::info!(documents, accounts, "sealed again with the newest key");
                }
                Err(error) => {
                    tracing::warn!(%error, "what older keys sealed could not be sealed again; it is tried again in six hours");
                }
            }
        }
    }

    async fn forget(&self) {
        let mut hourly = tokio::time::interval(Duration::from_hours(1));
        loop {
            hourly.tick().await;
            if let Err(error) = self.forget_once().await {
                tracing::warn!(%error, "what is over could not be removed; it is tried again in an hour");
            }
        }
    }

    /// Removes carts that are over, prices that may not be kept, and all that is kept of users whom nobody can reach any more.
    async fn forget_once(&self) -> Result<(), ToolError> {
        self.documents.forget(mirror::KIND, now() - mirror::LIFE).await?;
        self.prices.forget().await?;
        self.audit.sweep().await?;
        let mut all = Ok(());
        for user in self.accounts.unreachable().await? {
            // One that cannot be deleted now keeps none of the others.
            all = all.and(self.person.delete(&user.id).await.map(drop));
        }
        all
    }

    /// The store that a call is about: the one it names in `field`, the user's, the server's.
    pub(crate) async fn store(
        &self,
        who: &Who,
        asked: Option<&str>,
        field: &str,
    ) -> Result<Option<String>, ToolError> {
        if let Some(id) = asked {
            if !is_location(id) {
                return Err(ToolError::invalid(field, "must have 8 letters or digits, such as 01400376"));
            }
            return Ok(Some(id.to_owned()));
        }
        let preferred = match &who.user {
            Some(user) => self.preferred_store(&user.id).await?,
            None => None,
        };
        Ok(preferred.or_else(|| self.default_store.clone()))
    }

    /// The clock that a store goes by; that of UTC where Kroger does not tell it.
    pub(crate) async fn zone(&self, store: Option<&str>) -> TimeZone {
        let Some(store) = store else { return TimeZone::UTC };
        let hours = self.place(store).await.ok().flatten().and_then(|place| place.hours);
        let name = hours.as_ref().and_then(|hours| hours["timezone"].as_str());
        name.and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC)
    }

    /// What Kroger tells of a store; `None` where it has none of this id.
    async fn place(&self, store: &str) -> Result<Option<Location>, ToolError> {
        let looked = self.kroger.stores(vec![("filter.locationId", store.to_owned())]).await?;
        Ok(looked.data.data.into_iter().next())
    }

    /// Refuses a store that Kroger does not have: asked for products there, it finds none and says no more. Where it cannot be asked
    /// about the store, the store is believed.
    pub(crate) async fn check_store(&self, store: Option<&str>, field: &str) -> Result<(), ToolError> {
        let Some(store) = store else { return Ok(()) };
        if let Ok(None) = self.place(store).await {
            let problem = format!("Kroger has no store {store}; store_locator_advanced finds stores");
            return Err(ToolError::invalid(field, problem));
        }
        Ok(())
    }

    /// The product of the argument `product_id`.
    pub(crate) async fn product(&self, id: &str, store: Option<&str>) -> Result<Product, ToolError> {
        check_product_id(id, "product_id")?;
        if let Some(product) = self.products(&[id], store).await?.by_id.remove(id) {
            return Ok(product);
        }
        self.check_store(store, "location_id").await?;
        Err(ToolError::invalid("product_id", format!("Kroger has no product {id}")))
    }

    /// What the user prefers; nothing where the user has never said.
    pub(crate) async fn preferences(&self, user: &str) -> Result<Preferences, ToolError> {
        let found = self.documents.get(user, profile::KIND, profile::ID).await?;
        Ok(found.map(|document| document.body).unwrap_or_default())
    }

    /// The store that the user prefers. Where no key opens what is kept any more, searches go on without.
    async fn preferred_store(&self, user: &str) -> Result<Option<String>, ToolError> {
        match self.preferences(user).await {
            Ok(preferences) => Ok(preferences.location_id),
            Err(ToolError::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The products of `ids`, with prices where a store is given. Unknown ones are left out.
    pub(crate) async fn products(&self, ids: &[&str], store: Option<&str>) -> Result<Products, ToolError> {
        if ids.is_empty() {
            return Ok(Products::default());
        }
        let looked = self.kroger.by_ids(ids, store).await?;
        let by_id = looked.data.iter().map(|product| (product.product_id.clone(), product.clone())).collect();
        Ok(Products { by_id, stale_seconds: looked.stale_seconds })
    }

    /// As [`Shop::products`]; without any where Kroger cannot be asked, since what is shown is worth showing without prices.
    pub(crate) async fn products_if_possible(
        &self,
        ids: &[&str],
        store: Option<&str>,
        notes: &mut Vec<String>,
    ) -> Products {
        match self.products(ids, store).await {
            Ok(products) => products,
            Err(error) => {
                notes.push(format!("Prices are missing: {error}."));
                Products::default()
            }
        }
    }
}

/// The keys that seal what users keep: those that the operator makes, else some beside the database, else some that go with it.
fn sealer(config: &Config) -> Result<Sealer, Error> {
    if let Some(path) = &config.keyring {
        return Ok(Sealer::from_file(path)?);
    }
    match config.store.file() {
        Some(file) => Ok(Sealer::beside(file)?),
        None if config.store.is_memory() => Ok(Sealer::ephemeral()?),
        None => Err(Error::Config(ConfigError::new(
            "KROGER_KEYRING_FILE",
            "is not set",
            "name the file with the keys that seal what users keep; with a database that is shared all replicas need the same",
        ))),
    }
}

/// Whether the text has the form of a product id: 13 digits.
pub(crate) fn check_product_id(id: &str, field: &str) -> Result<(), ToolError> {
    if id.len() == 13 && id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    Err(ToolError::invalid(field, "must have 13 digits, as search_products_advanced shows them"))
}

/// Text of a user: trimmed, without control characters, of 1 to `most` characters.
pub(crate) fn check_text(text: &str, field: &str, most: usize) -> Result<String, ToolError> {
    let text: String = text.trim().chars().filter(|letter| !letter.is_control()).collect();
    if (1..=most).contains(&text.chars().count()) {
        return Ok(text);
    }
    Err(ToolError::invalid(field, format!("must have 1 to {most} characters")))
}

/// A name for something new: random, and short enough to be read out.
pub(crate) fn new_id() -> String {
    format!("{:012x}", rand::random::<u64>() & 0xffff_ffff_ffff)
}

/// A moment as tools show it (RFC 3339), from milliseconds since 1970.
pub(crate) fn moment(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds).map_or_else(|_| String::new(), |time| time.to_string())
}
