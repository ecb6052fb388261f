//! Interface components: pages under `ui://` that a host shows beside a tool's answer (MCP Apps, SEP-1865).

use std::sync::OnceLock;

use rmcp::model::{JsonObject, MetaObject, ReadResourceResult, Resource, ResourceContents, Tool};
use serde_json::{Value, json};

/// Type of their content, written as the specification has it: without a space.
pub const MIME_TYPE: &str = "text/html;profile=mcp-app";
/// How long a page may be kept under an address with its version: a week. Another version has another address.
pub const LIFE_SECONDS: u64 = 7 * 24 * 60 * 60;
/// How long it may be kept under an address that means whichever version is there.
pub(crate) const UNVERSIONED_SECONDS: u64 = 60 * 60;
/// Digits of the digest that make the version.
const VERSION: usize = 12;

/// One page, complete in itself. It holds no data: that comes from the tool's answer.
#[derive(Debug)]
pub struct Component {
    /// Its name, such as `product-grid`.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// The whole document.
    pub html: &'static str,
    /// Origins that it may load images from; none by default.
    pub resource_domains: &'static [&'static str],
    digest: OnceLock<String>,
}

impl Component {
    /// A page that loads nothing from elsewhere.
    #[must_use]
    pub const fn new(name: &'static str, title: &'static str, html: &'static str) -> Self {
        Self { name, title, html, resource_domains: &[], digest: OnceLock::new() }
    }

    /// One of the pages that Portico ships; `None` where there is none of this name.
    #[must_use]
    pub fn shipped(name: &str, title: &'static str) -> Option<Self> {
        let page = portico_ui::page(name)?;
        Some(Self::new(page.name, title, page.html).with_resource_domains(page.csp.resource_domains))
    }

    /// The page with origins that it may load images from.
    #[must_use]
    pub const fn with_resource_domains(mut self, domains: &'static [&'static str]) -> Self {
        self.resource_domains = domains;
        self
    }

    /// Its address, with its version.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("{}?v={}", self.unversioned(), self.version())
    }

    /// The address that means whichever version is there.
    fn unversioned(&self) -> String {
        format!("ui://portico/{}.html", self.name)
    }

    /// The beginning of its digest.
    #[must_use]
    pub fn version(&self) -> &str {
        self.digest().get(..VERSION).unwrap_or_default()
    }

    /// Whether `uri` leads here, and for how many seconds what is read there may be kept. Under the address of an older version a host
    /// gets this one, to be asked for again soon.
    #[must_use]
    pub fn keeps(&self, uri: &str) -> Option<u64> {
        let (address, version) =
            uri.split_once("?v=").map_or((uri, None), |(address, version)| (address, Some(version)));
        let seconds = if version == Some(self.version()) { LIFE_SECONDS } else { UNVERSIONED_SECONDS };
        (address == self.unversioned()).then_some(seconds)
    }

    /// SHA-256 of the document in hexadecimal: its entity tag.
    #[must_use]
    pub fn digest(&self) -> &str {
        self.digest.get_or_init(|| crate::digest::hex(self.html))
    }

    /// What the host is told of it: what it may load, and that it wants a border.
    fn meta(&self) -> MetaObject {
        let mut ui = json!({ "prefersBorder": true });
        if !self.resource_domains.is_empty() {
            ui["csp"] = json!({ "resourceDomains": self.resource_domains });
        }
        let mut meta = JsonObject::new();
        meta.insert("ui".to_owned(), ui);
        MetaObject(meta)
    }

    /// Its entry in the list of resources.
    #[must_use]
    pub fn resource(&self) -> Resource {
        let mut resource = Resource::new(self.uri(), self.name);
        resource.title = Some(self.title.to_owned());
        resource.mime_type = Some(MIME_TYPE.to_owned());
        resource.size = u64::try_from(self.html.len()).ok();
        resource.meta = Some(self.meta());
        resource
    }

    /// Its content, for whoever asks for it at `uri`.
    #[must_use]
    pub fn read(&self, uri: &str) -> ReadResourceResult {
        let content = ResourceContents::TextResourceContents {
            uri: uri.to_owned(),
            mime_type: Some(MIME_TYPE.to_owned()),
            text: self.html.to_owned(),
            meta: Some(self.meta()),
        };
        let mut result = ReadResourceResult::new(vec![content]);
        result.ttl_ms = Some(self.keeps(uri).unwrap_or_default() * 1_000);
        result.cache_scope = Some(rmcp::model::CacheScope::Public);
        result
    }
}

/// `tool`, shown by `component`. The key without structure is deprecated; hosts of the first hour read no other.
#[must_use]
pub fn shown_by(mut tool: Tool, component: &Component) -> Tool {
    let mut meta = tool.meta.take().map(|meta| meta.0).unwrap_or_default();
    meta.insert("ui".to_owned(), json!({ "resourceUri": component.uri(), "visibility": ["model", "app"] }));
    meta.insert("ui/resourceUri".to_owned(), Value::String(component.uri()));
    tool.meta = Some(MetaObject(meta));
    tool
}
