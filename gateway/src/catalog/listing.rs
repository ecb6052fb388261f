//! What one server offers: its definitions as it wrote them.

use std::borrow::Cow;
use std::ops::Range;

use super::canonical::canonical;
use super::hints::Hints;
use super::kind::Renamed;
use super::overrides;
use crate::envelope::{Edits, Object, check_depth, quoted, text};
use crate::source::ToolOverride;
use crate::version::Era;

/// The four lists a server gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    Tools,
    Resources,
    Templates,
    Prompts,
}

impl Family {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Tools, Self::Resources, Self::Templates, Self::Prompts];

    /// The method that lists it.
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
            Self::Prompts => "prompts/list",
        }
    }

    /// The member of the result that holds the list.
    pub(crate) fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
            Self::Prompts => "prompts",
        }
    }

    /// The capability under which a server declares it.
    pub(crate) fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources | Self::Templates => "resources",
            Self::Prompts => "prompts",
        }
    }

    /// The member of a definition that names it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }
}

/// Why a definition is left out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Not an object.
    #[error("it is not a JSON object: {0}")]
    Json(#[from] serde_json::Error),
    /// Nested too deep.
    #[error("it is nested deeper than {MAX_DEPTH} levels")]
    Depth,
    /// No usable name.
    #[error("`{0}` must be a string of 1 to {MAX_KEY} bytes")]
    Key(&'static str),
    /// A tool without the schema of its arguments.
    #[error("`inputSchema` must be an object")]
    InputSchema,
    /// A resource or template without a name.
    #[error("`name` must be a string")]
    Name,
    /// An annotation that a client over HTTP must not accept (2026-07-28, transports).
    #[error("`x-mcp-header` is illegal: {0}")]
    Header(&'static str),
}

/// Bytes in a name or URI.
const MAX_KEY: usize = 2048;
/// Levels in a definition.
const MAX_DEPTH: usize = 100;

/// One tool, resource, resource template or prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    /// What the server calls it.
    pub(crate) key: String,
    raw: String,
    span: Range<usize>,
    /// Arguments that a modern server wants repeated in headers.
    pub(crate) mirrored: Vec<Mirror>,
    /// What it says of its effects.
    hints: Hints,
    /// Where the URIs of a tool's pages stand, and what they are (MCP Apps).
    pages: Vec<Renamed>,
}

/// A tool's argument that is repeated in a header (`x-mcp-header`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirror {
    /// The way to the argument through nested objects.
    pub(crate) path: Vec<String>,
    /// The header, `mcp-param-…` in lower case.
    pub(crate) header: http::HeaderName,
}

impl Definition {
    /// Checks the definition `raw` of a `family`.
    pub(crate) fn parse(family: Family, raw: &str) -> Result<Self, Error> {
        check_depth(raw, MAX_DEPTH).map_err(|_| Error::Depth)?;
        let object = Object::parse(raw)?;
        let name = family.key();
        let literal = object.get(name).ok_or(Error::Key(name))?;
        let key = object.string(name).ok_or(Error::Key(name))?.into_owned();
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(Error::Key(name));
        }
        let mirrored = match family {
            Family::Tools => mirrors(object.get("inputSchema").filter(|schema| schema.starts_with('{')))?,
            Family::Prompts => Vec::new(),
            _ => object.string("name").map(|_| Vec::new()).ok_or(Error::Name)?,
        };
        let start = literal.as_ptr().addr() - raw.as_ptr().addr();
        let hints = match family {
            Family::Tools => Hints::read(object.object("annotations").as_ref()),
            _ => Hints::READING,
        };
        let pages = if family == Family::Tools { pages(raw, &object) } else { Vec::new() };
        Ok(Self { key, span: start..start + literal.len(), raw: raw.to_owned(), mirrored, hints, pages })
    }

    /// Appends the definition to `out`, under another key if `exposed` differs from its own, with other URIs of pages, and changed
    /// as `change` says.
    pub(crate) fn write(
        &self,
        exposed: &str,
        (change, pages): (Option<&ToolOverride>, &[Renamed]),
        out: &mut Vec<u8>,
    ) {
        if change.is_some() || !pages.is_empty() {
            let raw = self.with_pages(pages);
            let unchanged = ToolOverride::default();
            out.extend_from_slice(&overrides::changed(&raw, exposed, change.unwrap_or(&unchanged)));
            return;
        }
        if exposed == self.key {
            out.extend_from_slice(self.raw.as_bytes());
            return;
        }
        out.extend_from_slice(&self.raw.as_bytes()[..self.span.start]);
        out.extend_from_slice(quoted(exposed).as_bytes());
        out.extend_from_slice(&self.raw.as_bytes()[self.span.end..]);
    }
}

