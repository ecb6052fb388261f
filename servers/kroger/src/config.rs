//! Credentials, address and limits.

use std::{num::NonZeroU32, path::PathBuf};

use portico_kit::{
    ConfigError, Environment, Hosting, Secret, SecretSource, StoreConfig, Url, upstream::Policy,
};

/// Calls to Kroger in a minute, of all users together. Kroger publishes no limit but the daily ones; this only keeps a mistake small.
const PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(1_199);

const LOCATION: &str = "KROGER_LOCATION_ID";

/// Settings of the server.
pub struct Config {
    pub(crate) client_id: String,
    pub(crate) client_secret: SecretSource,
    pub(crate) base: Url,
    pub(crate) location: Option<String>,
    pub(crate) redirect_uri: Option<Url>,
    pub(crate) is_partner: bool,
    pub(crate) records_prices: bool,
    pub(crate) keyring: Option<PathBuf>,
    pub(crate) store: StoreConfig,
    pub(crate) redis: Option<Secret>,
    pub(crate) cache_mebibytes: u64,
    pub(crate) audit_days: u32,
    pub(crate) policy: Policy,
    pub(crate) daily: Daily,
    pub(crate) hosting: Hosting,
}

/// Calls a day and application by group of paths, by default as Kroger publishes them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Daily {
    pub(crate) products: u64,
    pub(crate) locations: u64,
    pub(crate) departments: u64,
    pub(crate) cart: u64,
    pub(crate) identity: u64,
}

impl Daily {
    fn from_env(environment: &Environment<'_>) -> Result<Self, ConfigError> {
        let most = |variable, default| environment.number(variable, 0..=100_000_000, default);
        Ok(Self {
            products: most("KROGER_DAILY_PRODUCTS", 10_000)?,
            locations: most("KROGER_DAILY_LOCATIONS", 1_600)?,
            departments: most("KROGER_DAILY_DEPARTMENTS", 1_600)?,
            cart: most("KROGER_DAILY_CART", 5_000)?,
            identity: most("KROGER_DAILY_IDENTITY", 5_000)?,
        })
    }
}

impl Config {
    /// Reads `KROGER_CLIENT_ID`, `KROGER_CLIENT_SECRET` (or `KROGER_CLIENT_SECRET_FILE`), `KROGER_BASE_URL`
    /// (default `https://api.kroger.com`), `KROGER_LOCATION_ID` (8 characters), `KROGER_REDIRECT_URI`, `KROGER_PARTNER`, `KROGER_RECORD_PRICES`,
    /// `KROGER_KEYRING_FILE`, `DATABASE_URL`, `DATABASE_READ_URL`, `REDIS_URL` or `KROGER_CACHE_MEBIBYTES`, `KROGER_DAILY_*` (by default
    /// what Kroger allows), and what every server reads ([`Hosting::from_env`]). Needs a running tokio runtime.
    pub fn from_env(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let environment = Environment::new(lookup);
        let location = environment.text(LOCATION);
        if location.as_deref().is_some_and(|id| !is_location(id)) {
            return Err(ConfigError::new(
                LOCATION,
                "is not a store id",
                "set 8 letters or digits, such as 01400376; store_locator_advanced shows them",
            ));
        }
        let mend = "set the id that developer.kroger.com gave your application";
        Ok(Self {
            client_id: environment.required("KROGER_CLIENT_ID", mend)?,
            client_secret: environment
                .secret_source("KROGER_CLIENT_SECRET", "set your application's secret")?,
            base: environment.url("KROGER_BASE_URL", "https://api.kroger.com")?,
            location,
            redirect_uri: redirect(&environment)?,
            is_partner: environment.flag("KROGER_PARTNER", false)?,
            records_prices: environment.flag("KROGER_RECORD_PRICES", false)?,
            keyring: environment.text("KROGER_KEYRING_FILE").map(PathBuf::from),
            store: StoreConfig::from_env(&environment)?,
            redis: environment.optional_secret("REDIS_URL")?,
            cache_mebibytes: environment.number("KROGER_CACHE_MEBIBYTES", 1..=65_536, 64)?,
            audit_days: u32::try_from(environment.number("AUDIT_RETENTION_DAYS", 1..=3_650, 365)?)
                .unwrap_or(365),
            policy: Policy { per_minute: PER_MINUTE, ..Policy::default() },
            daily: Daily::from_env(&environment)?,
            hosting: Hosting::from_env(&environment, "kroger")?,
        })
    }

    /// The same with other bounds on calls to Kroger.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }
}

/// The address that Kroger sends a customer back to. It ends with `/auth/callback`, below which is everything else.
fn redirect(environment: &Environment<'_>) -> Result<Option<Url>, ConfigError> {
    let variable = "KROGER_REDIRECT_URI";
    if environment.text(variable).is_none() {
        return Ok(None);
    }
    let url = environment.url(variable, "")?;
    if url.scheme() == "http" && !matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) {
        let problem = "is plain http, which shows codes and cookies to everybody on the way";
        return Err(ConfigError::new(variable, problem, "start it with https://"));
    }
    if url.path().ends_with("/auth/callback") && url.query().is_none() && url.fragment().is_none() {
        return Ok(Some(url));
    }
    let mend = "set this server's address with /auth/callback behind it, as it is registered at developer.kroger.com";
    Err(ConfigError::new(variable, "does not end with /auth/callback", mend))
}

/// Whether the text has the form of a store id.
pub(crate) fn is_location(id: &str) -> bool {
    id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
