//! `read_file`: a whole file, a range of bytes, or a range of lines.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use base64::{Engine, engine::general_purpose::STANDARD};
use cap_std::fs::File;
use portico_kit::tool::{Answer, ToolError};
use rmcp::model::{ContentBlock, ResourceContents};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    area::{Area, Target},
    open::{media_type, regular},
};

/// Bytes looked through to find a line; lines further on need a byte range.
const MAX_SCAN: u64 = 1 << 30;

/// What to read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadRequest {
    /// Path of a file.
    path: String,
    /// First byte, from 0. Not together with lines.
    offset: Option<u64>,
    /// Number of bytes.
    length: Option<u64>,
    /// First line, from 1. Not together with bytes.
    start_line: Option<u64>,
    /// Last line, included.
    end_line: Option<u64>,
}

/// What was read.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Reading {
    /// Absolute path.
    path: String,
    /// Size of the whole file in bytes.
    size: u64,
    /// Media type by the name's ending.
    media_type: Option<String>,
    /// utf-8, or base64 for what is not text: then the bytes are in the embedded resource.
    encoding: Encoding,
    /// The text; missing for what is not text.
    text: Option<String>,
    /// First byte that was read.
    offset: u64,
    /// Bytes that were read.
    length: u64,
    /// First line, where lines were asked for.
    start_line: Option<u64>,
    /// Last line, where lines were asked for.
    end_line: Option<u64>,
    /// Whether the file goes on behind what was read.
    more: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
enum Encoding {
    #[serde(rename = "utf-8")]
    Utf8,
    #[serde(rename = "base64")]
    Base64,
}

/// Bytes out of a file, and where they stood.
pub(crate) struct Piece {
    pub(crate) bytes: Vec<u8>,
    offset: u64,
    lines: Option<(u64, u64)>,
    size: u64,
    more: bool,
}

pub(crate) fn read_file(area: &Area, request: &ReadRequest) -> Result<Answer, ToolError> {
    let lines = request.start_line.is_some() || request.end_line.is_some();
    if lines && (request.offset.is_some() || request.length.is_some()) {
        return Err(ToolError::invalid("start_line", "cannot be combined with offset or length"));
    }
    let target = area.find(&request.path)?;
    let piece = if lines { by_lines(area, &target, request)? } else { by_bytes(area, &target, request)? };
    answer(&target, &piece)
}

/// The whole file, within the limit.
pub(crate) fn whole(area: &Area, target: &Target) -> Result<Piece, ToolError> {
    let (file, metadata) = regular(target)?;
    let size = metadata.len();
    if size > area.max_bytes {
        return Err(ToolError::Refused(format!(
            "{} has {size} bytes, more than the limit of {}; read a part with offset and length, or \
             start_line and end_line",
            target.shown(),
            area.max_bytes
        )));
    }
    piece(target, file, 0, (area.max_bytes, size))
}

fn by_bytes(area: &Area, target: &Target, request: &ReadRequest) -> Result<Piece, ToolError> {
    if request.offset.is_none() && request.length.is_none() {
        return whole(area, target);
    }
    let length = request.length.unwrap_or(area.max_bytes);
    if length == 0 || length > area.max_bytes {
        return Err(ToolError::invalid("length", format!("must be from 1 to {}", area.max_bytes)));
    }
    let (mut file, metadata) = regular(target)?;
    let (offset, size) = (request.offset.unwrap_or(0), metadata.len());
    if offset > size {
        return Err(ToolError::invalid("offset", format!("is behind the end; the file has {size} bytes")));
    }
    file.seek(SeekFrom::Start(offset)).map_err(|error| target.failed("read", &error))?;
    piece(target, file, offset, (length, size))
}

fn piece(target: &Target, file: File, offset: u64, (length, size): (u64, u64)) -> Result<Piece, ToolError> {
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(|error| target.failed("read", &error))?;
    let more = offset + (bytes.len() as u64) < size;
    let mut piece = Piece { bytes, offset, lines: None, size, more };
    trim_to_characters(&mut piece);
    Ok(piece)
}

