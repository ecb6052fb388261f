//! What is known of the configuration file, for those who run the gateway.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// How reading a configuration file went.
#[derive(Debug, Clone, Default)]
pub(crate) struct Load {
    /// The file, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// When it was taken last.
    pub(crate) taken: Option<SystemTime>,
    /// Why it was not taken when it changed last.
    pub(crate) error: Option<String>,
}

/// The last load.
#[derive(Debug, Default)]
pub(crate) struct LastLoad(Mutex<Load>);

impl LastLoad {
    /// What is known.
    pub(crate) fn get(&self) -> Load {
        self.lock().clone()
    }

    /// The file was taken.
    pub(crate) fn taken(&self, file: &Path) {
        *self.lock() = Load { file: Some(file.to_owned()), taken: Some(SystemTime::now()), error: None };
    }

    /// It was not.
    pub(crate) fn failed(&self, error: &str) {
        self.lock().error = Some(error.to_owned());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Load> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
