//! `file_info` and `list_allowed_directories`.

use std::time::{SystemTime, UNIX_EPOCH};

use cap_std::fs::{Metadata, PermissionsExt};
use portico_kit::tool::{Answer, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    area::Area,
    open::{kind_name, media_type},
};

/// What to describe.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InfoRequest {
    /// Path of a file or directory.
    path: String,
}

/// One file or directory.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Info {
    /// Absolute path.
    path: String,
    /// Address as an MCP resource.
    uri: String,
    /// file, directory, symlink, pipe, socket or device.
    kind: String,
    /// Size in bytes.
    size: u64,
    /// Last change, in seconds since 1970-01-01 UTC; missing where the system does not say.
    modified: Option<u64>,
    /// Permission bits in octal, such as 644.
    permissions: String,
    /// Media type by the name's ending.
    media_type: Option<String>,
    /// Whether `read_file` takes it in one call.
    readable_at_once: bool,
}

pub(crate) fn file_info(area: &Area, request: &InfoRequest) -> Result<Answer, ToolError> {
    let target = area.find(&request.path)?;
    // A symbolic link is described itself; what it points to may lie outside.
    let metadata = target
        .place
        .dir
        .symlink_metadata(&target.relative)
        .map_err(|error| target.failed("look at", &error))?;
    let info = Info {
        path: target.shown(),
        uri: target.uri(),
        kind: kind_name(metadata.file_type()).to_owned(),
        size: metadata.len(),
        modified: modified(&metadata),
        permissions: format!("{:o}", metadata.permissions().mode() & 0o7777),
        media_type: media_type(&target.relative).map(str::to_owned),
        readable_at_once: metadata.is_file() && metadata.len() <= area.max_bytes,
    };
    Answer::new(format!("{}: {}, {} bytes", info.path, info.kind, info.size), &info)
}

/// Seconds since 1970.
pub(crate) fn modified(metadata: &Metadata) -> Option<u64> {
    let time: SystemTime = metadata.modified().ok()?.into_std();
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// Nothing is needed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoArguments {}

/// What this client may reach.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Allowed {
    /// Absolute paths.
    directories: Vec<String>,
    /// Whether files may be written.
    writable: bool,
    /// Whether the client's roots narrowed the server's directories.
    narrowed_by_roots: bool,
    /// Largest file, or part of one, in one call, in bytes.
    max_bytes: u64,
}

pub(crate) fn allowed(area: &Area, _: &NoArguments) -> Result<Answer, ToolError> {
    let allowed = Allowed {
        directories: area.places.iter().map(|place| place.real.display().to_string()).collect(),
        writable: area.writable,
        narrowed_by_roots: area.narrowed,
        max_bytes: area.max_bytes,
    };
    let text = match allowed.directories.as_slice() {
        [] => {
            "No directory: the client's roots and the server's directories have nothing in common.".to_owned()
        }
        directories => directories.join("\n"),
    };
    Answer::new(text, &allowed)
}
