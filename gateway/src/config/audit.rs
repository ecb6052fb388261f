//! What is written down of calls.

use std::path::PathBuf;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::Deserialize;

use super::{Error, field};

/// Patterns of members that are redacted.
const MAX_PATTERNS: usize = 64;
/// Members whose values are never written, besides those that a configuration names.
const ALWAYS: [&str; 10] = [
    "*password*",
    "*passwd*",
    "*secret*",
    "*token*",
    "*apikey*",
    "*api_key*",
    "*api-key*",
    "*authorization*",
    "*cookie*",
    "*credential*",
];

/// What is written down of calls, as JSON lines.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Audit {
    /// The file; `-` is standard output.
    pub file: PathBuf,
    /// What is written of arguments.
    #[serde(default)]
    pub arguments: Arguments,
    /// Globs over names of members whose values are not written, in upper or lower case, besides those of passwords, tokens and
    /// the like.
    #[serde(default)]
    pub redact: Vec<String>,
}

/// What is written of arguments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Arguments {
    /// Nothing.
    Off,
    /// The names of the outermost.
    #[default]
    Names,
    /// Their values too, but for those that are redacted.
    Values,
}

impl Audit {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.file.as_os_str().is_empty() {
            return Err(field("audit.file", "must be a path, or - for standard output"));
        }
        if self.redact.len() > MAX_PATTERNS {
            return Err(field("audit.redact", format!("at most {MAX_PATTERNS} globs are allowed")));
        }
        for (index, pattern) in self.redact.iter().enumerate() {
            let glob = GlobBuilder::new(pattern).case_insensitive(true).build();
            glob.map_err(|error| field(format!("audit.redact[{index}]"), error.to_string()))?;
        }
        Ok(())
    }

    /// The names of members whose values are not written.
    pub(crate) fn redacted(&self) -> GlobSet {
        let mut set = GlobSetBuilder::new();
        let all = ALWAYS.into_iter().chain(self.redact.iter().map(String::as_str));
        // They were checked when the file was read.
        all.filter_map(|pattern| GlobBuilder::new(pattern).case_insensitive(true).build().ok()).for_each(
            |glob| {
                set.add(glob);
            },
        );
        set.build().unwrap_or_default()
    }
}
