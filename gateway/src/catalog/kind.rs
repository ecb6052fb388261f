//! One list of the snapshot: its definitions as joined bytes, and where each leads.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::listing::{Definition, Family, Mirror};
use super::uri::Template;
use crate::backend::Backend;
use crate::source::ToolOverride;

/// Where a name leads.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// The server.
    pub(crate) backend: Arc<Backend>,
    /// What the server calls it.
    pub(crate) original: String,
    /// The arguments a modern server wants repeated in headers.
    pub(crate) mirrored: Vec<Mirror>,
}

/// One definition under its exposed key.
pub(crate) struct Entry<'a> {
    pub(crate) exposed: String,
    pub(crate) definition: &'a Definition,
    /// What clients are told in place of what the server says.
    pub(crate) change: Option<&'a ToolOverride>,
    pub(crate) backend: &'a Arc<Backend>,
}

/// A cursor that this gateway did not make.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one this list gave; start again without a cursor")]
pub(crate) struct BadCursor;

/// Some definitions in a row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The definitions, joined with commas.
    pub(crate) items: Bytes,
    /// Asks for what follows.
    pub(crate) next: Option<String>,
}

/// One list.
#[derive(Debug, Default)]
pub(crate) struct Kind {
    tag: &'static str,
    names: Vec<String>,
    /// Where each definition begins in `joined`; one more than there are, so that any run of definitions is a slice.
    starts: Vec<usize>,
    joined: Bytes,
    routes: HashMap<String, Arc<Route>>,
    templates: Vec<(Template, Arc<Route>)>,
}

impl Kind {
    /// The list of `entries`, sorted by exposed key.
    pub(crate) fn build(family: Family, mut entries: Vec<Entry<'_>>) -> Self {
        entries.sort_by(|a, b| a.exposed.cmp(&b.exposed));
        let mut kind = Self { tag: family.member(), ..Self::default() };
        let mut joined = Vec::new();
        for Entry { exposed, definition, change, backend } in entries {
            kind.starts.push(joined.len());
            definition.write(&exposed, change, &mut joined);
            joined.push(b',');
            let route = Arc::new(Route {
                backend: Arc::clone(backend),
                original: definition.key.clone(),
                mirrored: definition.mirrored.clone(),
            });
            if family == Family::Templates
                && let Some(template) = Template::parse(&exposed)
            {
                kind.templates.push((template, Arc::clone(&route)));
            }
            kind.routes.insert(exposed.clone(), route);
            kind.names.push(exposed);
        }
        kind.starts.push(joined.len());
        kind.joined = joined.into();
        kind
    }

    /// The page after `cursor`, of at most `size` definitions. A cursor names the last definition before the page, so it
    /// stays right when definitions come and go between two pages.
    pub(crate) fn page(&self, cursor: Option<&str>, size: usize) -> Result<Page, BadCursor> {
        let from = match cursor {
            None => 0,
            Some(cursor) => {
                let last = self.read_cursor(cursor)?;
                self.names.partition_point(|name| *name <= last)
            }
        };
        let to = self.names.len().min(from + size.max(1));
        let more = to < self.names.len();
        let items = if from < to { self.slice(from, to) } else { Bytes::new() };
        Ok(Page { items, next: more.then(|| self.write_cursor(&self.names[to - 1])) })
    }

    fn slice(&self, from: usize, to: usize) -> Bytes {
        self.joined.slice(self.starts[from]..self.starts[to] - 1)
    }

    fn write_cursor(&self, last: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}:{last}", self.tag))
    }

    fn read_cursor(&self, cursor: &str) -> Result<String, BadCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| BadCursor)?;
        let text = String::from_utf8(bytes).map_err(|_| BadCursor)?;
        let last = text.strip_prefix(self.tag).and_then(|rest| rest.strip_prefix(':')).ok_or(BadCursor)?;
        Ok(last.to_owned())
    }

    /// Where `exposed` leads.
    pub(crate) fn route(&self, exposed: &str) -> Option<&Arc<Route>> {
        self.routes.get(exposed)
    }

    /// Where the first template that `uri` fits leads.
    pub(crate) fn template(&self, uri: &str) -> Option<&Arc<Route>> {
        self.templates.iter().find(|(template, _)| template.matches(uri)).map(|(_, route)| route)
    }

    /// Whether a client would see the same list.
    pub(crate) fn same_list(&self, other: &Self) -> bool {
        self.joined == other.joined
    }
}
