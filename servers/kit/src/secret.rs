//! Values that must not appear in logs, errors or metrics.

use std::{fmt, fs::File, io::Read};

use secrecy::{ExposeSecret, SecretString};

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
