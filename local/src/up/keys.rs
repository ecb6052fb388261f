//! The session keys of integrations: made once and kept below the state directory, since a run must open what the one
//! before it sealed. They are not rotated here.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use portico_operator::kroger_integration::keyring::{Keyring, fresh};

use crate::manifest::{Key, Objects};

/// Gives every integration of the folder its session keys. One whose keys cannot be had is not started, and the plan
/// says that its Secret is missing; the cause goes to the log.
pub fn add(objects: &mut Objects, state_directory: &Path) {
    let all: Vec<Key> = objects.integrations.keys().cloned().collect();
    for key in all {
        let path = place(state_directory, &key);
        match load(&path) {
            Ok(keyring) => objects.add_keys(&key, &keyring),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the session keys cannot be had; mend or remove the file");
            }
        }
    }
}

fn place(state_directory: &Path, key: &Key) -> PathBuf {
    state_directory.join("keys").join(&key.namespace).join(format!("{}.json", key.name))
}

fn load(path: &Path) -> io::Result<Keyring> {
    match fs::read(path) {
        Ok(content) => Keyring::read(&content).map_err(|fault| io::Error::other(format!("the file {fault}"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path),
        Err(error) => Err(error),
    }
}

/// Never over another file: of two runs that begin at once, one reads what the other has made.
fn make(path: &Path) -> io::Result<Keyring> {
    let keyring = Keyring::first(Timestamp::now(), &fresh().map_err(io::Error::other)?);
    let directory = path.parent().unwrap_or(path);
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(keyring.write().as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(keyring),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn keys_are_made_once_for_their_owner_alone_and_a_damaged_file_is_left_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let key = Key { namespace: "default".to_owned(), name: "shop".to_owned() };
        let path = place(root.path(), &key);
        let first = load(&path).unwrap();
        assert_eq!(load(&path).unwrap(), first);
        assert_eq!(make(&path).unwrap(), first, "another run was faster");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        fs::write(&path, "{}").unwrap();
        assert!(load(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"{}");
    }
}
