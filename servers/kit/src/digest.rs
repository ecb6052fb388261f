//! Digests, as text.

use sha2::{Digest as _, Sha256};

/// SHA-256 in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
