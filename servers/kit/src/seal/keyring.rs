//! The file with the keys: the form that the operator writes, and that a server without one makes for itself.

use std::{
    borrow::Cow,
    collections::HashSet,
    fmt, fs,
    fs::{File, OpenOptions},
    io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use jiff::Timestamp;
use rand::{TryRngCore as _, rngs::OsRng};
use secrecy::zeroize::Zeroizing;
use serde::Deserialize;

use super::Error;

/// Bytes of a key.
const SIZE: usize = 32;
/// Longest name of a key, in bytes; its length is written as one.
const MAX_ID: usize = 255;

/// One key.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) cipher: XChaCha20Poly1305,
    usable_from: Timestamp,
}

/// The keys, oldest first; at least one.
#[derive(Clone)]
pub(super) struct Keyring(Vec<Key>);

#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    keys: Vec<WrittenKey<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenKey<'a> {
    id: String,
    // Borrowed, but where the file has escapes in it, so that no copy of it is left behind in memory.
    #[serde(borrow)]
    key: Cow<'a, str>,
    usable_from: Timestamp,
}

impl fmt::Debug for Keyring {
    /// Their names alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

impl Keyring {
    /// Reads what a file holds.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        // The message of a parser may quote what it read, so only the place is kept.
        let written: Written<'_> = serde_json::from_slice(text)
            .map_err(|error| format!("is no keyring (line {}, column {})", error.line(), error.column()))?;
        let keys: Vec<Key> = written.keys.iter().map(Key::read).collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err("holds no key".to_owned());
        }
        let mut ids = HashSet::new();
        match keys.iter().find(|key| !ids.insert(&key.id)) {
            // What one of them seals the other would be asked to open.
            Some(twice) => Err(format!("has two keys with the id '{}'", twice.id)),
            None => Ok(Self(keys)),
        }
    }

    /// One new key, for a process or a file of its own.
    pub(super) fn fresh() -> Result<(Self, Zeroizing<String>), Error> {
        let mut bytes = Zeroizing::new([0; SIZE]);
        OsRng.try_fill_bytes(&mut *bytes).map_err(|error| Error::Random(error.to_string()))?;
        let id = crate::digest::hex(bytes.as_slice())[..16].to_owned();
        let now = Timestamp::now();
        let encoded = Zeroizing::new(STANDARD.encode(*bytes));
        let text = Zeroizing::new(format!(
            "{{\"keys\":[{{\"id\":\"{id}\",\"key\":\"{}\",\"created\":\"{now}\",\"usableFrom\":\"{now}\"}}]}}\n",
            *encoded
        ));
        let cipher = XChaCha20Poly1305::new((&*bytes).into());
        Ok((Self(vec![Key { id, cipher, usable_from: now }]), text))
    }

    /// The newest key that is usable; the oldest where none is yet, for somebody has to begin.
    pub(super) fn current(&self, now: Timestamp) -> &Key {
        self.0.iter().rev().find(|key| key.usable_from <= now).unwrap_or(&self.0[0])
    }

    pub(super) fn find(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id)
    }
}

impl Key {
    fn read(written: &WrittenKey<'_>) -> Result<Self, String> {
        let id = &written.id;
        if id.is_empty() || id.len() > MAX_ID {
            return Err(format!("has a key whose name is not 1 to {MAX_ID} bytes long"));
        }
        let bytes = Zeroizing::new(STANDARD.decode(written.key.as_bytes()).unwrap_or_default());
        let cipher = XChaCha20Poly1305::new_from_slice(&bytes)
            .map_err(|_| format!("has a key `{id}` that is not {SIZE} bytes in base64"))?;
        Ok(Self { id: id.clone(), cipher, usable_from: written.usable_from })
    }
}

/// Makes the file with one new key, unless there is one. Of several processes at once one makes it.
pub(super) fn create(path: &Path) -> Result<(), Error> {
    if path.exists() {
        return Ok(());
    }
    let (_, text) = Keyring::fresh()?;
    let draft = path.with_extension(format!("{}.new", uuid::Uuid::new_v4()));
    let made = write(&draft, text.as_bytes()).and_then(|()| link(&draft, path));
    // It holds a key; what cannot be removed is for its owner alone.
    fs::remove_file(&draft).ok();
    made.map_err(|error| Error::File { path: path.to_owned(), problem: format!("cannot be made: {error}") })
}

/// What is sealed is lost with the key, so the key is on the disk before anything is sealed with it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Unlike a move, this replaces nothing.
fn link(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => {
            let folder =
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        }
    }
}
