//! Opening a regular file, and nothing else, without ever waiting for one.

use std::path::Path;

use cap_std::fs::{File, FileType, Metadata, OpenOptions, OpenOptionsExt};
use nix::fcntl::OFlag;
use portico_kit::tool::ToolError;

use crate::area::Target;

/// Opens the file for reading; its metadata is that of what was opened.
pub(crate) fn regular(target: &Target) -> Result<(File, Metadata), ToolError> {
    let mut options = OpenOptions::new();
    // Opening a pipe that nobody writes to would otherwise never return.
    options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let opened = target.place.dir.open_with(&target.relative, &options);
    let file = opened.map_err(|error| refused(target, &error))?;
    let metadata = file.metadata().map_err(|error| target.failed("read", &error))?;
    if metadata.is_file() {
        return Ok((file, metadata));
    }
    Err(not_a_file(target, metadata.file_type()))
}

/// Some special files (sockets, devices without a driver) cannot even be opened: say what they are.
fn refused(target: &Target, error: &std::io::Error) -> ToolError {
    match target.place.dir.metadata(&target.relative) {
        Ok(metadata) if !metadata.is_file() => not_a_file(target, metadata.file_type()),
        _ => target.failed("read", error),
    }
}

fn not_a_file(target: &Target, kind: FileType) -> ToolError {
    let mend = if kind.is_dir() { "; use list_directory" } else { "; only regular files are served" };
    ToolError::Refused(format!("{} is a {}{mend}", target.shown(), kind_name(kind)))
}

/// The name of a kind of file, as answers show it.
pub(crate) fn kind_name(kind: FileType) -> &'static str {
    use cap_std::fs::FileTypeExt;
    if kind.is_file() {
        "file"
    } else if kind.is_dir() {
        "directory"
    } else if kind.is_symlink() {
        "symlink"
    } else if kind.is_fifo() {
        "pipe"
    } else if kind.is_socket() {
        "socket"
    } else {
        "device"
    }
}

/// The media type that the name's ending stands for.
pub(crate) fn media_type(path: &Path) -> Option<&'static str> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match ending.as_str() {
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "js" | "mjs" => "text/javascript",
        "json" => "application/json",
        "yaml" | "yml" => "application/yaml",
        "toml" => "application/toml",
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "webp" => "image/webp",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "wasm" => "application/wasm",
        _ => return None,
    })
}