impl Definition {
    fn with_pages(&self, pages: &[Renamed]) -> Cow<'_, str> {
        if pages.is_empty() {
            return Cow::Borrowed(&self.raw);
        }
        let mut edits = Edits::of(&self.raw);
        for (span, uri) in pages {
            edits.replace(&self.raw[span.clone()], quoted(uri));
        }
        Cow::Owned(String::from_utf8_lossy(&edits.finish()).into_owned())
    }

    /// Those of its pages that `renamed` gives another URI.
    pub(crate) fn renamed_pages(&self, renamed: impl Fn(&str) -> Option<String>) -> Vec<Renamed> {
        let pages = self.pages.iter();
        pages.filter_map(|(span, uri)| renamed(uri).map(|uri| (span.clone(), uri))).collect()
    }

    /// What its effects are, as it says itself or as `change` says of it.
    pub(crate) fn hints(&self, change: Option<&ToolOverride>) -> Hints {
        self.hints.changed(change)
    }

    /// The definition as the server wrote it.
    pub(crate) fn raw(&self) -> &str {
        &self.raw
    }

    /// What the definition means, in one spelling.
    pub(crate) fn canonical(&self) -> String {
        let mut form = String::with_capacity(self.raw.len());
        // It was parsed before it was kept.
        match canonical(&self.raw, &mut form) {
            Ok(()) => form,
            Err(_) => self.raw.clone(),
        }
    }
}

/// The URIs of a tool's page, in the place that MCP Apps has for it and in an older one.
fn pages(raw: &str, tool: &Object<'_>) -> Vec<Renamed> {
    let meta = tool.object("_meta");
    let ui = meta.as_ref().and_then(|meta| meta.object("ui"));
    let places = [
        ui.as_ref().and_then(|ui| ui.get("resourceUri")),
        meta.as_ref().and_then(|meta| meta.get("ui/resourceUri")),
    ];
    let place = |literal: &str| {
        let start = literal.as_ptr().addr() - raw.as_ptr().addr();
        Some((start..start + literal.len(), text(literal)?.into_owned()))
    };
    places.into_iter().flatten().filter_map(place).collect()
}

/// The headers that `schema` asks for, by the rules of 2026-07-28: only through `properties`, only string, integer and
/// boolean, each header once.
fn mirrors(schema: Option<&str>) -> Result<Vec<Mirror>, Error> {
    let schema = schema.ok_or(Error::InputSchema)?;
    let mut found = Vec::new();
    if schema.contains("x-mcp-header") {
        collect(schema, &mut Vec::new(), &mut found)?;
    }
    Ok(found)
}

fn collect(schema: &str, path: &mut Vec<String>, found: &mut Vec<Mirror>) -> Result<(), Error> {
    let Ok(schema) = Object::parse(schema) else { return Ok(()) };
    if let Some(token) = schema.get("x-mcp-header") {
        found.push(mirror(token, &schema, path, found)?);
    }
    let properties = schema.object("properties");
    for (name, property) in properties.iter().flat_map(super::super::envelope::Object::members) {
        path.push(name.clone().into_owned());
        collect(property, path, found)?;
        path.pop();
    }
    Ok(())
}

