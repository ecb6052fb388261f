//! The part of a file that has come so far.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::failure::Trouble;
use super::transfer::Answer;
use super::{Failure, Fetched, Order, Reporter, Sha256, Verified};

/// Bytes gathered before they are written.
const BUFFER: usize = 256 * 1024;
/// Bytes after which the free space is looked at again: others may write to the volume, too.
const SPACE_CHECK: u64 = 4 * 1024 * 1024;

/// What a partial file is a part of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    /// URL without query, since a signed one differs each time.
    url: String,
    etag: Option<String>,
    total: Option<u64>,
    sha256: Option<Sha256>,
}

/// The part of a file that has come so far, locked against other processes.
pub(super) struct Partial {
    path: PathBuf,
    file: BufWriter<tokio::fs::File>,
    hasher: sha2::Sha256,
    length: u64,
    origin: Origin,
    /// Whether something of an earlier run is in it.
    inherited: bool,
    space_checked: u64,
}

/// What was found in the folder.
pub(super) enum Opened {
    Complete(Fetched),
    Partial(Box<Partial>),
}

impl Partial {
    /// Looks at what is there, and reads it for its checksum.
    pub async fn open(order: &Order, reporter: &Reporter) -> Result<Opened, Trouble> {
        reporter.verifying();
        let wanted = order.clone();
        let opened = tokio::task::spawn_blocking(move || open(&wanted)).await;
        opened.unwrap_or_else(|error| Err(Trouble::passing(error.to_string())))
    }

    pub const fn len(&self) -> u64 {
        self.length
    }

    pub const fn total(&self) -> Option<u64> {
        self.origin.total
    }

    pub fn is_whole(&self) -> bool {
        self.origin.total == Some(self.length)
    }

    /// Where the server is to go on, and of what.
    pub fn resume_point(&self) -> Option<(u64, &str)> {
        let (etag, total) = (self.origin.etag.as_deref()?, self.origin.total?);
        (1..total).contains(&self.length).then_some((self.length, etag))
    }

    /// Prepares for an answer: starts again where it is not the rest of what is there.
    pub async fn agree(&mut self, order: &Order, answer: &Answer) -> Result<(), Trouble> {
        let total = answer.total.or(order.size);
        if let (Some(actual), Some(expected)) = (answer.total, order.size)
            && actual != expected
        {
            let (url, field) = (order.source.shown(), order.source.field);
            return Err(Failure::Size { url, expected, actual, field }.into());
        }
        if answer.offset == 0 {
            self.clear(order).await?;
        } else if answer.offset != self.length {
            self.clear(order).await?;
            return Err(Trouble::passing("the server went on at another place"));
        }
        let sha256 = answer.sha256.clone().or_else(|| self.origin.sha256.take());
        self.origin = Origin { url: order.source.shown(), etag: answer.etag.clone(), total, sha256 };
        let text = serde_json::to_vec(&self.origin).unwrap_or_default();
        tokio::fs::write(origin_path(&self.path), text).await.map_err(|error| self.failed(order, &error))
    }

    async fn clear(&mut self, order: &Order) -> Result<(), Trouble> {
        self.flush(order).await?;
        self.file.get_ref().set_len(0).await.map_err(|error| self.failed(order, &error))?;
        (self.hasher, self.length, self.inherited) = (sha2::Sha256::new(), 0, false);
        self.origin = Origin::default();
        Ok(())
    }

    pub fn check_space(&mut self, order: &Order) -> Result<(), Trouble> {
        self.space_checked = self.length;
        let needed = self.origin.total.map_or(0, |total| total.saturating_sub(self.length));
        Ok(order.check_space(needed)?)
    }

    pub async fn write(&mut self, order: &Order, chunk: &[u8]) -> Result<(), Trouble> {
        self.hasher.update(chunk);
        self.length += chunk.len() as u64;
        self.file.write_all(chunk).await.map_err(|error| self.failed(order, &error))?;
        if self.length - self.space_checked >= SPACE_CHECK {
            self.flush(order).await?;
            self.check_space(order)?;
        }
        Ok(())
    }

    pub async fn flush(&mut self, order: &Order) -> Result<(), Trouble> {
        self.file.flush().await.map_err(|error| self.failed(order, &error))
    }

