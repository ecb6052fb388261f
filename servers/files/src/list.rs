//! `list_directory`.

use std::fmt::Write;

use cap_std::fs::DirEntry;
use portico_kit::tool::{Answer, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{area::Area, info::modified, open::kind_name};

/// Entries read of one directory; what lies beyond is not seen.
const MAX_READ: usize = 100_000;
const MAX_LIMIT: usize = 1_000;

/// Which directory to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListRequest {
    /// Path of a directory.
    path: String,
    /// Entries to skip, in order of names.
    #[serde(default)]
    offset: usize,
    /// Entries to show, 1 to 1000.
    #[serde(default = "default_limit")]
    #[schemars(range(min = 1, max = 1000))]
    limit: usize,
}

fn default_limit() -> usize {
    200
}

/// One entry.
#[derive(Debug, Serialize, JsonSchema)]
struct Entry {
    /// Its name.
    name: String,
    /// file, directory, symlink, pipe, socket or device.
    kind: String,
    /// Size in bytes; files only.
    size: Option<u64>,
    /// Last change, in seconds since 1970-01-01 UTC.
    modified: Option<u64>,
}

/// A part of a directory.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Listing {
    /// Absolute path.
    path: String,
    /// In order of names.
    entries: Vec<Entry>,
    /// Entries in all.
    total: usize,
    /// Where to go on; missing at the end.
    next_offset: Option<usize>,
}

pub(crate) fn list_directory(area: &Area, request: &ListRequest) -> Result<Answer, ToolError> {
    if !(1..=MAX_LIMIT).contains(&request.limit) {
        return Err(ToolError::invalid("limit", format!("must be from 1 to {MAX_LIMIT}")));
    }
    let target = area.find(&request.path)?;
    let failed = |error: std::io::Error| target.failed("list", &error);
    let dir = target.place.dir.open_dir(&target.relative).map_err(failed)?;
    let mut found: Vec<DirEntry> =
        dir.entries().map_err(failed)?.take(MAX_READ).collect::<Result<_, _>>().map_err(failed)?;
    found.sort_by_cached_key(DirEntry::file_name);
    let total = found.len();
    let entries: Vec<Entry> =
        found.iter().skip(request.offset).take(request.limit).filter_map(entry).collect();
    let end = request.offset.saturating_add(request.limit);
    let listing = Listing { path: target.shown(), entries, total, next_offset: (end < total).then_some(end) };
    Answer::new(describe(&listing), &listing)
}

/// An entry that vanished while the directory was read is left out.
fn entry(found: &DirEntry) -> Option<Entry> {
    let metadata = found.metadata().ok()?;
    Some(Entry {
        name: found.file_name().to_string_lossy().into_owned(),
        kind: kind_name(metadata.file_type()).to_owned(),
        size: metadata.is_file().then(|| metadata.len()),
        modified: modified(&metadata),
    })
}

fn describe(listing: &Listing) -> String {
    let mut text = format!("{}: {} of {} entries", listing.path, listing.entries.len(), listing.total);
    for entry in &listing.entries {
        let mark = if entry.kind == "directory" { "/" } else { "" };
        // Writing into a `String` has no failure of its own.
        let _ = write!(text, "\n{}{mark}", entry.name);
    }
    text
}
