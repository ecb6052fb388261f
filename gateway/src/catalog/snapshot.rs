//! What clients see at one moment.

use std::fmt::Write as _;
use std::sync::Arc;

use super::kind::{Entry, Kind, Route};
use super::listing::{Definition, Family};
use super::{Listed, names};
use crate::backend::{Backend, Live};
use crate::rpc::shortened;
use crate::source::ToolOverride;

/// Bytes of all servers' instructions together; hosts put them into every prompt.
const MAX_INSTRUCTIONS: usize = 16 * 1024;

/// All lists at one moment.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) tools: Kind,
    pub(crate) resources: Kind,
    pub(crate) templates: Kind,
    pub(crate) prompts: Kind,
    /// All servers' instructions, each under a heading.
    pub(crate) instructions: Option<String>,
    /// The only server with resources, if there is exactly one: URIs that stand in no list are then its own.
    sole_resources: Option<Arc<Backend>>,
}

impl Snapshot {
    /// Joins the lists of all servers, which come in the order of their keys.
    pub(crate) fn build(listed: &[Listed]) -> Self {
        let mut with_resources = listed.iter().filter(|listed| listed.listing.has_resources);
        let sole = match (with_resources.next(), with_resources.next()) {
            (Some(only), None) => Some(Arc::clone(&only.backend)),
            _ => None,
        };
        Self {
            tools: kind(listed, Family::Tools),
            resources: kind(listed, Family::Resources),
            templates: kind(listed, Family::Templates),
            prompts: kind(listed, Family::Prompts),
            instructions: instructions(listed),
            sole_resources: sole,
        }
    }

    /// The list of a family.
    pub(crate) fn of(&self, family: Family) -> &Kind {
        match family {
            Family::Tools => &self.tools,
            Family::Resources => &self.resources,
            Family::Templates => &self.templates,
            Family::Prompts => &self.prompts,
        }
    }

    /// Where the resource `uri` is read: a listed one, one of a template, or one that only the sole server with
    /// resources can mean (a tool's result may link to resources that stand in no list).
    pub(crate) fn resource(&self, uri: &str) -> Option<Arc<Route>> {
        if let Some(route) = self.resources.route(uri) {
            return Some(Arc::clone(route));
        }
        let backend = match self.templates.template(uri) {
            Some(route) => &route.backend,
            None => self.sole_resources.as_ref()?,
        };
        let original = uri
            .strip_prefix("portico+")
            .and_then(|rest| rest.split_once('+'))
            .map_or(uri, |(_, original)| original);
        Some(Arc::new(Route {
            backend: Arc::clone(backend),
            original: original.to_owned(),
            mirrored: Vec::new(),
        }))
    }
}

/// One definition that clients may see, before its name is settled.
struct Offer<'a> {
    definition: &'a Definition,
    change: Option<&'a ToolOverride>,
    backend: &'a Arc<Backend>,
}

impl Offer<'_> {
    /// The key under which it would be shown if it were alone.
    fn key(&self) -> &str {
        self.change.and_then(|change| change.rename.as_deref()).unwrap_or(&self.definition.key)
    }
}

fn kind(listed: &[Listed], family: Family) -> Kind {
    let prefixes = names::prefixes(listed.iter().map(|listed| listed.backend.key()));
    let live: Vec<Arc<Live>> = listed.iter().map(|listed| listed.backend.live()).collect();
    let offers: Vec<Offer<'_>> =
        listed.iter().zip(&live).flat_map(|(listed, live)| offers(listed, live, family)).collect();
    let keys: Vec<(&str, &str)> =
        offers.iter().map(|offer| (prefixes[offer.backend.key()].as_str(), offer.key())).collect();
    let exposed = names::exposed(family, &keys);
    let shown = offers.iter().zip(exposed).filter_map(|(offer, exposed)| {
        let Offer { definition, change, backend } = *offer;
        exposed.map(|exposed| Entry { exposed, definition, change, backend })
    });
    Kind::build(family, shown.collect())
}

fn offers<'a>(listed: &'a Listed, live: &'a Live, family: Family) -> impl Iterator<Item = Offer<'a>> {
    let is_tool = family == Family::Tools;
    let shown = move |definition: &&Definition| !is_tool || live.shows(&definition.key);
    listed.listing.of(family).iter().filter(shown).map(move |definition| Offer {
        definition,
        change: live.server.tools.overrides.get(&definition.key).filter(|_| is_tool),
        backend: &listed.backend,
    })
}

fn instructions(listed: &[Listed]) -> Option<String> {
    let mut all = String::new();
    for Listed { backend, listing } in listed {
        let Some(text) = listing.instructions.as_deref().filter(|text| !text.trim().is_empty()) else {
            continue;
        };
        if all.len() + text.len() > MAX_INSTRUCTIONS {
            tracing::warn!(server = %backend.key(), "the instructions of all servers are longer than {MAX_INSTRUCTIONS} bytes; these are left out");
            continue;
        }
        let _ = writeln!(all, "# {}\n\n{}\n", shortened(&backend.key().name), text.trim());
    }
    (!all.is_empty()).then(|| all.trim_end().to_owned())
}