    fn failed(&self, order: &Order, error: &io::Error) -> Trouble {
        if !matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
            return order.unwritable(error).into();
        }
        let needed = self.origin.total.map_or(1, |total| total.saturating_sub(self.length)).max(1);
        Failure::NoSpace { file: order.into.clone(), needed, free: 0, missing: needed }.into()
    }

    /// Puts the whole file in its place, or removes it if it is another.
    pub async fn finish(self, order: &Order) -> Result<Fetched, Trouble> {
        let actual = Sha256::of(self.hasher.clone());
        let expected = order.sha256.as_ref().or(self.origin.sha256.as_ref());
        if let Some(expected) = expected.filter(|expected| **expected != actual) {
            remove(&self.path);
            if self.inherited {
                // A power cut can damage what an earlier run wrote.
                return Err(Trouble::passing("what an earlier run left is damaged, so it starts again"));
            }
            let (url, field) = (order.source.shown(), order.source.field);
            let (expected, actual) = (expected.to_string(), actual.to_string());
            return Err(Failure::Checksum { url, expected, actual, field }.into());
        }
        let verified = match (&order.sha256, &self.origin.sha256) {
            (Some(_), _) => Verified::AsAsked(actual),
            (None, Some(_)) => Verified::AsStated(actual),
            (None, None) => Verified::Not,
        };
        self.settle(order).await.map_err(|error| Trouble::Final(order.unwritable(&error)))?;
        Ok(Fetched { bytes: self.length, verified })
    }

    /// What the disk has not got is not there: first the content is synced, then the name.
    async fn settle(&self, order: &Order) -> io::Result<()> {
        self.file.get_ref().sync_all().await?;
        tokio::fs::rename(&self.path, &order.into).await?;
        tokio::fs::File::open(order.folder()).await?.sync_all().await?;
        tokio::fs::remove_file(origin_path(&self.path)).await.or_else(absent_is_fine)
    }
}

fn absent_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn origin_path(partial: &Path) -> PathBuf {
    beside(partial, ".json")
}

fn remove(partial: &Path) {
    for path in [partial, &origin_path(partial)] {
        if let Err(error) = std::fs::remove_file(path).or_else(absent_is_fine) {
            tracing::warn!(path = %path.display(), %error, "cannot be removed");
        }
    }
}

fn open(order: &Order) -> Result<Opened, Trouble> {
    let path = beside(&order.into, ".partial");
    let found = std::fs::create_dir_all(order.folder()).and_then(|()| complete(order));
    let found = found.and_then(|complete| match complete {
        Some(fetched) => Ok(Some(Opened::Complete(fetched))),
        None => open_partial(order, &path),
    });
    match found {
        Ok(Some(opened)) => Ok(opened),
        Ok(None) => Err(Trouble::passing("another process is fetching the same file")),
        Err(error) => Err(order.unwritable(&error).into()),
    }
}

/// A file in its place is whole, since it got there by a rename. Only another checksum is a reason to fetch it again.
fn complete(order: &Order) -> io::Result<Option<Fetched>> {
    let mut file = match File::open(&order.into) {
        Ok(file) => file,
        Err(error) => return absent_is_fine(error).map(|()| None),
    };
    let bytes = file.metadata()?.len();
    let Some(wanted) = &order.sha256 else {
        return Ok(Some(Fetched { bytes, verified: Verified::Not }));
    };
    let actual = Sha256::of(hash(&mut file)?.0);
    Ok((actual == *wanted).then_some(Fetched { bytes, verified: Verified::AsAsked(actual) }))
}

fn hash(file: &mut File) -> io::Result<(sha2::Sha256, u64)> {
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; BUFFER];
    let mut length = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((hasher, length));
        }
        hasher.update(&buffer[..read]);
        length += read as u64;
    }
}

/// `None`: another process has it.
fn open_partial(order: &Order, path: &Path) -> io::Result<Option<Opened>> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        // Some network file systems know no locks; the checksum still guards the result.
        Err(TryLockError::Error(error)) => tracing::debug!(%error, "the file cannot be locked"),
    }
    // Until the lock was had, whoever held it may have put the file in its place.
    if !std::fs::metadata(path).is_ok_and(|now| file.metadata().is_ok_and(|own| own.ino() == now.ino())) {
        return Ok(None);
    }
    let origin = std::fs::read(origin_path(path)).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let origin: Origin = origin.unwrap_or_default();
    if origin.url != order.source.shown() {
        file.set_len(0)?;
    }
    let (hasher, length) = hash(&mut file)?;
    let file = BufWriter::with_capacity(BUFFER, tokio::fs::File::from_std(file));
    let (path, inherited) = (path.to_owned(), length > 0);
    let origin = if inherited { origin } else { Origin::default() };
    let partial = Partial { path, file, hasher, length, origin, inherited, space_checked: 0 };
    Ok(Some(Opened::Partial(Box::new(partial))))
}
