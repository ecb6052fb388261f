//! Random ids and codes, and the digests that are kept of them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portico_kit::tool::ToolError;
use rand::{TryRngCore as _, rngs::OsRng};
use sha2::{Digest as _, Sha256};

fn random<const BYTES: usize>() -> Result<[u8; BYTES], ToolError> {
    let mut bytes = [0; BYTES];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| ToolError::Internal(format!("the system gives no random bytes: {error}")))?;
    Ok(bytes)
}

/// 256 random bits as 43 letters, digits, `-` and `_`.
pub(super) fn code() -> Result<String, ToolError> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// So many random bytes in hexadecimal.
pub(super) fn hexadecimal<const BYTES: usize>() -> Result<String, ToolError> {
    Ok(random::<BYTES>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What is kept of a secret that only its owner knows. It needs no salt: what is digested is random, or told by the gateway.
pub(super) fn digest(kind: &str, secret: &str) -> String {
    let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(secret).finalize();
    URL_SAFE_NO_PAD.encode(digest)
}

/// The challenge of a verifier (RFC 7636, 4.2).
pub(super) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_long_and_differ() {
        let (one, other) = (code().unwrap(), code().unwrap());
        assert_eq!(one.len(), 43);
        assert_ne!(one, other);
    }

    #[test]
    fn digests_of_different_kinds_differ() {
        assert_ne!(digest("session", "a"), digest("link", "a"));
    }

    #[test]
    fn the_challenge_is_that_of_the_specification() {
        // RFC 7636, appendix B.
        let challenge = challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
