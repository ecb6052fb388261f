//! `search_files`: by name and by content, bounded in results, entries, depth and time.

use std::{
    io::Read,
    path::Path,
    time::{Duration, Instant},
};

use globset::{GlobBuilder, GlobMatcher};
use portico_kit::tool::{Answer, ToolError};
use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    area::{Area, Target},
    open::regular,
};

const MAX_RESULTS: usize = 1_000;
const MAX_ENTRIES: usize = 200_000;
const MAX_DEPTH: usize = 64;
const MAX_PATTERN: usize = 1_000;
const TIME: Duration = Duration::from_secs(10);
/// Longest line shown, in characters.
const MAX_LINE: usize = 300;
/// Memory of a compiled expression, in bytes.
const REGEX_SIZE: usize = 1 << 20;

/// What to look for. At least one of name and content.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchRequest {
    /// Directory to search; all allowed directories where it is missing.
    path: Option<String>,
    /// Glob over the path below the directory, such as `**/*.md`; a pattern without `/` matches the name alone.
    name: Option<String>,
    /// Regular expression over each line.
    content: Option<String>,
    /// Whether letters match in either case.
    #[serde(default)]
    ignore_case: bool,
    /// Matches to return, 1 to 1000.
    #[serde(default = "default_results")]
    #[schemars(range(min = 1, max = 1000))]
    max_results: usize,
}

fn default_results() -> usize {
    100
}

/// One match: a file, or a line of it.
#[derive(Debug, Serialize, JsonSchema)]
struct Match {
    /// Absolute path.
    path: String,
    /// Line, from 1; only where content was asked for.
    line: Option<u64>,
    /// The line, shortened to 300 characters.
    text: Option<String>,
}

/// What ended the search before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Stop {
    Results,
    Entries,
    Time,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Found {
    matches: Vec<Match>,
    /// Files and directories looked at.
    entries_seen: usize,
    /// Files not searched for content: too large, not text, or not readable.
    files_skipped: usize,
    /// Why the search ended early; missing where it saw everything.
    stopped_by: Option<Stop>,
}

struct Search {
    name: Option<(GlobMatcher, bool)>,
    content: Option<Regex>,
    max_results: usize,
    max_bytes: u64,
    until: Instant,
    found: Found,
}

pub(crate) fn search_files(area: &Area, request: &SearchRequest) -> Result<Answer, ToolError> {
    let mut search = Search::new(area, request)?;
    for start in starts(area, request)? {
        search.walk(&start)?;
    }
    let found = search.found;
    let text = describe(&found);
    Answer::new(text, &found)
}

fn starts(area: &Area, request: &SearchRequest) -> Result<Vec<Target>, ToolError> {
    match &request.path {
        Some(path) => Ok(vec![area.find(path)?]),
        None => area.places.iter().map(|place| area.find(&place.real.to_string_lossy())).collect(),
    }
}

fn describe(found: &Found) -> String {
    let mut lines: Vec<String> = found
        .matches
        .iter()
        .map(|hit| match (hit.line, &hit.text) {
            (Some(line), Some(text)) => format!("{}:{line}: {text}", hit.path),
            _ => hit.path.clone(),
        })
        .collect();
    lines.insert(0, format!("{} matches", found.matches.len()));
    if let Some(stop) = found.stopped_by {
        lines.push(format!("stopped early by the limit on {stop:?}; narrow the search").to_lowercase());
    }
    lines.join("\n")
}

impl Search {
    fn new(area: &Area, request: &SearchRequest) -> Result<Self, ToolError> {
        if request.name.is_none() && request.content.is_none() {
            return Err(ToolError::invalid("name", "give name, content or both"));
        }
        if !(1..=MAX_RESULTS).contains(&request.max_results) {
            return Err(ToolError::invalid("max_results", format!("must be from 1 to {MAX_RESULTS}")));
        }
        let name = request.name.as_deref().map(|name| glob(name, request.ignore_case)).transpose()?;
        let content = request.content.as_deref().map(|text| regex(text, request.ignore_case)).transpose()?;
        Ok(Self {
            name,
            content,
            max_results: request.max_results,
            max_bytes: area.max_bytes,
            until: Instant::now() + TIME,
            found: Found { matches: Vec::new(), entries_seen: 0, files_skipped: 0, stopped_by: None },
        })
    }

