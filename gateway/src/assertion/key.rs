//! The gateway's own keys: Ed25519 or P-256, in PKCS#8.

use std::fmt;
use std::path::{Path, PathBuf};

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING as P256, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::encoded;

/// Keys in use, and bytes of a file.
const MAX_KEYS: usize = 16;
const MAX_BYTES: u64 = 64 * 1024;

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(Box<EcdsaKeyPair>),
}

/// A private key.
pub(super) struct Key {
    pair: Pair,
    id: String,
}

impl Key {
    fn of_pkcs8(der: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Pair::Ed25519).or_else(|_| {
            EcdsaKeyPair::from_pkcs8(&P256, der, &SystemRandom::new()).map(|pair| Pair::P256(Box::new(pair)))
        });
        let pair = pair.ok()?;
        let id = thumbprint(&pair.public());
        Some(Self { pair, id })
    }

    /// Its name.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The name of its signatures (RFC 7518, RFC 8037).
    pub(super) fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Ed25519(_) => "EdDSA",
            Pair::P256(_) => "ES256",
        }
    }

    /// The public half as a JSON Web Key.
    pub(super) fn public(&self) -> Value {
        let mut key = self.pair.public();
        key["kid"] = self.id.as_str().into();
        key["use"] = "sig".into();
        key["alg"] = self.algorithm().into();
        key
    }

    /// The signature of `text`; `None` where the system gives no random numbers.
    pub(super) fn sign(&self, text: &[u8]) -> Option<Vec<u8>> {
        match &self.pair {
            Pair::Ed25519(pair) => Some(pair.sign(text).as_ref().to_vec()),
            Pair::P256(pair) => {
                pair.sign(&SystemRandom::new(), text).ok().map(|signature| signature.as_ref().to_vec())
            }
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Pair {
    /// The members that make up the public key, and no others, in order of their names.
    fn public(&self) -> Value {
        match self {
            Self::Ed25519(pair) => {
                json!({ "crv": "Ed25519", "kty": "OKP", "x": encoded(pair.public_key().as_ref()) })
            }
            Self::P256(pair) => {
                // One byte says that both coordinates follow.
                let (x, y) = pair.public_key().as_ref().get(1..).unwrap_or_default().split_at(32);
                json!({ "crv": "P-256", "kty": "EC", "x": encoded(x), "y": encoded(y) })
            }
        }
    }
}

/// The name of a key that follows from it (RFC 7638).
fn thumbprint(public: &Value) -> String {
    encoded(&Sha256::digest(public.to_string()))
}

/// A key that nobody knows.
pub(super) fn random() -> Result<Key, String> {
    let failed = || "the system gives no random numbers".to_owned();
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| failed())?;
    Key::of_pkcs8(der.as_ref()).ok_or_else(failed)
}

/// The keys of a file, or of all files of a folder in order of their names. One that is of no use spoils all: who put it
/// there thinks that it is.
pub(super) fn read(path: &Path) -> Result<Vec<Key>, String> {
    let said = |path: &Path, error: &dyn fmt::Display| format!("{}: {error}", path.display());
    let mut keys = Vec::new();
    for file in files(path).map_err(|error| said(path, &error))? {
        if std::fs::metadata(&file).map_err(|error| said(&file, &error))?.len() > MAX_BYTES {
            return Err(said(&file, &"is too long for keys"));
        }
        let bytes = std::fs::read(&file).map_err(|error| said(&file, &error))?;
        let found = of_pem(&bytes).ok_or_else(|| said(&file, &WANTED))?;
        keys.extend(found);
    }
    if (1..=MAX_KEYS).contains(&keys.len()) {
        Ok(keys)
    } else {
        Err(said(path, &format!("has {} keys; 1 to {MAX_KEYS} are allowed", keys.len())))
    }
}

const WANTED: &str =
    "is not an Ed25519 or P-256 key in PKCS#8 and PEM; make one with `openssl genpkey -algorithm ed25519`";

fn of_pem(bytes: &[u8]) -> Option<Vec<Key>> {
    let all = PrivatePkcs8KeyDer::pem_slice_iter(bytes);
    let keys: Option<Vec<Key>> = all.map(|der| Key::of_pkcs8(der.ok()?.secret_pkcs8_der())).collect();
    keys.filter(|keys| !keys.is_empty())
}

/// A mounted Secret keeps its versions in hidden folders.
fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path)?.collect::<std::io::Result<Vec<_>>>()?;
    let shown = entries.into_iter().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
    let mut files: Vec<PathBuf> =
        shown.map(|entry| entry.path()).filter(|path| path.is_file()).take(MAX_KEYS + 1).collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_key_is_that_of_the_rfc() {
        // RFC 8037, appendix A.3.
        let public =
            json!({ "crv": "Ed25519", "kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        assert_eq!(thumbprint(&public), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_key_as_openssl_writes_it_is_read() {
        // RFC 8410, section 10.3.
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let keys = of_pem(pem.as_bytes()).unwrap();
        assert_eq!(keys[0].public()["x"], "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE");
    }

    #[test]
    fn what_is_no_key_is_refused_with_what_would_be_one() {
        let folder = tempfile::tempdir().unwrap();
        let empty = read(folder.path()).unwrap_err();
        assert!(empty.ends_with("has 0 keys; 1 to 16 are allowed"), "{empty}");
        std::fs::write(
            folder.path().join("a.pem"),
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        )
        .unwrap();
        let wrong = read(folder.path()).unwrap_err();
        assert!(wrong.contains("a.pem: is not an Ed25519 or P-256 key"), "{wrong}");
    }
}
