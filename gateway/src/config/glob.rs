//! Lists of globs in a configuration.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

use crate::source::ServerKey;

/// Globs in one list.
const MAX_GLOBS: usize = 256;
/// Bytes in a glob.
const MAX_GLOB: usize = 256;

/// Some globs; `*` does not pass a slash.
#[derive(Debug, Clone, Default)]
pub(crate) struct Globs(GlobSet);

impl Globs {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them matches `text`.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// Whether a condition holds that they are: there are none, or one matches `text`.
    pub(crate) fn admit(&self, text: &str) -> bool {
        self.is_empty() || self.matches(text)
    }

    /// The same for `namespace/server`, where there is a server.
    pub(crate) fn admit_server(&self, server: Option<&ServerKey>) -> bool {
        self.is_empty() || server.is_some_and(|server| self.matches(&server.to_string()))
    }

    /// The same for a tool, by its own name or by `namespace/server/tool`, where there is one.
    pub(crate) fn admit_tool(&self, server: Option<&ServerKey>, tool: Option<&str>) -> bool {
        let fully = |tool| server.is_some_and(|server| self.matches(&format!("{server}/{tool}")));
        self.is_empty() || tool.is_some_and(|tool| self.matches(tool) || fully(tool))
    }
}

impl<'de> Deserialize<'de> for Globs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(GlobsVisitor)
    }
}

struct GlobsVisitor;

impl<'de> Visitor<'de> for GlobsVisitor {
    type Value = Globs;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of globs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Globs, A::Error> {
        let (mut set, mut count) = (GlobSetBuilder::new(), 0);
        while let Some(Pattern(glob)) = list.next_element()? {
            count += 1;
            if count > MAX_GLOBS {
                return Err(A::Error::custom(format_args!("at most {MAX_GLOBS} globs are allowed")));
            }
            set.add(glob);
        }
        set.build().map(Globs).map_err(A::Error::custom)
    }
}

struct Pattern(globset::Glob);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() || text.len() > MAX_GLOB {
            return Err(D::Error::custom(format_args!("a glob must have 1 to {MAX_GLOB} bytes")));
        }
        GlobBuilder::new(&text).literal_separator(true).build().map(Pattern).map_err(D::Error::custom)
    }
}
