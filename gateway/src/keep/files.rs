//! Lists in a folder: `NAMESPACE/NAME.json.gz` of each server.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use futures::future::BoxFuture;

use super::{Error, Keep, Recalled};
use crate::source::ServerKey;

/// Bytes of one file.
const MAX_BYTES: u64 = 32 * 1024 * 1024;
const ENDING: &str = ".json.gz";

/// A folder of one gateway.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at `path`, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Ok(Self(path.to_owned()))
    }

    /// What is kept there.
    ///
    /// # Errors
    /// When the folder cannot be read; a file that cannot is passed over.
    pub fn load(&self) -> io::Result<Recalled> {
        let mut recalled = Recalled::new();
        for namespace in std::fs::read_dir(&self.0)? {
            let namespace = namespace?;
            if !namespace.file_type()?.is_dir() {
                continue;
            }
            for file in std::fs::read_dir(namespace.path())? {
                let file = file?;
                let (name, folder) = (file.file_name(), namespace.file_name());
                let name = name.to_str().and_then(|name| name.strip_suffix(ENDING));
                let (Some(name), Some(folder)) = (name, folder.to_str()) else { continue };
                if file.metadata().is_ok_and(|about| about.len() > MAX_BYTES) {
                    continue;
                }
                if let Ok(lists) = std::fs::read(file.path()) {
                    recalled.insert(ServerKey { namespace: folder.to_owned(), name: name.to_owned() }, lists);
                }
            }
        }
        Ok(recalled)
    }

    fn file(&self, server: &ServerKey) -> Result<PathBuf, Error> {
        let is_plain =
            |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['/', '\\', '\0']);
        if !is_plain(&server.namespace) || !is_plain(&server.name) {
            return Err(Error::Failed(format!("'{server}' cannot be the name of a file")));
        }
        Ok(self.0.join(&server.namespace).join(format!("{}{ENDING}", server.name)))
    }

    fn write(&self, server: &ServerKey, lists: &[u8]) -> Result<(), Error> {
        let file = self.file(server)?;
        let failed = |error: io::Error| Error::Failed(format!("{}: {error}", file.display()));
        std::fs::create_dir_all(file.parent().unwrap_or(&self.0)).map_err(failed)?;
        write_whole(&file, lists).map_err(failed)
    }

    /// The path of this folder.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// Writes a file as a whole or not at all, for its owner alone to read.
pub(super) fn write_whole(file: &Path, content: &[u8]) -> io::Result<()> {
    const OWNER_ALONE: u32 = 0o600;
    let new = file.with_extension("new");
    let mut written =
        OpenOptions::new().write(true).create(true).truncate(true).mode(OWNER_ALONE).open(&new)?;
    // One that was left by a process that was killed may have other rights.
    written.set_permissions(Permissions::from_mode(OWNER_ALONE))?;
    written.write_all(content)?;
    // Else a machine that loses its power may keep the name without the content.
    written.sync_all()?;
    std::fs::rename(&new, file)
}

impl Keep for Folder {
    fn save<'a>(&'a self, server: &'a ServerKey, lists: Vec<u8>) -> BoxFuture<'a, Result<(), Error>> {
        let (folder, server) = (self.clone(), server.clone());
        Box::pin(async move {
            let written = tokio::task::spawn_blocking(move || folder.write(&server, &lists));
            written.await.unwrap_or_else(|error| Err(Error::Failed(error.to_string())))
        })
    }

    fn forget<'a>(&'a self, server: &'a ServerKey) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Ok(file) = self.file(server) {
                tokio::fs::remove_file(file).await.ok();
            }
        })
    }
}