    fn walk(&mut self, start: &Target) -> Result<(), ToolError> {
        start.place.dir.open_dir(&start.relative).map_err(|error| start.failed("search", &error))?;
        let mut open = vec![(start.clone(), 0)];
        while let Some((directory, depth)) = open.pop() {
            let mut below = self.visit(start, &directory);
            if self.found.stopped_by.is_some() {
                return Ok(());
            }
            if depth < MAX_DEPTH {
                below.reverse();
                open.extend(below.into_iter().map(|target| (target, depth + 1)));
            }
        }
        Ok(())
    }

    /// Looks at the entries of one directory and returns the directories in it. Links are not followed.
    fn visit(&mut self, start: &Target, directory: &Target) -> Vec<Target> {
        let mut below = Vec::new();
        let Ok(dir) = directory.place.dir.open_dir(&directory.relative) else { return below };
        let Ok(entries) = dir.entries() else { return below };
        let mut entries: Vec<_> =
            entries.flatten().take(MAX_ENTRIES.saturating_sub(self.found.entries_seen) + 1).collect();
        entries.sort_by_cached_key(cap_std::fs::DirEntry::file_name);
        for entry in entries {
            if self.over() {
                return below;
            }
            self.found.entries_seen += 1;
            let target = directory.child(Path::new(&entry.file_name()));
            let Ok(kind) = entry.file_type() else { continue };
            if self.is_named(start, &target) && (kind.is_file() || self.content.is_none()) {
                self.look(&target);
            }
            if kind.is_dir() {
                below.push(target);
            }
        }
        below
    }

    fn over(&mut self) -> bool {
        let stop = if self.found.matches.len() >= self.max_results {
            Some(Stop::Results)
        } else if self.found.entries_seen >= MAX_ENTRIES {
            Some(Stop::Entries)
        } else if Instant::now() >= self.until {
            Some(Stop::Time)
        } else {
            None
        };
        self.found.stopped_by = stop.or(self.found.stopped_by);
        stop.is_some()
    }

    fn is_named(&self, start: &Target, target: &Target) -> bool {
        let Some((glob, name_only)) = &self.name else { return true };
        let below = target.relative.strip_prefix(&start.relative).unwrap_or(&target.relative);
        let matched = if *name_only { below.file_name().map(Path::new) } else { Some(below) };
        matched.is_some_and(|path| glob.is_match(path))
    }

    fn look(&mut self, target: &Target) {
        let Some(content) = self.content.clone() else {
            self.found.matches.push(Match { path: target.shown(), line: None, text: None });
            return;
        };
        let Some(text) = self.text_of(target) else {
            self.found.files_skipped += 1;
            return;
        };
        let hits = text.lines().zip(1..).filter(|(line, _)| content.is_match(line));
        for (line, number) in hits.take(self.max_results - self.found.matches.len()) {
            let shown = line.chars().take(MAX_LINE).collect();
            self.found.matches.push(Match { path: target.shown(), line: Some(number), text: Some(shown) });
        }
    }

    fn text_of(&self, target: &Target) -> Option<String> {
        let (file, metadata) = regular(target).ok()?;
        if metadata.len() > self.max_bytes {
            return None;
        }
        let mut text = String::new();
        file.take(self.max_bytes).read_to_string(&mut text).ok()?;
        (!text.contains('\0')).then_some(text)
    }
}

/// The matcher, and whether it looks at the name alone.
fn glob(pattern: &str, ignore_case: bool) -> Result<(GlobMatcher, bool), ToolError> {
    bounded("name", pattern)?;
    let glob = GlobBuilder::new(pattern)
        .literal_separator(true)
        .case_insensitive(ignore_case)
        .build()
        .map_err(|error| ToolError::invalid("name", error.to_string()))?;
    Ok((glob.compile_matcher(), !pattern.contains('/')))
}

fn regex(pattern: &str, ignore_case: bool) -> Result<Regex, ToolError> {
    bounded("content", pattern)?;
    RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .size_limit(REGEX_SIZE)
        .build()
        .map_err(|error| ToolError::invalid("content", error.to_string()))
}

fn bounded(field: &str, pattern: &str) -> Result<(), ToolError> {
    if pattern.is_empty() || pattern.len() > MAX_PATTERN {
        return Err(ToolError::invalid(field, format!("must have 1 to {MAX_PATTERN} bytes")));
    }
    Ok(())
}
