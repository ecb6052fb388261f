//! `edit_file`: exact replacements, shown as a diff, written only when all of them fit.

use std::sync::PoisonError;

use portico_kit::tool::{Answer, ToolError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use similar::TextDiff;

use crate::{
    area::Area,
    read,
    write::{replace, within},
};

const MAX_EDITS: usize = 100;
/// Longest diff shown, in bytes.
const MAX_DIFF: usize = 64 * 1024;

/// What to replace.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EditRequest {
    /// Path of a text file.
    path: String,
    /// Replacements, made one after another; 1 to 100.
    #[schemars(length(min = 1, max = 100))]
    edits: Vec<Edit>,
    /// Whether to show the diff and leave the file as it is.
    #[serde(default)]
    dry_run: bool,
}

/// One replacement.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// Text to find, exactly as it stands in the file.
    old_text: String,
    /// Text to put there.
    new_text: String,
    /// Whether every occurrence is replaced; otherwise the text must occur exactly once.
    #[serde(default)]
    replace_all: bool,
}

/// What changed, or would.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Edited {
    /// Absolute path.
    path: String,
    /// Whether the file was written.
    written: bool,
    /// Replacements made.
    replacements: usize,
    /// Unified diff, shortened beyond 64 KiB.
    diff: String,
}

pub(crate) fn edit_file(area: &Area, request: &EditRequest) -> Result<Answer, ToolError> {
    if request.edits.is_empty() || request.edits.len() > MAX_EDITS {
        return Err(ToolError::invalid("edits", format!("must have 1 to {MAX_EDITS} entries")));
    }
    let target = area.find(&request.path)?;
    let _writing = area.writing.lock().unwrap_or_else(PoisonError::into_inner);
    let old = String::from_utf8(read::whole(area, &target)?.bytes)
        .map_err(|_| ToolError::Refused(format!("{} is not UTF-8 text; use write_file", target.shown())))?;
    let (new, replacements) = apply(&old, &request.edits)?;
    within(area, new.len() as u64)?;
    let written = !request.dry_run && new != old;
    if written {
        replace(&target, new.as_bytes())?;
    }
    let edited = Edited { path: target.shown(), written, replacements, diff: diff(&old, &new) };
    let done = if written { "edited" } else { "unchanged" };
    Answer::new(format!("{done} {}\n{}", edited.path, edited.diff), &edited)
}

fn apply(old: &str, edits: &[Edit]) -> Result<(String, usize), ToolError> {
    let mut text = old.to_owned();
    let mut replacements = 0;
    for (index, edit) in edits.iter().enumerate() {
        let field = format!("edits[{index}].old_text");
        if edit.old_text.is_empty() {
            return Err(ToolError::invalid(field, "is empty"));
        }
        let count = text.matches(&edit.old_text).count();
        match count {
            0 => return Err(ToolError::invalid(field, "does not occur in the file")),
            1 => {}
            _ if edit.replace_all => {}
            _ => {
                let problem =
                    format!("occurs {count} times; give more of the text around it, or set replace_all");
                return Err(ToolError::invalid(field, problem));
            }
        }
        text = text.replace(&edit.old_text, &edit.new_text);
        replacements += count;
    }
    Ok((text, replacements))
}

fn diff(old: &str, new: &str) -> String {
    let mut diff = TextDiff::from_lines(old, new).unified_diff().context_radius(3).to_string();
    if diff.len() > MAX_DIFF {
        let end = diff.floor_char_boundary(MAX_DIFF);
        diff.truncate(end);
        diff.push_str("\n(shortened)\n");
    }
    diff
}
