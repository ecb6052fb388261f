//! One cluster for many tests: of this process, or of a process that several test processes join.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::pki::put;
use crate::{Cluster, Error, Level, network};

/// Names the folders of running clusters to join, separated like those of `PATH`. `cargo xtask test` sets it.
pub const JOIN_VARIABLE: &str = "PORTICO_TEST_CLUSTER";

/// The file in a cluster's folder that tells others how to use it.
const MANIFEST: &str = "cluster.json";

/// What a joining process needs to know.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) level: Level,
    pub(crate) kubeconfig: PathBuf,
}

impl Manifest {
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(MANIFEST);
        let text = serde_json::to_string(self).map_err(|source| malformed(&path, source))?;
        put(&path, &text)
    }

    fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(MANIFEST);
        let text = std::fs::read_to_string(&path)
            .map_err(Error::file("joining the cluster that PORTICO_TEST_CLUSTER names, reading", &path))?;
        serde_json::from_str(&text).map_err(|source| malformed(&path, source))
    }
}

fn malformed(path: &Path, source: serde_json::Error) -> Error {
    Error::Malformed { path: path.to_owned(), source }
}

type Cell = Arc<OnceCell<Arc<Cluster>>>;

/// The cluster of `level` that all tests of this process share. A failed start is tried again by the next test.
pub(crate) async fn get(level: Level) -> Result<Arc<Cluster>, Error> {
    static CELLS: LazyLock<std::sync::Mutex<HashMap<Level, Cell>>> = LazyLock::new(Default::default);
    let cell = CELLS.lock().unwrap_or_else(PoisonError::into_inner).entry(level).or_default().clone();
    cell.get_or_try_init(|| async { open(level).await.map(Arc::new) }).await.cloned()
}

/// From a network of its own no cluster outside can be reached.
async fn open(level: Level) -> Result<Cluster, Error> {
    let joined = std::env::var_os(JOIN_VARIABLE).filter(|_| !network::is_inside()).unwrap_or_default();
    for folder in std::env::split_paths(&joined).filter(|folder| !folder.as_os_str().is_empty()) {
        let manifest = Manifest::read(&folder)?;
        if manifest.level.serves(level) {
            return Cluster::join(&folder, manifest).await;
        }
    }
    Cluster::start(level).await
}
