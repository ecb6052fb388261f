//! Which directories are served, and how.

use std::path::PathBuf;

use cap_std::{ambient_authority, fs::Dir};
use portico_kit::{ConfigError, Environment};

use crate::area::Place;

const DIRS: &str = "FILES_ALLOWED_DIRS";
/// Directories served at once.
const MAX_DIRS: usize = 64;

/// Settings of the server; the allowed directories are open from here on.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) places: Vec<Place>,
    pub(crate) writable: bool,
    pub(crate) max_bytes: u64,
}

impl Config {
    /// Reads `FILES_ALLOWED_DIRS` (colon-separated, each must exist), `FILES_WRITABLE` (default false) and
    /// `FILES_MAX_BYTES` (1 to 64 MiB, default 1 MiB).
    pub fn from_env(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let environment = Environment::new(lookup);
        let mend = "list the directories to serve, separated by colons, such as /data:/srv/docs";
        let dirs = environment.required(DIRS, mend)?;
        let places: Vec<Place> =
            dirs.split(':').filter(|dir| !dir.is_empty()).map(place).collect::<Result<_, _>>()?;
        if places.is_empty() {
            return Err(ConfigError::new(DIRS, "names no directory", mend));
        }
        if places.len() > MAX_DIRS {
            return Err(ConfigError::new(
                DIRS,
                "names too many directories",
                format!("list at most {MAX_DIRS}"),
            ));
        }
        Ok(Self {
            places,
            writable: environment.flag("FILES_WRITABLE", false)?,
            max_bytes: environment.number("FILES_MAX_BYTES", 1..=64 << 20, 1 << 20)?,
        })
    }

    /// Largest file, or part of one, that is read or written in one call, in bytes.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }
}

fn place(text: &str) -> Result<Place, ConfigError> {
    let given = PathBuf::from(text);
    let wrong = |problem: String| ConfigError::new(DIRS, problem, "name an existing, readable directory");
    if !given.is_absolute() {
        return Err(ConfigError::new(DIRS, format!("`{text}` is not absolute"), "start each with /"));
    }
    let real = given.canonicalize().map_err(|error| wrong(format!("`{text}`: {error}")))?;
    let dir = Dir::open_ambient_dir(&real, ambient_authority())
        .map_err(|error| wrong(format!("`{text}`: {error}")))?;
    Ok(Place::new(given, real, dir))
}
