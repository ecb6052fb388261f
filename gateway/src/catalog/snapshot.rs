//! What clients see at one moment.

use std::fmt::Write as _;
use std::sync::Arc;

use super::kind::{Entry, Kind, Route};
use super::listing::{Definition, Family};
use super::{Listed, names};
use crate::backend::Backend;
use crate::rpc::shortened;

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
            repeatable: true,
        }))
    }
}

fn kind(listed: &[Listed], family: Family) -> Kind {
    let prefixes = names::prefixes(listed.iter().map(|listed| listed.backend.key()));
    let mut definitions: Vec<(&Definition, &Arc<Backend>)> = Vec::new();
    for Listed { backend, listing } in listed {
        let shown = |definition: &&Definition| family != Family::Tools || backend.shows(&definition.key);
        definitions.extend(listing.of(family).iter().filter(shown).map(|definition| (definition, backend)));
    }
    let keys: Vec<(&str, &str)> = definitions
        .iter()
        .map(|(definition, backend)| (prefixes[backend.key()].as_str(), definition.key.as_str()))
        .collect();
    let exposed = names::exposed(family, &keys);
    let entries = definitions
        .into_iter()
        .zip(exposed)
        .filter_map(|((definition, backend), exposed)| {
            exposed.map(|exposed| Entry { exposed, definition, backend })
        })
        .collect();
    Kind::build(family, entries)
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
