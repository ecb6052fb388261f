//! `write_file`: a whole file, written beside the old one and then put in its place.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::PoisonError,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use cap_std::fs::{Dir, OpenOptions, Permissions};
use portico_kit::tool::{Answer, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    area::{Area, Target},
    open::kind_name,
};

/// What to write.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteRequest {
    /// Path of the file.
    path: String,
    /// The whole new content.
    content: String,
    /// How `content` is written.
    #[serde(default)]
    encoding: ContentEncoding,
    /// Whether an existing file is replaced.
    #[serde(default = "yes")]
    overwrite: bool,
    /// Whether missing directories are made.
    #[serde(default)]
    create_directories: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
enum ContentEncoding {
    /// The content is the text.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// The content is base64 of the bytes.
    #[serde(rename = "base64")]
    Base64,
}

/// What was written.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Written {
    /// Absolute path.
    path: String,
    /// Bytes written.
    size: u64,
    /// Whether the file is new.
    created: bool,
}

pub(crate) fn write_file(area: &Area, request: &WriteRequest) -> Result<Answer, ToolError> {
    let target = area.find(&request.path)?;
    let bytes = match request.encoding {
        ContentEncoding::Utf8 => request.content.as_bytes().to_vec(),
        ContentEncoding::Base64 => STANDARD
            .decode(&request.content)
            .map_err(|error| ToolError::invalid("content", format!("is not base64: {error}")))?,
    };
    within(area, bytes.len() as u64)?;
    let _writing = area.writing.lock().unwrap_or_else(PoisonError::into_inner);
    if request.create_directories
        && let Some(parent) = target.relative.parent().filter(|parent| !parent.as_os_str().is_empty())
    {
        target
            .place
            .dir
            .create_dir_all(parent)
            .map_err(|error| target.failed("make the directories of", &error))?;
    }
    let existed = existing(&target)?.is_some();
    if existed && !request.overwrite {
        return Err(ToolError::Refused(format!("{} exists; set overwrite to replace it", target.shown())));
    }
    replace(&target, &bytes)?;
    let written = Written { path: target.shown(), size: bytes.len() as u64, created: !existed };
    let done = if existed { "replaced" } else { "created" };
    Answer::new(format!("{done} {} with {} bytes", written.path, written.size), &written)
}

/// Refuses content beyond the limit.
pub(crate) fn within(area: &Area, size: u64) -> Result<(), ToolError> {
    if size <= area.max_bytes {
        return Ok(());
    }
    let problem = format!("would make {size} bytes, more than the limit of {}", area.max_bytes);
    Err(ToolError::invalid("content", problem))
}

/// Permissions of the regular file that is there; anything else there is refused.
fn existing(target: &Target) -> Result<Option<Permissions>, ToolError> {
    match target.place.dir.symlink_metadata(&target.relative) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata.permissions())),
        Ok(metadata) => {
            let kind = kind_name(metadata.file_type());
            Err(ToolError::Refused(format!("{} is a {kind}; only regular files are written", target.shown())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(target.failed("write", &error)),
    }
}

/// Puts `bytes` in the place of the file: a reader sees the old content or the new, never a part.
pub(crate) fn replace(target: &Target, bytes: &[u8]) -> Result<(), ToolError> {
    let permissions = existing(target)?;
    let failed = |error: io::Error| target.failed("write", &error);
    let (parent, name) = split(target)?;
    let dir = target.place.dir.open_dir(&parent).map_err(failed)?;
    let temporary = PathBuf::from(format!(".portico-{:032x}.tmp", rand::random::<u128>()));
    let written =
        fill(&dir, &temporary, bytes, permissions).and_then(|()| dir.rename(&temporary, &dir, &name));
    written.map_err(|error| {
        // The half-made file must not stay; that it could not be removed says less than why writing failed.
        let _ = dir.remove_file(&temporary);
        failed(error)
    })
}

fn split(target: &Target) -> Result<(PathBuf, PathBuf), ToolError> {
    let name = target.relative.file_name().filter(|_| target.relative != Path::new("."));
    let Some(name) = name else {
        return Err(ToolError::invalid("path", "names an allowed directory itself; name a file in it"));
    };
    let parent = target.relative.parent().filter(|parent| !parent.as_os_str().is_empty());
    Ok((parent.unwrap_or(Path::new(".")).to_owned(), PathBuf::from(name)))
}

fn fill(dir: &Dir, name: &Path, bytes: &[u8], permissions: Option<Permissions>) -> io::Result<()> {
    let mut file = dir.open_with(name, OpenOptions::new().write(true).create_new(true))?;
    if let Some(permissions) = permissions {
        file.set_permissions(permissions)?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}
