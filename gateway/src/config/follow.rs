//! Follows a configuration file. It is looked at again and again rather than watched: a mounted ConfigMap is replaced by
//! turning a symbolic link, which file events tell differently on each system.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Config, Error, read};
use crate::core::Core;

/// Time between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Takes over each change of the file at `path`, and of the keys and certificates that it names, which said `text` last; for ever. A bad file leaves what it said before
/// in force.
pub(crate) async fn follow(core: &Core, path: &Path, text: String) {
    let mut seen = Ok(text);
    loop {
        tokio::time::sleep(PAUSE).await;
        let (file, authenticator) = (path.to_owned(), core.authenticator.load_full());
        let (certificate, identities) =
            (Arc::clone(&core.certificate), Arc::clone(&core.control.http.identities));
        let looked = tokio::task::spawn_blocking(move || {
            authenticator.refresh();
            certificate.refresh();
            identities.refresh();
            read(&file).map_err(|error| error.to_string())
        });
        let Ok(now) = looked.await else { continue };
        if now == seen {
            continue;
        }
        take(core, path, &now);
        seen = now;
    }
}

fn take(core: &Core, path: &Path, text: &Result<String, String>) {
    let config = text.as_ref().map_err(Clone::clone);
    let config = config.and_then(|text| Config::parse(text).map_err(|error: Error| error.to_string()));
    core.metrics.configured(config.is_ok());
    match config {
        Ok(config) => {
            core.configure(config);
            core.load.taken(path);
            tracing::info!(path = %path.display(), "the configuration file has changed and is in force");
        }
        Err(error) => {
            core.load.failed(&error);
            tracing::error!(path = %path.display(), %error, "the configuration file is not taken; the one before stays in force");
        }
    }
}
