//! One list of a view: its definitions as kept pieces, and where each leads.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Bytes, BytesMut};

use super::hints::Hints;
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
    /// The name before any prefix, where it is not what the server calls it.
    pub(crate) renamed: Option<String>,
    /// What its effects are.
    pub(crate) hints: Hints,
}

impl Route {
    /// To something of `backend` that stands in no list and changes nothing by being asked for.
    pub(crate) fn to(backend: Arc<Backend>, original: String) -> Self {
        Self { backend, original, mirrored: Vec::new(), renamed: None, hints: Hints::READING }
    }

    /// The name before any prefix.
    pub(crate) fn plain_name(&self) -> &str {
        self.renamed.as_deref().unwrap_or(&self.original)
    }
}

/// One definition under its exposed key.
pub(crate) struct Entry<'a> {
    pub(crate) exposed: String,
    pub(crate) definition: &'a Definition,
    /// What clients are told in place of what the server says.
    pub(crate) change: Option<&'a ToolOverride>,
    pub(crate) backend: &'a Arc<Backend>,
    /// What the URIs of its pages become, where that is something else.
    pub(crate) pages: Vec<Renamed>,
}

/// Where in a definition a URI stands, as a string, and what it becomes.
pub(crate) type Renamed = (Range<usize>, String);

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

/// A definition as clients get it, with the comma that follows it in a list.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    text: Bytes,
    /// None of a tool that the gateway itself answers.
    route: Option<Arc<Route>>,
    template: Option<Template>,
}

impl Piece {
    /// Where it leads.
    pub(crate) fn route(&self) -> Option<&Route> {
        self.route.as_deref()
    }

    /// The definition without the comma.
    pub(crate) fn definition(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.text[..self.text.len().saturating_sub(1)])
    }
}

/// The pieces that views of one snapshot share: one a definition and exposed key.
#[derive(Debug, Default)]
pub(crate) struct Pieces(HashMap<PieceKey, Piece>);

/// The definition, its exposed key, and what its pages are called.
type PieceKey = (usize, String, Vec<String>);

impl Pieces {
    fn key(entry: &Entry<'_>) -> PieceKey {
        let pages = entry.pages.iter().map(|(_, uri)| uri.clone()).collect();
        (std::ptr::from_ref(entry.definition).addr(), entry.exposed.clone(), pages)
    }
}

/// One list.
#[derive(Debug, Default)]
pub(crate) struct Kind {
    tag: &'static str,
    names: Vec<String>,
    pieces: Vec<Piece>,
    /// All pieces in a row and where each begins, if they were written in a row: any page is then a slice.
    whole: Option<(Bytes, Vec<usize>)>,
    routes: HashMap<String, usize>,
    /// Which pieces have a template.
    templates: Vec<usize>,
}

impl Kind {
    /// The list of `entries`, sorted by exposed key, from the pieces that are there already and new ones.
    pub(crate) fn build(family: Family, mut entries: Vec<Entry<'_>>, pieces: &mut Pieces) -> Self {
        entries.sort_by(|a, b| a.exposed.cmp(&b.exposed));
        let fresh = write(family, &entries, pieces);
        let mut kind = Self { tag: family.member(), ..Self::default() };
        for (index, entry) in entries.into_iter().enumerate() {
            if let Some(piece) = pieces.0.get(&Pieces::key(&entry)) {
                if piece.template.is_some() {
                    kind.templates.push(index);
                }
                kind.pieces.push(piece.clone());
                kind.routes.insert(entry.exposed.clone(), index);
                kind.names.push(entry.exposed);
            }
        }
        let (text, starts) = fresh;
        kind.whole = (starts.len() == kind.names.len() + 1).then_some((text, starts));
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
        let items = if from < to { self.joined(from..to) } else { Bytes::new() };
        Ok(Page { items, next: more.then(|| self.write_cursor(&self.names[to - 1])) })
    }

    /// Definitions in a row without the last one's comma.
    fn joined(&self, range: Range<usize>) -> Bytes {
        if let Some((text, starts)) = &self.whole {
            return text.slice(starts[range.start]..starts[range.end] - 1);
        }
        let pieces = &self.pieces[range];
        let mut all = BytesMut::with_capacity(pieces.iter().map(|piece| piece.text.len()).sum());
        for piece in pieces {
            all.extend_from_slice(&piece.text);
        }
        all.truncate(all.len().saturating_sub(1));
        all.freeze()
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
        self.routes.get(exposed).and_then(|index| self.pieces.get(*index)?.route.as_ref())
    }

    /// Each exposed key and where it leads.
    pub(super) fn routes(&self) -> impl Iterator<Item = (&str, &Route)> {
        let routes = self.names.iter().zip(&self.pieces);
        routes.filter_map(|(name, piece)| Some((name.as_str(), piece.route()?)))
    }

    /// Where the first template that `uri` fits leads.
    pub(crate) fn template(&self, uri: &str) -> Option<&Arc<Route>> {
        let matches = |piece: &&Piece| piece.template.as_ref().is_some_and(|template| template.matches(uri));
        let pieces = self.templates.iter().filter_map(|index| self.pieces.get(*index));
        pieces.filter(matches).find_map(|piece| piece.route.as_ref())
    }

