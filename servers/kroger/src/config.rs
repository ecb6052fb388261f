//! Credentials, address and limits.

use std::num::NonZeroU32;

use portico_kit::{ConfigError, Environment, Secret, Url, upstream::Policy};

const LOCATION: &str = "KROGER_LOCATION_ID";

/// Settings of the server.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) client_id: String,
    pub(crate) client_secret: Secret,
    pub(crate) base: Url,
    pub(crate) location: Option<String>,
    pub(crate) policy: Policy,
    pub(crate) daily: Daily,
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
    /// (default `https://api.kroger.com`), `KROGER_LOCATION_ID` (8 characters, optional),
    /// `MAX_REQUESTS_PER_MINUTE` (default 60), and `KROGER_DAILY_PRODUCTS`, `KROGER_DAILY_LOCATIONS` and
    /// `KROGER_DAILY_DEPARTMENTS` (by default what Kroger allows).
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
        let per_minute = environment.number("MAX_REQUESTS_PER_MINUTE", 1..=60_000, 60)?;
        let per_minute = u32::try_from(per_minute).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let mend = "set the id that developer.kroger.com gave your application";
        Ok(Self {
            client_id: environment.required("KROGER_CLIENT_ID", mend)?,
            client_secret: environment.secret("KROGER_CLIENT_SECRET", "set your application's secret")?,
            base: environment.url("KROGER_BASE_URL", "https://api.kroger.com")?,
            location,
            policy: Policy { per_minute, ..Policy::default() },
            daily: Daily::from_env(&environment)?,
        })
    }

    /// The same with other bounds on calls to Kroger.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }
}

/// Whether the text has the form of a store id.
pub(crate) fn is_location(id: &str) -> bool {
    id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