/// A range of bytes may cut a character at either end; the cut parts are left out.
fn trim_to_characters(piece: &mut Piece) {
    let is_rest = |byte: &u8| byte & 0xC0 == 0x80;
    let front = piece.bytes.iter().take(3).take_while(|byte| is_rest(byte)).count();
    let front = if piece.offset > 0 { front } else { 0 };
    let end = match std::str::from_utf8(&piece.bytes[front..]) {
        Ok(_) => piece.bytes.len(),
        Err(error) if piece.more && error.error_len().is_none() => front + error.valid_up_to(),
        Err(_) => return,
    };
    // A range within a single character: its bytes are worth more than no text.
    if end > front {
        piece.bytes.truncate(end);
        piece.bytes.drain(..front);
        piece.offset += front as u64;
    }
}

fn by_lines(area: &Area, target: &Target, request: &ReadRequest) -> Result<Piece, ToolError> {
    let first = request.start_line.unwrap_or(1);
    let last = request.end_line.unwrap_or(u64::MAX);
    if first == 0 || last < first {
        return Err(ToolError::invalid("start_line", "must be at least 1 and not behind end_line"));
    }
    let (file, metadata) = regular(target)?;
    let mut lines = Lines { reader: BufReader::new(file), line: 1, at: 0 };
    let failed = |error: std::io::Error| target.failed("read", &error);
    lines.skip_to(first).map_err(failed)?;
    if lines.line < first {
        let problem = format!("is behind the end or too far in; the file has {} bytes", metadata.len());
        return Err(ToolError::invalid("start_line", problem));
    }
    let offset = lines.at;
    let bytes = lines.collect(last, area.max_bytes).map_err(failed)?;
    let size = metadata.len();
    if bytes.is_empty() && offset < size {
        return Err(ToolError::Refused(format!(
            "line {first} of {} is longer than the limit of {} bytes; use offset and length",
            target.shown(),
            area.max_bytes
        )));
    }
    let more = offset + (bytes.len() as u64) < size;
    let end = if bytes.ends_with(b"\n") { lines.line - 1 } else { lines.line };
    Ok(Piece { bytes, offset, lines: Some((first, end)), size, more })
}

struct Lines {
    reader: BufReader<File>,
    /// The line that `at` stands in.
    line: u64,
    at: u64,
}

impl Lines {
    fn skip_to(&mut self, first: u64) -> std::io::Result<()> {
        while self.line < first && self.at < MAX_SCAN {
            let skipped = self.reader.skip_until(b'\n')? as u64;
            if skipped == 0 {
                return Ok(());
            }
            self.at += skipped;
            self.line += 1;
        }
        Ok(())
    }

    /// Whole lines up to `last`, as many as fit.
    fn collect(&mut self, last: u64, max: u64) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while self.line <= last {
            let room = max - bytes.len() as u64;
            let before = bytes.len();
            let read = self.reader.by_ref().take(room + 1).read_until(b'\n', &mut bytes)? as u64;
            if read > room {
                bytes.truncate(before);
                return Ok(bytes);
            }
            if !bytes.ends_with(b"\n") {
                return Ok(bytes);
            }
            self.line += 1;
        }
        Ok(bytes)
    }
}

fn answer(target: &Target, piece: &Piece) -> Result<Answer, ToolError> {
    let length = piece.bytes.len() as u64;
    let text = as_text(&piece.bytes);
    let media_type = media_type(&target.relative);
    let reading = Reading {
        path: target.shown(),
        size: piece.size,
        media_type: media_type.map(str::to_owned),
        encoding: if text.is_some() { Encoding::Utf8 } else { Encoding::Base64 },
        text: text.map(str::to_owned),
        offset: piece.offset,
        length,
        start_line: piece.lines.map(|(first, _)| first),
        end_line: piece.lines.map(|(_, last)| last),
        more: piece.more,
    };
    if let Some(text) = text {
        return Answer::new(text, &reading);
    }
    let said = format!("{} is not text: {length} bytes follow as base64", reading.path);
    let blob = contents(target, &piece.bytes);
    Ok(Answer::new(said, &reading)?.with_block(ContentBlock::resource(blob)))
}

/// Text is UTF-8 without NUL.
fn as_text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// The bytes as a resource: text where they are text.
pub(crate) fn contents(target: &Target, bytes: &[u8]) -> ResourceContents {
    let kind = media_type(&target.relative);
    match as_text(bytes) {
        Some(text) => ResourceContents::text(text, target.uri()).with_mime_type(kind.unwrap_or("text/plain")),
        None => ResourceContents::blob(STANDARD.encode(bytes), target.uri())
            .with_mime_type(kind.unwrap_or("application/octet-stream")),
    }
}
