//! Lists of globs in a configuration.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

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
