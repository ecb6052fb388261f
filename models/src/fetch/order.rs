//! What is to be fetched, and where it goes.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use secrecy::SecretString;

use super::Failure;

/// Tells how many bytes are free in a folder.
pub type FreeSpace = fn(&Path) -> io::Result<u64>;

/// What is to be fetched, and where it goes.
#[derive(Clone, Debug)]
pub struct Order {
    /// Where the file comes from.
    pub source: Source,
    /// The content that it must have.
    pub sha256: Option<Sha256>,
    /// The bytes that it must have.
    pub size: Option<u64>,
    /// Path of the file.
    pub into: PathBuf,
    /// Token for the source's own origin.
    pub token: Option<SecretString>,
    /// Time for everything, all tries together.
    pub deadline: Duration,
    /// Pause before the second try; it doubles with each further one.
    pub first_pause: Duration,
    /// Tells how many bytes are free; tests put their own here.
    pub free_space: FreeSpace,
}

/// Where a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub(super) url: Url,
    /// The field of an `InferenceModel` that says so, for messages.
    pub(super) field: &'static str,
}

/// Why a source or a checksum is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// No URL.
    #[error("'{0}' must be an absolute URL with the scheme 'http' or 'https'")]
    Url(String),
    /// No checksum.
    #[error("'{0}' must be 64 hexadecimal digits, as `sha256sum` prints them")]
    Sha256(String),
}

impl Source {
    /// A file at a URL.
    ///
    /// # Errors
    /// When it is not a URL of the web.
    pub fn url(text: &str) -> Result<Self, Invalid> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| Invalid::Url(text.split('?').next().unwrap_or_default().to_owned()))?;
        Ok(Self { url, field: "spec.source.url" })
    }

    /// A file of a Hugging Face repository, at the address from which its own clients load it.
    ///
    /// # Errors
    /// When `endpoint` is not a URL of the web.
    pub fn hugging_face(
        endpoint: &str,
        repository: &str,
        file: &str,
        revision: &str,
    ) -> Result<Self, Invalid> {
        let Self { mut url, .. } = Self::url(endpoint)?;
        if let Ok(mut path) = url.path_segments_mut() {
            // A revision such as `refs/pr/1` is one segment there.
            path.pop_if_empty().extend(repository.split('/')).push("resolve").push(revision);
            path.extend(file.split('/'));
        }
        Ok(Self { url, field: "spec.source.huggingFace" })
    }

    /// The URL as it may be shown and stored: without what may be secret.
    pub(super) fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        // Only a URL that cannot have them refuses to lose them.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.into()
    }
}

/// A SHA-256 in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Sha256(String);

impl std::str::FromStr for Sha256 {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let valid = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        valid.then(|| Self(text.to_ascii_lowercase())).ok_or_else(|| Invalid::Sha256(text.to_owned()))
    }
}

impl Sha256 {
    pub(super) fn of(hasher: sha2::Sha256) -> Self {
        Self(format!("{:x}", sha2::Digest::finalize(hasher)))
    }
}

impl std::fmt::Display for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The bytes that a process without privileges may still write to the file system that `folder` is on.
///
/// # Errors
/// When the folder is not there.
#[allow(clippy::useless_conversion, reason = "narrower on other systems")]
pub fn free_space(folder: &Path) -> io::Result<u64> {
    let stat = nix::sys::statvfs::statvfs(folder)?;
    Ok(u64::from(stat.blocks_available()).saturating_mul(u64::from(stat.fragment_size())))
}

impl Order {
    pub(super) fn folder(&self) -> &Path {
        self.into.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    pub(super) fn unreachable(&self, what: &str, bytes: u64) -> Failure {
        Failure::Unreachable {
            url: self.source.shown(),
            what: what.to_owned(),
            bytes,
            field: self.source.field,
        }
    }

    pub(super) fn unwritable(&self, error: &io::Error) -> Failure {
        Failure::Unwritable { file: self.into.clone(), what: error.to_string() }
    }

    /// Refuses what the volume cannot take.
    pub(super) fn check_space(&self, needed: u64) -> Result<(), Failure> {
        let free = (self.free_space)(self.folder()).map_err(|error| self.unwritable(&error))?;
        match needed.checked_sub(free) {
            Some(missing) if missing > 0 => {
                Err(Failure::NoSpace { file: self.into.clone(), needed, free, missing })
            }
            _ => Ok(()),
        }
    }
}
