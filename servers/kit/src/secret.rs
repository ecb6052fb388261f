//! Values that must not appear in logs, errors or metrics.

use std::{fmt, fs::File, io::Read, sync::Arc};

use secrecy::{ExposeSecret, SecretString};

use crate::watched::Watched;

/// Largest secret file that is read, in bytes.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// A secret text: wiped from memory when dropped, and `[redacted]` when printed.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A secret that may change while the server runs: that of a file is read again within a second of its change. A file that cannot be used
/// any more leaves what it held before.
#[derive(Clone)]
pub struct SecretSource(Source);

#[derive(Clone)]
enum Source {
    Fixed(Secret),
    File(Arc<Watched<Secret>>),
}

impl SecretSource {
    /// What `path` holds.
    pub(crate) fn file(path: &str) -> Result<Self, String> {
        let watched = Watched::open("a secret", path.into(), of_bytes)
            .map_err(|problem| format!("{path} {problem}"))?;
        Ok(Self(Source::File(Arc::new(watched))))
    }

    /// The secret as it is now.
    #[must_use]
    pub fn current(&self) -> Secret {
        match &self.0 {
            Source::Fixed(secret) => secret.clone(),
            Source::File(watched) => {
                (*watched.get(|_| tracing::info!("a secret has changed and is in use"))).clone()
            }
        }
    }
}

impl From<Secret> for SecretSource {
    fn from(secret: Secret) -> Self {
        Self(Source::Fixed(secret))
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

fn of_bytes(bytes: &[u8]) -> Result<Secret, String> {
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(format!("is longer than {MAX_SECRET_BYTES} bytes"));
    }
    let text =
        std::str::from_utf8(bytes).map_err(|_| "is not text".to_owned())?.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(Secret::new(text.to_owned())) }
}

/// Reads a secret from a file, without the line break that editors leave at its end.
pub(crate) fn from_file(path: &str) -> Result<Secret, String> {
    let file = File::open(path).map_err(|error| format!("cannot open {path}: {error}"))?;
    let mut text = String::new();
    let read = file.take(MAX_SECRET_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| format!("cannot read {path}: {error}"))?;
    if text.len() as u64 > MAX_SECRET_BYTES {
        return Err(format!("{path} is longer than {MAX_SECRET_BYTES} bytes"));
    }
    let trimmed = text.trim_end_matches(['\r', '\n']);
    if trimmed.is_empty() {
        return Err(format!("{path} is empty"));
    }
    Ok(Secret::new(trimmed.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_a_file_follows_the_file_and_one_that_is_gone_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "first\n").unwrap();
        let source = SecretSource::file(path.to_str().unwrap()).unwrap();
        let Source::File(watched) = &source.0 else { panic!("no file") };
        std::fs::write(&path, "second\n").unwrap();
        watched.due();
        assert_eq!(source.current().expose(), "second");
        for useless in ["", "\n"] {
            std::fs::write(&path, useless).unwrap();
            watched.due();
            assert_eq!(source.current().expose(), "second");
        }
        std::fs::remove_file(&path).unwrap();
        watched.due();
        assert_eq!(source.current().expose(), "second");
        assert!(!format!("{source:?}").contains("second"));
    }

    #[test]
    fn a_file_that_holds_no_secret_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(SecretSource::file(path.to_str().unwrap()).unwrap_err().ends_with("secret is not text"));
        assert!(SecretSource::file("/nowhere").unwrap_err().starts_with("/nowhere cannot be read"));
    }
}
