//! The servers as the cluster told of them last, in a folder: a gateway that starts while the cluster cannot be reached
//! serves from them.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::files::{Folder, write_whole};
use super::{Error, Trouble};
use crate::core::Core;
use crate::source::{Server, Servers};

/// Name of the file. No namespace has such a name, so it stands beside the folders of the lists.
const FILE: &str = "servers.json";
/// Version of what stands in it. One that is not known is passed over.
const FORMAT: u32 = 2;
/// Bytes of the file; 5,000 servers with three pods each take some 3 MiB.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Time until what could not be kept is tried again, unless something changes before.
const RETRY: Duration = Duration::from_secs(30);

/// The servers that somebody told of, and when.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The servers.
    pub servers: Servers,
    /// When they were seen, or seen to change, last.
    pub at: SystemTime,
    /// Whether they come from the cluster; else from a file that an earlier process wrote.
    pub fresh: bool,
}

impl Seen {
    /// Servers that the cluster tells of now.
    pub(crate) fn now(servers: Servers) -> Self {
        Self { servers, at: SystemTime::now(), fresh: true }
    }

    /// How long ago that was.
    pub(crate) fn age(&self) -> Duration {
        self.at.elapsed().unwrap_or_default()
    }
}

/// What stands in the file. None of it is secret: how servers are reached is, but who reaches them has no credentials.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept<S> {
    format: u32,
    /// The one namespace that was looked at.
    namespace: Option<String>,
    seen_unix_seconds: u64,
    servers: S,
}

/// What is read of a file before its version is known.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

impl Folder {
    /// The servers that were kept by a gateway that looked at `namespace`, or at all with `None`. A file that is damaged,
    /// too large, of another version or of another namespace is passed over, and the log says so.
    #[must_use]
    pub fn seen(&self, namespace: Option<&str>) -> Option<Seen> {
        let file = self.path().join(FILE);
        match read(&file, namespace) {
            Ok(seen) => seen,
            Err(reason) => {
                tracing::warn!(file = %file.display(), %reason, "the kept servers are passed over");
                None
            }
        }
    }

    fn write_seen(&self, seen: &Seen, namespace: Option<&str>) -> Result<(), Error> {
        let file = self.path().join(FILE);
        let since = seen.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let kept = Kept {
            format: FORMAT,
            namespace: namespace.map(str::to_owned),
            seen_unix_seconds: since.as_secs(),
            servers: seen.servers.as_ref(),
        };
        let failed = |reason: String| Error::Failed(format!("{}: {reason}", file.display()));
        let text = serde_json::to_vec(&kept).map_err(|error| failed(error.to_string()))?;
        if text.len() > MAX_BYTES {
            return Err(Error::Size { bytes: text.len(), limit: MAX_BYTES });
        }
        write_whole(&file, &text).map_err(|error| failed(error.to_string()))
    }
}