    /// The part of the list that `wanted` takes, by exposed name and definition, and the gateway's own tools.
    pub(crate) fn part(&self, wanted: impl Fn(&str, &Piece) -> bool, own: &[(&str, &'static str)]) -> Self {
        let taken = self.names.iter().zip(&self.pieces).filter(|(name, piece)| wanted(name, piece));
        let mut pieces: Vec<(String, Piece)> =
            taken.map(|(name, piece)| (name.clone(), piece.clone())).collect();
        for (name, text) in own {
            pieces.retain(|(taken, _)| taken != name);
            pieces.push((
                (*name).to_owned(),
                Piece { text: Bytes::from_static(text.as_bytes()), route: None, template: None },
            ));
        }
        pieces.sort_by(|one, other| one.0.cmp(&other.0));
        let (names, pieces): (Vec<String>, Vec<Piece>) = pieces.into_iter().unzip();
        let routes = names.iter().cloned().zip(0..).collect();
        let templates = (0..pieces.len()).filter(|index| pieces[*index].template.is_some()).collect();
        Self { tag: self.tag, names, pieces, whole: None, routes, templates }
    }

    /// Each exposed name and its definition.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        self.names.iter().map(String::as_str).zip(self.pieces.iter().map(Piece::definition))
    }

    /// The definition at `index`.
    pub(crate) fn definition(&self, index: usize) -> Option<Bytes> {
        let text = &self.pieces.get(index)?.text;
        Some(text.slice(..text.len().saturating_sub(1)))
    }

    /// Bytes of each server's definitions, by the server's number in this process.
    pub(crate) fn sizes(&self) -> HashMap<u64, usize> {
        let mut sizes = HashMap::new();
        for (route, text) in self.pieces.iter().filter_map(|piece| Some((piece.route.as_ref()?, &piece.text)))
        {
            *sizes.entry(route.backend.id()).or_default() += text.len();
        }
        sizes
    }

    /// The servers whose definitions it holds, one number a definition.
    pub(crate) fn servers(&self) -> impl Iterator<Item = u64> {
        self.pieces.iter().filter_map(|piece| piece.route().map(|route| route.backend.id()))
    }

    /// Whether a client would see the same list.
    pub(crate) fn same_list(&self, other: &Self) -> bool {
        self.texts().eq(other.texts())
    }

    fn texts(&self) -> impl Iterator<Item = &Bytes> {
        self.pieces.iter().map(|piece| &piece.text)
    }
}

/// Writes the pieces that are missing in a row; gives them joined, and where each begins, with one more number than there
/// are.
fn write(family: Family, entries: &[Entry<'_>], pieces: &mut Pieces) -> (Bytes, Vec<usize>) {
    let (mut text, mut starts, mut missing) = (Vec::new(), vec![0], Vec::new());
    for entry in entries {
        let key = Pieces::key(entry);
        if pieces.0.contains_key(&key) {
            continue;
        }
        entry.definition.write(&entry.exposed, (entry.change, &entry.pages), &mut text);
        text.push(b',');
        starts.push(text.len());
        missing.push((key, entry));
    }
    let text = Bytes::from(text);
    for ((key, entry), bounds) in missing.into_iter().zip(starts.windows(2)) {
        let route = Route {
            backend: Arc::clone(entry.backend),
            original: entry.definition.key.clone(),
            mirrored: entry.definition.mirrored.clone(),
            renamed: entry.change.and_then(|change| change.rename.clone()),
            hints: entry.definition.hints(entry.change),
        };
        let template = (family == Family::Templates).then(|| Template::parse(&entry.exposed)).flatten();
        let piece = Piece { text: text.slice(bounds[0]..bounds[1]), route: Some(Arc::new(route)), template };
        pieces.0.insert(key, piece);
    }
    (text, starts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Server, ServerKey};

    fn backend() -> Arc<Backend> {
        let key = ServerKey { namespace: "shop".into(), name: "files".into() };
        Arc::new(Backend::new(&Server::new(key, Vec::new())))
    }

    fn entry<'a>(exposed: &str, definition: &'a Definition, backend: &'a Arc<Backend>) -> Entry<'a> {
        Entry { exposed: exposed.to_owned(), definition, change: None, backend, pages: Vec::new() }
    }

    #[test]
    fn views_share_the_pieces_of_what_they_show_under_one_name() {
        let tool = |name: &str| {
            Definition::parse(Family::Tools, &format!(r#"{{"name":"{name}","inputSchema":{{}}}}"#)).unwrap()
        };
        let (backend, tools) = (backend(), ["a", "b", "c"].map(tool));
        let build = |names: &[(&str, usize)], pieces: &mut Pieces| {
            let entries = names.iter().map(|(name, index)| entry(name, &tools[*index], &backend)).collect();
            Kind::build(Family::Tools, entries, pieces)
        };
        let mut pieces = Pieces::default();
        let all = build(&[("c", 2), ("a", 0), ("x__b", 1)], &mut pieces);
        let some = build(&[("a", 0), ("b", 1), ("c", 2)], &mut pieces);
        assert!(all.whole.is_some() && some.whole.is_none());
        let at = |kind: &Kind, index: usize| kind.pieces[index].text.as_ptr();
        assert_eq!((at(&all, 0), at(&all, 1)), (at(&some, 0), at(&some, 2)));
        assert_eq!(pieces.0.len(), 4, "one piece a tool and name");
        let items = |kind: &Kind, size| kind.page(None, size).unwrap().items;
        let b = r#"{"name":"b","inputSchema":{}}"#;
        assert_eq!(items(&some, 3), format!("{},{b},{}", b.replace("\"b", "\"a"), b.replace("\"b", "\"c")));
        assert_eq!(
            items(&all, 9),
            format!("{},{},{}", b.replace("\"b", "\"a"), b.replace("\"b", "\"c"), b.replace("\"b", "\"x__b"))
        );
        assert_eq!(
            (items(&some, 1), items(&all, 1)),
            (b.replace("\"b", "\"a").into(), b.replace("\"b", "\"a").into())
        );
        assert!(some.same_list(&build(&[("a", 0), ("b", 1), ("c", 2)], &mut Pieces::default())));
        assert!(!some.same_list(&all));
    }
}
