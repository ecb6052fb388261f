//! Files as MCP resources under `file://`.

use std::path::Path;

use portico_kit::{Url, tool::ToolError};
use rmcp::model::{ReadResourceResult, Resource, ResourceTemplate};

use crate::{
    area::{Area, Target},
    open::media_type,
    read,
};

/// Resources listed; the tools find the rest.
const MAX_LISTED: usize = 500;
/// Directories below an allowed one that are looked into.
const MAX_DEPTH: usize = 4;
/// Entries looked at.
const MAX_SEEN: usize = 10_000;

/// The first regular files of the allowed directories, in order of names.
pub(crate) fn list(area: &Area) -> Vec<Resource> {
    let mut listed = Vec::new();
    let mut seen = 0;
    let starts = area.places.iter().filter_map(|place| area.find(&place.real.to_string_lossy()).ok());
    let mut open: Vec<(Target, usize)> = starts.map(|start| (start, 0)).collect();
    open.reverse();
    while let Some((directory, depth)) = open.pop() {
        let (files, mut below) = entries(&directory, &mut seen);
        listed.extend(files.iter().map(resource));
        if listed.len() >= MAX_LISTED || seen >= MAX_SEEN {
            listed.truncate(MAX_LISTED);
            return listed;
        }
        if depth < MAX_DEPTH {
            below.reverse();
            open.extend(below.into_iter().map(|target| (target, depth + 1)));
        }
    }
    listed
}

fn entries(directory: &Target, seen: &mut usize) -> (Vec<Target>, Vec<Target>) {
    let (mut files, mut below) = (Vec::new(), Vec::new());
    let dir = directory.place.dir.open_dir(&directory.relative);
    let Ok(entries) = dir.and_then(|dir| dir.entries()) else { return (files, below) };
    let mut entries: Vec<_> = entries.flatten().take(MAX_SEEN.saturating_sub(*seen)).collect();
    entries.sort_by_cached_key(cap_std::fs::DirEntry::file_name);
    *seen += entries.len();
    for entry in entries {
        let target = directory.child(Path::new(&entry.file_name()));
        match entry.file_type() {
            Ok(kind) if kind.is_file() => files.push(target),
            Ok(kind) if kind.is_dir() => below.push(target),
            _ => {}
        }
    }
    (files, below)
}

fn resource(target: &Target) -> Resource {
    let name = target.relative.display().to_string();
    let resource = Resource::new(target.uri(), name);
    match media_type(&target.relative) {
        Some(kind) => resource.with_mime_type(kind),
        None => resource,
    }
}

/// How the address of any file is made.
pub(crate) fn template() -> ResourceTemplate {
    ResourceTemplate::new("file://{+path}", "file")
        .with_description("A file in an allowed directory, by its absolute path")
}

/// Reads the file that a `file://` address names.
pub(crate) fn read(area: &Area, uri: &str) -> Result<ReadResourceResult, ToolError> {
    let path = Url::parse(uri)
        .ok()
        .filter(|url| url.scheme() == "file")
        .and_then(|url| url.to_file_path().ok())
        .ok_or_else(|| ToolError::invalid("uri", "must be a file:// address with an absolute path"))?;
    let target = area.find(&path.to_string_lossy())?;
    let bytes = read::whole(area, &target)?.bytes;
    Ok(ReadResourceResult::new(vec![read::contents(&target, &bytes)]))
}