fn read(file: &Path, namespace: Option<&str>) -> Result<Option<Seen>, String> {
    let length = match std::fs::metadata(file) {
        Ok(about) => about.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if length > MAX_BYTES as u64 {
        return Err(format!("it has {length} bytes, and at most {MAX_BYTES} are read"));
    }
    let text = std::fs::read(file).map_err(|error| error.to_string())?;
    let Head { format } = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if format != FORMAT {
        return Err(format!("its format is {format}, and this version knows {FORMAT}"));
    }
    let kept: Kept<Vec<Server>> = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if kept.namespace.as_deref() != namespace {
        return Err("it is of another --namespace".to_owned());
    }
    let at = UNIX_EPOCH.checked_add(Duration::from_secs(kept.seen_unix_seconds)).unwrap_or(UNIX_EPOCH);
    Ok(Some(Seen { servers: Arc::new(kept.servers), at, fresh: false }))
}

/// Keeps the servers in `folder` whenever the cluster tells of others, and counts how old they are, for ever.
pub(crate) async fn run(
    core: &Core,
    folder: Folder,
    namespace: Option<String>,
    mut seen: watch::Receiver<Seen>,
) {
    let mut trouble = Trouble::default();
    loop {
        let now = seen.borrow_and_update().clone();
        core.metrics.seen(&now);
        let mut kept = true;
        if now.fresh {
            kept = keep(core, (&folder, namespace.as_deref()), now, &mut trouble).await;
        }
        let pause = if kept { Duration::MAX } else { RETRY };
        if let Ok(Err(_)) = tokio::time::timeout(pause, seen.changed()).await {
            return;
        }
    }
}

async fn keep(
    core: &Core,
    (folder, namespace): (&Folder, Option<&str>),
    seen: Seen,
    trouble: &mut Trouble,
) -> bool {
    let (folder, namespace) = (folder.clone(), namespace.map(str::to_owned));
    let written = tokio::task::spawn_blocking(move || folder.write_seen(&seen, namespace.as_deref())).await;
    match written.unwrap_or_else(|error| Err(Error::Failed(error.to_string()))) {
        Ok(()) => {
            if trouble.ends() {
                tracing::info!("the servers are kept again");
            }
            true
        }
        Err(error) => {
            if trouble.begins(core) {
                tracing::warn!(%error, "the servers cannot be kept for a start without the cluster; trying again until they can");
            }
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Endpoint, Pinned, Pinning, ServerKey, Timeouts};

    fn server(number: usize) -> Server {
        let key = ServerKey { namespace: "shop".into(), name: format!("s{number}") };
        Server::new(key, vec![Endpoint::pod(format!("http://10.0.0.{number}:8080/mcp"))])
    }

    fn full() -> Server {
        let mut server = server(1);
        let mut change = crate::source::ToolOverride { rename: Some("b".into()), ..Default::default() };
        change.hints.insert("readOnlyHint", true);
        server.tools.overrides.insert("a".into(), change);
        server.tools.include = vec!["*".into()];
        let remembered = Pinned { tools: [("a".to_owned(), "sha256:1".to_owned())].into() };
        let mode = portico_crds::mcp_server::Pin::Quarantine;
        server.pinning =
            Some(Pinning { mode, approved: Some("sha256:2".into()), remembered: Some(remembered) });
        server.timeouts =
            Timeouts { call: Duration::from_secs(7), tools: [("a".into(), Duration::from_secs(9))].into() };
        let path = serde_json::json!({ "path": "/hook", "type": "Prefix", "methods": ["GET"] });
        server.exposure.paths = vec![serde_json::from_value(path).unwrap()];
        let header =
            serde_json::json!({ "name": "authorization", "secretKeyRef": { "name": "a", "key": "token" } });
        server.auth = Some(serde_json::from_value(serde_json::json!({ "header": header })).unwrap());
        server
    }

    fn folder() -> (tempfile::TempDir, Folder) {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        (place, folder)
    }

    #[test]
    fn servers_are_read_as_they_were_written_and_of_no_other_namespace() {
        let (_place, folder) = folder();
        assert!(folder.seen(None).is_none());
        let seen = Seen::now(Arc::new(vec![full(), server(2)]));
        folder.write_seen(&seen, Some("shop")).unwrap();
        let read = folder.seen(Some("shop")).unwrap();
        assert_eq!(read.servers, seen.servers);
        assert!(!read.fresh && read.age() < Duration::from_mins(1));
        assert!(folder.seen(None).is_none() && folder.seen(Some("other")).is_none());
    }

    #[test]
    fn a_file_that_is_damaged_or_of_another_version_is_passed_over_and_replaced() {
        let (place, folder) = folder();
        let file = place.path().join(FILE);
        for bad in ["", "{", r#"{"format":2}"#, r#"{"format":3,"servers":[]}"#, r#"{"format":2,"servers":7}"#]
        {
            std::fs::write(&file, bad).unwrap();
            assert!(folder.seen(None).is_none(), "{bad}");
            folder.write_seen(&Seen::now(Arc::new(vec![server(1)])), None).unwrap();
            assert_eq!(folder.seen(None).unwrap().servers.len(), 1);
        }
    }

    #[test]
    fn the_file_holds_at_most_so_much() {
        let (place, folder) = folder();
        let mut large = server(1);
        large.tools.include = vec!["x".repeat(MAX_BYTES)];
        let refused = folder.write_seen(&Seen::now(Arc::new(vec![large])), None);
        assert!(matches!(refused, Err(Error::Size { .. })));
        assert!(!place.path().join(FILE).exists());
        let file = std::fs::File::create(place.path().join(FILE)).unwrap();
        file.set_len(MAX_BYTES as u64 + 1).unwrap();
        assert!(folder.seen(None).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_takes_nothing_is_counted_and_the_servers_are_kept_once_it_does() {
        let (place, folder) = folder();
        let core = Core::new(crate::Options::default(), tokio::runtime::Handle::current()).unwrap();
        // A folder stands where the new file would be written.
        std::fs::create_dir(place.path().join("servers.new")).unwrap();
        let (told, seen) = watch::channel(Seen::now(Arc::new(vec![server(1)])));
        let mended = async {
            while !core.metrics.text().contains("portico_gateway_state_write_failures_total 2") {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            std::fs::remove_dir(place.path().join("servers.new")).unwrap();
            while folder.seen(None).is_none() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            () = run(&core, folder.clone(), None, seen) => panic!("it ended"),
            done = tokio::time::timeout(RETRY * 4, mended) => done.unwrap(),
        }
        drop(told);
    }
}
