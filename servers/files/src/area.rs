//! What one call may reach: allowed directories, narrowed by the client's roots, and paths within them.

use std::{
    io,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex},
};

use cap_std::fs::Dir;
use portico_kit::{Url, tool::ToolError};

/// Longest path, in bytes.
const MAX_PATH: usize = 4096;
/// Longest name within a path, in bytes.
const MAX_NAME: usize = 255;

/// A directory that may be reached.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// As configured; it may lead through symbolic links.
    given: PathBuf,
    /// Where that really is.
    pub(crate) real: PathBuf,
    pub(crate) dir: Arc<Dir>,
}

impl Place {
    pub(crate) fn new(given: PathBuf, real: PathBuf, dir: Dir) -> Self {
        Self { given, real, dir: Arc::new(dir) }
    }

    /// What both this place and the directory `root` hold.
    pub(crate) fn narrowed_to(&self, root: &Path) -> Option<Self> {
        if self.real.starts_with(root) {
            return Some(self.clone());
        }
        let inner = root.strip_prefix(&self.real).ok()?;
        // A handle of its own: from here on nothing of the wider directory can be reached.
        let dir = self.dir.open_dir(inner).ok()?;
        Some(Self::new(self.given.join(inner), root.to_owned(), dir))
    }

    fn relative<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        path.strip_prefix(&self.real).or_else(|_| path.strip_prefix(&self.given)).ok()
    }
}

/// Everything that one call may reach, and its bounds.
#[derive(Debug, Clone)]
pub(crate) struct Area {
    pub(crate) places: Vec<Place>,
    pub(crate) narrowed: bool,
    pub(crate) writable: bool,
    pub(crate) max_bytes: u64,
    /// Held from reading a file to replacing it, so that no edit undoes another.
    pub(crate) writing: Arc<Mutex<()>>,
}

/// A path within a place. The empty path, the place itself, is written `.`.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) place: Place,
    pub(crate) relative: PathBuf,
}

impl Target {
    /// The absolute path, as answers show it.
    pub(crate) fn shown(&self) -> String {
        self.path().display().to_string()
    }

    fn path(&self) -> PathBuf {
        if self.relative == Path::new(".") {
            self.place.real.clone()
        } else {
            self.place.real.join(&self.relative)
        }
    }

    /// The `file://` address.
    pub(crate) fn uri(&self) -> String {
        Url::from_file_path(self.path()).map(String::from).unwrap_or_default()
    }

    /// The same place, one name further down.
    pub(crate) fn child(&self, name: &Path) -> Self {
        let relative =
            if self.relative == Path::new(".") { name.to_owned() } else { self.relative.join(name) };
        Self { place: self.place.clone(), relative }
    }

    /// Says what the system refused, in the terms of the caller.
    pub(crate) fn failed(&self, doing: &str, error: &io::Error) -> ToolError {
        let shown = self.shown();
        ToolError::Refused(match error.kind() {
            io::ErrorKind::NotFound => format!("{shown} does not exist"),
            // The sandbox refuses by itself, without an error number of the system.
            io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
                format!("{shown} leads outside the allowed directories through a symbolic link")
            }
            io::ErrorKind::PermissionDenied => format!("the server may not {doing} {shown}"),
            io::ErrorKind::NotADirectory => format!("a part of {shown} is not a directory"),
            _ => format!("cannot {doing} {shown}: {error}"),
        })
    }
}

impl Area {
    /// Finds the place of a path that a client gave: absolute, or relative to the only allowed directory.
    pub(crate) fn find(&self, text: &str) -> Result<Target, ToolError> {
        check(text).map_err(|problem| ToolError::invalid("path", problem))?;
        let path = Path::new(text);
        if path.is_absolute() {
            return self.absolute(path);
        }
        match self.places.as_slice() {
            [place] => Ok(target(place, path)),
            _ => Err(ToolError::invalid("path", format!("must be absolute, in one of: {}", self.names()))),
        }
    }

    fn absolute(&self, path: &Path) -> Result<Target, ToolError> {
        let inside = self.places.iter().filter_map(|place| Some((place, place.relative(path)?)));
        // Allowed directories may lie in each other: the deepest knows the shortest way.
        inside.min_by_key(|(_, rest)| rest.components().count()).map_or_else(
            || {
                let names = self.names();
                Err(ToolError::invalid("path", format!("is outside the allowed directories: {names}")))
            },
            |(place, rest)| Ok(target(place, rest)),
        )
    }

    fn names(&self) -> String {
        if self.places.is_empty() {
            return "none, since the client's roots and the server's directories have nothing in common"
                .to_owned();
        }
        let names: Vec<String> = self.places.iter().map(|place| place.real.display().to_string()).collect();
        names.join(", ")
    }
}

fn target(place: &Place, relative: &Path) -> Target {
    let kept: PathBuf = relative.components().filter(|part| *part != Component::CurDir).collect();
    let relative = if kept.as_os_str().is_empty() { PathBuf::from(".") } else { kept };
    Target { place: place.clone(), relative }
}

fn check(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.contains('\0') {
        return Err("contains a NUL character".to_owned());
    }
    if text.len() > MAX_PATH {
        return Err(format!("is longer than {MAX_PATH} bytes"));
    }
    for part in Path::new(text).components() {
        if part == Component::ParentDir {
            return Err("must not contain `..`; give the path without it".to_owned());
        }
        if part.as_os_str().len() > MAX_NAME {
            return Err(format!("contains a name longer than {MAX_NAME} bytes"));
        }
    }
    Ok(())
}
