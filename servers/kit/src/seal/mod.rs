//! Sealing of what is secret or personal before it is stored: XChaCha20-Poly1305 with keys from a keyring file.
//!
//! What is sealed is bound to a context, such as `sessions.tokens/ID`: moved to another row or column it does not open.
//! New keys come by the file while the server runs. Seals are made with the newest usable key and opened with all.
//!
//! A seal is: 1 (the form), the length of the key's name, the name, a nonce of 24 random bytes, and the ciphertext with its tag.

mod keyring;

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use chacha20poly1305::{
    XNonce,
    aead::{Aead as _, Payload},
};
use jiff::Timestamp;
use rand::{TryRngCore as _, rngs::OsRng};
use secrecy::zeroize::Zeroizing;

use keyring::{Key, Keyring};

use crate::watched::Watched;

/// The form of what is sealed.
const FORM: u8 = 1;
/// Bytes of a nonce. Random ones of this length need no count that replicas share.
const NONCE: usize = 24;

/// Why something was not sealed or opened. No variant holds a key or what was sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file with the keys cannot be used.
    #[error("the keyring {} {problem}; name a file of the form {{\"keys\":[{{\"id\",\"key\",\"created\",\"usableFrom\"}}]}}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// It was sealed with a key that the keyring does not have any more.
    #[error(
        "it was sealed with the key `{id}`, which the keyring does not have; put it back, or have it entered again"
    )]
    UnknownKey {
        /// Name of the key.
        id: String,
    },
    /// It was changed, is cut short, or belongs elsewhere.
    #[error("it does not open: it was changed, or belongs to something else")]
    Broken,
    /// It is not text.
    #[error("it opens, and is not the text that was expected")]
    NotText,
    /// The system gives no random bytes.
    #[error("no random bytes: {0}")]
    Random(String),
}

/// What a seal held.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened<T = Zeroizing<Vec<u8>>> {
    /// As it was given to be sealed; wiped from memory when dropped.
    pub plain: T,
    /// Whether it was sealed with another key than the current one: seal it again when it is next written.
    pub old: bool,
}

impl<T> fmt::Debug for Opened<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("old", &self.old).finish_non_exhaustive()
    }
}

/// Seals and opens. Clones share the keys.
#[derive(Clone)]
pub struct Sealer {
    inner: Arc<Inner>,
}

enum Inner {
    /// Of a file, which may change.
    File(Watched<Keyring>),
    /// Of this process.
    Own(Arc<Keyring>),
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("keys", &*self.keyring()).finish_non_exhaustive()
    }
}

impl Sealer {
    /// With the keys of a file, which is read again when it changes, within a second.
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let watched = Watched::open("keyring", path.clone(), Keyring::parse);
        let watched = watched.map_err(|problem| Error::File { path, problem })?;
        Ok(Self { inner: Arc::new(Inner::File(watched)) })
    }

    /// With the keys of `PATH.keyring.json`, for a database in the file `PATH`. Where there is no such file it is made, for its
    /// owner alone; whoever saves the one saves the other, elsewhere.
    pub fn beside(database: &Path) -> Result<Self, Error> {
        let mut name = OsString::from(database);
        name.push(".keyring.json");
        let path = PathBuf::from(name);
        keyring::create(&path)?;
        Self::from_file(path)
    }

    /// With a key that is gone with this process, for data that is, too.
    pub fn ephemeral() -> Result<Self, Error> {
        let (keyring, _) = Keyring::fresh()?;
        Ok(Self { inner: Arc::new(Inner::Own(Arc::new(keyring))) })
    }

    /// Seals `plain` for `context`.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let keyring = self.keyring();
        let key = keyring.current(Timestamp::now());
        let mut nonce = [0; NONCE];
        OsRng.try_fill_bytes(&mut nonce).map_err(|error| Error::Random(error.to_string()))?;
        let mut sealed = head(key);
        let bound = bound(&sealed, context);
        // It fails for more than 256 GiB alone.
        let secret = key
            .cipher
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: &bound })
            .map_err(|_| Error::Broken)?;
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&secret);
        Ok(sealed)
    }

    /// Opens what was sealed for `context`.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Opened, Error> {
        let Parts { head, id, nonce, secret } = split(sealed).ok_or(Error::Broken)?;
        let keyring = self.keyring();
        let key = keyring.find(id).ok_or_else(|| Error::UnknownKey { id: id.to_owned() })?;
        let bound = bound(head, context);
        let plain = key
            .cipher
            .decrypt(XNonce::from_slice(nonce), Payload { msg: secret, aad: &bound })
            .map_err(|_| Error::Broken)?;
        Ok(Opened { plain: Zeroizing::new(plain), old: keyring.current(Timestamp::now()).id != id })
    }

    /// As [`Sealer::seal`], for text.
    pub fn seal_text(&self, context: &str, plain: &str) -> Result<Vec<u8>, Error> {
        self.seal(context, plain.as_bytes())
    }

    /// As [`Sealer::open`], for text.
    pub fn open_text(&self, context: &str, sealed: &[u8]) -> Result<Opened<Zeroizing<String>>, Error> {
        let Opened { mut plain, old } = self.open(context, sealed)?;
        let text = String::from_utf8(std::mem::take(&mut *plain)).map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            Error::NotText
        })?;
        Ok(Opened { plain: Zeroizing::new(text), old })
    }

    fn keyring(&self) -> Arc<Keyring> {
        match &*self.inner {
            Inner::Own(keyring) => Arc::clone(keyring),
            Inner::File(file) => file.get(|keys| tracing::info!(?keys, "the keyring has changed")),
        }
    }

    #[cfg(test)]
    fn look_now(&self) {
        let Inner::File(file) = &*self.inner else { panic!("there is no file") };
        file.due();
        self.keyring();
    }
}

/// What stands before the nonce. The length of a name fits, as reading the keyring saw to.
fn head(key: &Key) -> Vec<u8> {
    let length = u8::try_from(key.id.len()).unwrap_or(u8::MAX);
    [&[FORM, length], key.id.as_bytes()].concat()
}

/// What is authenticated and not written: the head has its length in it, so that no two pairs give the same.
fn bound(head: &[u8], context: &str) -> Vec<u8> {
    [head, context.as_bytes()].concat()
}

/// The parts of a seal.
struct Parts<'a> {
    /// What stands before the nonce.
    head: &'a [u8],
    /// The key's name, within the head.
    id: &'a str,
    nonce: &'a [u8],
    secret: &'a [u8],
}

fn split(sealed: &[u8]) -> Option<Parts<'_>> {
    let (&[form, length], _) = sealed.split_first_chunk::<2>()?;
    let (head, rest) = sealed.split_at_checked(2 + usize::from(length))?;
    let id = str::from_utf8(&head[2..]).ok().filter(|_| form == FORM)?;
    let (nonce, secret) = rest.split_at_checked(NONCE)?;
    Some(Parts { head, id, nonce, secret })
}

#[cfg(test)]
mod tests;
