//! Last known lists, and with a folder the servers themselves, outlive the process: they are kept whenever they change,
//! and recalled at the next start.

mod files;
pub(crate) mod seen;

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use futures::future::BoxFuture;

use crate::catalog::{Listing, kept};
use crate::core::Core;
use crate::source::ServerKey;

pub use files::Folder;
pub use seen::Seen;

/// Bytes of one server's lists before they are compressed.
const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// Changes within this time are taken as one.
const SETTLE: Duration = Duration::from_secs(1);
/// Time until what could not be kept is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Lists that were kept, compressed, by server.
pub type Recalled = HashMap<ServerKey, Vec<u8>>;

/// A place where lists outlive the process.
pub trait Keep: Send + Sync + 'static {
    /// Whether this process is the one that keeps them now.
    fn is_mine(&self) -> bool {
        true
    }

    /// Keeps the lists of `server` in place of those it had. An error is told to people and tried again.
    fn save<'a>(&'a self, server: &'a ServerKey, lists: Vec<u8>) -> BoxFuture<'a, Result<(), Error>>;

    /// Drops the lists of a server that is gone.
    fn forget<'a>(&'a self, server: &'a ServerKey) -> BoxFuture<'a, ()>;
}

/// Why lists are not kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// They are too large; trying again does not help.
    #[error("the lists take {bytes} bytes compressed, and at most {limit} are kept")]
    Size {
        /// How large they are.
        bytes: usize,
        /// How large they may be.
        limit: usize,
    },
    /// The place does not take them.
    #[error("{0}")]
    Failed(String),
}

/// Reads what was recalled; what is damaged is passed over, for the server gives it again.
pub(crate) fn read(recalled: &Recalled) -> HashMap<ServerKey, Arc<Listing>> {
    let read = |(server, bytes): (&ServerKey, &Vec<u8>)| {
        let listing = unpacked(bytes).and_then(|text| kept::read(&text));
        if listing.is_none() {
            tracing::warn!(%server, "the kept lists of a server cannot be read and are passed over");
        }
        Some((server.clone(), Arc::new(listing?)))
    };
    recalled.iter().filter_map(read).collect()
}

fn packed(text: &str) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}

fn unpacked(bytes: &[u8]) -> Option<String> {
    let mut text = String::new();
    let read = GzDecoder::new(bytes).take(MAX_BYTES + 1).read_to_string(&mut text).ok()?;
    (read as u64 <= MAX_BYTES).then_some(text)
}

/// Keeps every list that a server confirmed and that differs from what is kept, for ever.
pub(crate) async fn run(core: &Core, keep: Arc<dyn Keep>, recalled: HashMap<ServerKey, Arc<Listing>>) {
    let mut built = core.catalog.built();
    let (mut saved, mut trouble) = (recalled, Trouble::default());
    loop {
        built.borrow_and_update();
        let complete = keep.is_mine() && pass(core, keep.as_ref(), &mut saved, &mut trouble).await;
        if complete {
            // The sender is the catalogue's, which is the core's.
            built.changed().await.ok();
            tokio::time::sleep(SETTLE).await;
        } else {
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Whether a place takes what is to be kept; a place that does not is told of once, and counted.
#[derive(Debug, Default)]
struct Trouble(bool);

impl Trouble {
    /// Something could not be kept; whether that is news.
    fn begins(&mut self, core: &Core) -> bool {
        core.metrics.unkept();
        !std::mem::replace(&mut self.0, true)
    }

    /// Something was kept; whether that is news.
    fn ends(&mut self) -> bool {
        std::mem::take(&mut self.0)
    }
}

/// Whether all could be kept.
async fn pass(
    core: &Core,
    keep: &dyn Keep,
    saved: &mut HashMap<ServerKey, Arc<Listing>>,
    trouble: &mut Trouble,
) -> bool {
    let now = core.catalog.confirmed();
    for server in core.take_gone() {
        keep.forget(&server).await;
        saved.remove(&server);
    }
    let mut complete = true;
    for (server, listing) in now {
        let same = saved.get(&server).is_some_and(|old| Arc::ptr_eq(old, &listing) || *old == listing);
        if same {
            continue;
        }
        match save(keep, &server, &listing).await {
            Ok(()) if trouble.ends() => tracing::info!("lists are kept again"),
            Ok(()) => {}
            Err(error @ Error::Size { .. }) => {
                core.metrics.unkept();
                tracing::warn!(%server, %error, "a restart will not know a server's lists");
            }
            Err(error) => {
                if trouble.begins(core) {
                    tracing::warn!(%server, %error, "a server's lists could not be kept; trying again until they can");
                }
                complete = false;
                continue;
            }
        }
        saved.insert(server, listing);
    }
    complete
}

async fn save(keep: &dyn Keep, server: &ServerKey, listing: &Listing) -> Result<(), Error> {
    let lists = packed(&kept::written(listing)).map_err(|error| Error::Failed(error.to_string()))?;
    keep.save(server, lists).await
}
