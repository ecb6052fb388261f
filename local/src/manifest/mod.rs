//! Manifests as files on disk, with the place of every field.

mod composite;
mod document;
mod folder;
mod models;
mod objects;

use std::{fmt, path::PathBuf};

use serde::Serialize;

pub use document::{Document, parse};
pub(crate) use folder::files;
pub use folder::read;
pub use objects::{Key, Objects};

/// One thing that is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Line of the file, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// Path of the field, such as `spec.env[0].name`; empty where no field is meant.
    pub field: String,
    /// What is wrong, and how to mend it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}
