//! What clients see at one moment, through every endpoint.

use std::collections::HashMap;
use std::sync::Arc;

use super::Listed;
use super::kind::Pieces;
use super::view::{View, ViewName};
use crate::backend::Backend;
use crate::config::{Config, ToolSet};

/// All views at one moment.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    all: Arc<View>,
    others: HashMap<ViewName, Arc<View>>,
    /// What a namespace without servers shows.
    empty: Arc<View>,
    /// Bytes of each server's tools in the view of all.
    sizes: HashMap<u64, usize>,
}

impl Snapshot {
    /// Joins the lists of all servers, which come in the order of their keys. Views count their changes on from `before`.
    pub(crate) fn build(listed: &[Listed], config: &Config, before: &Self) -> Self {
        let mut pieces = Pieces::default();
        let mut view = |name: &ViewName, listed: &[Listed], set: Option<&ToolSet>| {
            let view = View::build(listed, (config.names.prefix, set), &mut pieces);
            Arc::new(match before.view(name) {
                Some(before) => view.after(&before),
                None => view,
            })
        };
        // Written first, so that its pieces lie in a row.
        let all = view(&ViewName::All, listed, None);
        let mut others = HashMap::new();
        for servers in listed.chunk_by(|one, two| one.backend.key().namespace == two.backend.key().namespace)
        {
            let Some(first) = servers.first() else { continue };
            let name = ViewName::Namespace(first.backend.key().namespace.clone());
            let view = view(&name, servers, None);
            others.insert(name, view);
        }
        for set in &config.tool_sets {
            let name = ViewName::Set(set.name.clone());
            let view = view(&name, listed, Some(set));
            others.insert(name, view);
        }
        let sizes = all.tools.sizes();
        Self { all, others, empty: Arc::default(), sizes }
    }

    /// The view `name`; none for a set that nobody configured.
    pub(crate) fn view(&self, name: &ViewName) -> Option<Arc<View>> {
        match name {
            ViewName::All => Some(Arc::clone(&self.all)),
            ViewName::Namespace(_) => Some(Arc::clone(self.others.get(name).unwrap_or(&self.empty))),
            ViewName::Set(_) => self.others.get(name).map(Arc::clone),
        }
    }

    /// Bytes of the tools of `backend` as `/mcp` shows them.
    pub(crate) fn tool_bytes(&self, backend: &Backend) -> usize {
        self.sizes.get(&backend.id()).copied().unwrap_or_default()
    }

    /// The view of `/mcp`.
    pub(crate) fn all(&self) -> &View {
        &self.all
    }

    /// Whether some client sees another list than in `before`.
    pub(crate) fn differs(&self, before: &Self) -> bool {
        let same = |name: &ViewName, view: &View| {
            before.view(name).is_some_and(|before| before.revision == view.revision)
        };
        let kept = before.others.keys().all(|name| self.others.contains_key(name));
        !kept || !same(&ViewName::All, &self.all) || !self.others.iter().all(|(name, view)| same(name, view))
    }
}
