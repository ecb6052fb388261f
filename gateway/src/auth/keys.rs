//! API keys: a folder with a file a key, as a mounted Secret is. The file's name is the holder's.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256};

use crate::config::auth::ApiKeys;

/// Keys in a folder, and bytes of one.
const MAX_KEYS: usize = 10_000;
const MAX_BYTES: u64 = 4096;
/// Fewer characters could be guessed.
const MIN_LENGTH: usize = 16;

/// Digest of a key to its holder. Compared by digest, so that how long it takes tells nothing of a key.
type Holders = HashMap<[u8; 32], String>;

/// The keys of a folder, as they were read last: no request waits for the disk.
#[derive(Debug)]
pub(super) struct Keys {
    folder: PathBuf,
    holders: ArcSwap<Holders>,
}

impl Keys {
    /// Reads the keys.
    pub(super) fn new(config: &ApiKeys) -> Self {
        Self { folder: config.folder.clone(), holders: ArcSwap::from_pointee(holders(&config.folder)) }
    }

    /// Reads the keys again.
    pub(super) fn refresh(&self) {
        self.holders.store(holders(&self.folder).into());
    }

    /// The holder of `key`.
    pub(super) fn name(&self, key: &str) -> Option<String> {
        let digest: [u8; 32] = Sha256::digest(key).into();
        self.holders.load().get(&digest).cloned()
    }
}

/// A key that is too short or too long is nobody's; the log says whose it would be, and never the key.
fn holders(folder: &Path) -> Holders {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::error!(folder = %folder.display(), %error, "the API keys cannot be read; none is accepted");
            return Holders::new();
        }
    };
    let mut found = Holders::new();
    for entry in entries.flatten().take(MAX_KEYS) {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        // A mounted Secret keeps its versions in hidden folders.
        let file = std::fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_BYTES);
        if name.starts_with('.') || !file {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        match text.trim() {
            key if key.len() >= MIN_LENGTH => {
                found.insert(Sha256::digest(key).into(), name);
            }
            _ => tracing::warn!(
                name,
                "an API key is not text of at least {MIN_LENGTH} characters and is not accepted"
            ),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_holder_and_a_short_or_hidden_one_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        put("nightly-job", "correct horse battery\n");
        put("short", "1234");
        put(".hidden", "a key that is long enough");
        let keys = Keys::new(&ApiKeys { folder: folder.path().to_owned() });
        assert_eq!(keys.name("correct horse battery").as_deref(), Some("nightly-job"));
        for other in ["1234", "a key that is long enough", "", "correct horse"] {
            assert_eq!(keys.name(other), None, "{other}");
        }
        put("nightly-job", "another key for the job");
        keys.refresh();
        assert_eq!(keys.name("correct horse battery"), None, "a key that was replaced");
        assert_eq!(keys.name("another key for the job").as_deref(), Some("nightly-job"));
    }
}