fn mirror(token: &str, schema: &Object<'_>, path: &[String], found: &[Mirror]) -> Result<Mirror, Error> {
    let token = crate::envelope::text(token).ok_or(Error::Header("it must be a string"))?;
    let header = http::HeaderName::try_from(format!("mcp-param-{token}"))
        .map_err(|_| Error::Header("it must be a header token"))?;
    if path.is_empty() || token.is_empty() {
        return Err(Error::Header("it must stand at a property and name a header"));
    }
    if !matches!(schema.string("type").as_deref(), Some("string" | "integer" | "boolean")) {
        return Err(Error::Header("the property must be a string, an integer or a boolean"));
    }
    if found.iter().any(|other| other.header == header) {
        return Err(Error::Header("two properties name the same header"));
    }
    Ok(Mirror { path: path.to_vec(), header })
}

/// Everything one server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    /// The era it was spoken to in.
    pub(crate) era: Era,
    /// The name it gives itself.
    pub(crate) server_name: Option<String>,
    /// The version it gives itself.
    pub(crate) server_version: Option<String>,
    /// The revision it answered.
    pub(crate) version: String,
    /// What it tells models about itself.
    pub(crate) instructions: Option<String>,
    /// Whether it declared resources: URIs not in its list may then be its own.
    pub(crate) has_resources: bool,
    /// Whether it tells of changes of single resources.
    pub(crate) subscribes: bool,
    pub(crate) tools: Vec<Definition>,
    pub(crate) resources: Vec<Definition>,
    pub(crate) templates: Vec<Definition>,
    pub(crate) prompts: Vec<Definition>,
}

impl Listing {
    /// The list of a family.
    pub(crate) fn of(&self, family: Family) -> &[Definition] {
        match family {
            Family::Tools => &self.tools,
            Family::Resources => &self.resources,
            Family::Templates => &self.templates,
            Family::Prompts => &self.prompts,
        }
    }

    /// Replaces the list of a family.
    pub(crate) fn set(&mut self, family: Family, definitions: Vec<Definition>) {
        match family {
            Family::Tools => self.tools = definitions,
            Family::Resources => self.resources = definitions,
            Family::Templates => self.templates = definitions,
            Family::Prompts => self.prompts = definitions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(raw: &str) -> Result<Definition, Error> {
        Definition::parse(Family::Tools, raw)
    }

    #[test]
    fn a_renamed_definition_differs_in_its_name_only() {
        let raw = r#"{"x": 1e400, "name" : "a", "inputSchema":{}, "inner":{"name":"a"}}"#;
        let mut out = Vec::new();
        tool(raw).unwrap().write("s__a", (None, &[]), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), raw.replacen("\"a\"", "\"s__a\"", 1));
    }

    #[test]
    fn a_definition_that_no_client_could_use_is_refused() {
        assert!(matches!(tool("3"), Err(Error::Json(_))));
        assert!(matches!(tool(r#"{"inputSchema":{}}"#), Err(Error::Key("name"))));
        assert!(matches!(tool(r#"{"name":"","inputSchema":{}}"#), Err(Error::Key("name"))));
        assert!(matches!(tool(r#"{"name":"a"}"#), Err(Error::InputSchema)));
        assert!(matches!(tool(r#"{"name":"a","inputSchema":true}"#), Err(Error::InputSchema)));
        assert!(matches!(Definition::parse(Family::Resources, r#"{"uri":"x:y"}"#), Err(Error::Name)));
        let deep = format!(r#"{{"name":"a","inputSchema":{}{}}}"#, "{\"a\":".repeat(200), "}".repeat(200));
        assert!(matches!(tool(&deep), Err(Error::Depth)));
    }

    #[test]
    fn header_annotations_are_found_where_they_are_legal() {
        let schema = r#"{"name":"t","inputSchema":{"properties":{"a":{"properties":{"b":{"type":"string","x-mcp-header":"Shop"}}}}}}"#;
        let mirrors = tool(schema).unwrap().mirrored;
        assert_eq!(mirrors[0].path, ["a", "b"]);
        assert_eq!(mirrors[0].header, "mcp-param-shop");
        let number =
            r#"{"name":"t","inputSchema":{"properties":{"a":{"type":"number","x-mcp-header":"A"}}}}"#;
        assert!(matches!(tool(number), Err(Error::Header(_))));
        let twice = r#"{"name":"t","inputSchema":{"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}}"#;
        assert!(matches!(tool(twice), Err(Error::Header(_))));
    }
}
