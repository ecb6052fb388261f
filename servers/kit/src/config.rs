//! Settings read from the environment, with errors that say how to mend them.

use std::ops::RangeInclusive;

use reqwest::Url;

use crate::secret::{self, Secret, SecretSource};

/// A setting that a server cannot start with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}; {mend}")]
pub struct ConfigError {
    /// Name of the environment variable.
    pub variable: String,
    /// What is wrong with its value. Never the value of a secret.
    pub problem: String,
    /// What to set instead.
    pub mend: String,
}

impl ConfigError {
    /// An error about `variable`.
    pub fn new(variable: impl Into<String>, problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { variable: variable.into(), problem: problem.into(), mend: mend.into() }
    }
}

/// Looks a variable up; `None` where it is not set.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads typed settings through a look-up function, so that tests need no process environment.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    lookup: Lookup<'a>,
}

impl<'a> Environment<'a> {
    /// Reads through `lookup`.
    #[must_use]
    pub fn new(lookup: Lookup<'a>) -> Self {
        Self { lookup }
    }

    /// The trimmed value; `None` where the variable is unset or blank.
    #[must_use]
    pub fn text(&self, variable: &str) -> Option<String> {
        (self.lookup)(variable).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// Whether the variable is there, blank or not.
    #[must_use]
    pub fn is_set(&self, variable: &str) -> bool {
        (self.lookup)(variable).is_some()
    }

    /// The value of a variable that must be set; `mend` says to what.
    pub fn required(&self, variable: &str, mend: &str) -> Result<String, ConfigError> {
        self.text(variable).ok_or_else(|| ConfigError::new(variable, "is not set", mend))
    }

    /// `true` or `false`, or `default` where unset.
    pub fn flag(&self, variable: &str, default: bool) -> Result<bool, ConfigError> {
        match self.text(variable).as_deref() {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => {
                Err(ConfigError::new(variable, format!("`{other}` is not a flag"), "set true or false"))
            }
        }
    }

    /// A whole number within `range`, or `default` where unset.
    pub fn number(
        &self,
        variable: &str,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64, ConfigError> {
        let Some(text) = self.text(variable) else { return Ok(default) };
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            ConfigError::new(
                variable,
                format!("`{text}` is not a number in range"),
                format!("set a whole number from {} to {}", range.start(), range.end()),
            )
        })
    }

    /// An `http` or `https` address, or `default` where unset.
    pub fn url(&self, variable: &str, default: &str) -> Result<Url, ConfigError> {
        let text = self.text(variable).unwrap_or_else(|| default.to_owned());
        let url = Url::parse(&text).map_err(|error| {
            ConfigError::new(variable, error.to_string(), "set an address such as https://api.example.com")
        })?;
        if matches!(url.scheme(), "http" | "https") && url.host().is_some() {
            return Ok(url);
        }
        Err(ConfigError::new(variable, "is not an http or https address", "start it with https://"))
    }

    /// A secret from `variable`, or from the file that `variable` with `_FILE` behind it names.
    pub fn secret(&self, variable: &str, mend: &str) -> Result<Secret, ConfigError> {
        self.optional_secret(variable)?.ok_or_else(|| {
            ConfigError::new(variable, "is not set", format!("{mend}, or set {variable}_FILE"))
        })
    }

    /// As [`Environment::secret`], of which that of a file follows the file while the server runs.
    pub fn secret_source(&self, variable: &str, mend: &str) -> Result<SecretSource, ConfigError> {
        let file_variable = format!("{variable}_FILE");
        match (self.text(variable), self.text(&file_variable)) {
            (None, Some(path)) => SecretSource::file(&path).map_err(|problem| {
                ConfigError::new(file_variable, problem, "name a readable file that holds only the secret")
            }),
            _ => self.secret(variable, mend).map(SecretSource::from),
        }
    }

    /// As [`Environment::secret`]; `None` where neither variable is set.
    pub fn optional_secret(&self, variable: &str) -> Result<Option<Secret>, ConfigError> {
        let file_variable = format!("{variable}_FILE");
        match (self.text(variable), self.text(&file_variable)) {
            (Some(_), Some(_)) => Err(ConfigError::new(
                variable,
                format!("is set together with {file_variable}"),
                "set only one of the two",
            )),
            (Some(value), None) => Ok(Some(Secret::new(value))),
            (None, Some(path)) => secret::from_file(&path).map(Some).map_err(|problem| {
                ConfigError::new(file_variable, problem, "name a readable file that holds only the secret")
            }),
            (None, None) => Ok(None),
        }
    }
}
