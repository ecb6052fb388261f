//! A file that is read again when it changes, while the server runs.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use secrecy::zeroize::Zeroizing;

use crate::digest;

/// Time between two looks at the file.
const LOOK: Duration = Duration::from_secs(1);
/// Longest file that is read, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Makes something of what a file holds, or says what is wrong with it. It must not say what a secret file holds.
type Parse<T> = fn(&[u8]) -> Result<T, String>;

/// What a file holds. One that cannot be used any more leaves what was there before.
pub(crate) struct Watched<T> {
    what: &'static str,
    path: PathBuf,
    parse: Parse<T>,
    current: ArcSwap<T>,
    seen: Mutex<Seen>,
}

struct Seen {
    looked: Instant,
    digest: String,
    /// Whether it was said that the file cannot be used.
    told: bool,
}

impl<T> Watched<T> {
    /// Reads the file, which log lines call `what`.
    pub(crate) fn open(what: &'static str, path: PathBuf, parse: Parse<T>) -> Result<Self, String> {
        let text = read(&path)?;
        let current = ArcSwap::from_pointee(parse(&text)?);
        let seen = Mutex::new(Seen { looked: Instant::now(), digest: digest::hex(&text), told: false });
        Ok(Self { what, path, parse, current, seen })
    }

    /// What the file held when it was last looked at, which is now if that was a second ago. `changed` is told what is new.
    pub(crate) fn get(&self, changed: impl FnOnce(&T)) -> Arc<T> {
        // Whoever finds somebody else looking goes on with what is there.
        if let Ok(mut seen) = self.seen.try_lock()
            && seen.looked.elapsed() >= LOOK
        {
            seen.looked = Instant::now();
            self.look(&mut seen, changed);
        }
        self.current.load_full()
    }

    fn look(&self, seen: &mut Seen, changed: impl FnOnce(&T)) {
        match self.read_again(seen) {
            Ok(None) => seen.told = false,
            Ok(Some(new)) => {
                seen.told = false;
                changed(&new);
                self.current.store(Arc::new(new));
            }
            Err(problem) if !seen.told => {
                seen.told = true;
                let (what, path) = (self.what, self.path.display());
                tracing::error!(what, %path, problem, "a file cannot be used; what it held before is in force");
            }
            Err(_) => {}
        }
    }

    fn read_again(&self, seen: &mut Seen) -> Result<Option<T>, String> {
        let text = read(&self.path)?;
        let digest = digest::hex(&text);
        if digest == seen.digest {
            return Ok(None);
        }
        let new = (self.parse)(&text)?;
        seen.digest = digest;
        Ok(Some(new))
    }

    /// Makes the next use look at the file.
    #[cfg(test)]
    pub(crate) fn due(&self) {
        let mut seen = self.seen.lock().unwrap();
        seen.looked = seen.looked.checked_sub(LOOK).unwrap();
    }
}

/// Wiped from memory after use: some of these files hold keys.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let unread = |error: std::io::Error| format!("cannot be read: {error}");
    let mut text = Zeroizing::new(Vec::with_capacity(8_192));
    let file = File::open(path).map_err(unread)?;
    file.take(MAX_FILE + 1).read_to_end(&mut text).map_err(unread)?;
    if text.len() as u64 > MAX_FILE { Err(format!("is longer than {MAX_FILE} bytes")) } else { Ok(text) }
}
