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
    config: Arc<Config>,
}

impl Snapshot {
    /// Joins the lists of all servers, which come in the order of their keys. Views count their changes on from `before`.
    pub(crate) fn build(listed: &[Listed], config: &Arc<Config>, before: &Self) -> Self {
        let mut pieces = Pieces::default();
        // By other rules somebody may see other parts of the same lists.
        let ruled = |config: &Config| !config.access.is_empty();
        let others_see = !Arc::ptr_eq(config, &before.config) && (ruled(config) || ruled(&before.config));
        let mut view = |name: &ViewName, listed: &[Listed], set: Option<&ToolSet>| {
            let view = View::build(listed, (config.names.prefix, set), &mut pieces);
            let view = match set {
                Some(set) => view.searched(set),
                None => view,
            };
            Arc::new(match before.view(name) {
                Some(before) => view.after(&before, others_see),
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
        Self { all, others, empty: Arc::default(), sizes, config: Arc::clone(config) }
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::kept;
    use super::super::pin::Digests;
    use super::*;
    use crate::config::Prefix;
    use crate::source::{Server, ServerKey};

    const SERVERS: usize = 1000;
    const TOOLS: usize = 20;

    /// Server `index`, whose tools are about as large as those of common servers; every tenth name clashes.
    fn listed(index: usize) -> Listed {
        let key = ServerKey { namespace: format!("team-{}", index / 100), name: format!("server-{index}") };
        let server = Server::new(key, Vec::new());
        let property =
            r#"{"type":"string","description":"What to look for, in the words of the person who asks."}"#;
        let tool = |tool: usize| {
            let owner = if tool.is_multiple_of(10) { String::new() } else { format!("_{index}") };
            format!(
                r#"{{"name":"tool_{tool}{owner}","description":"{}","inputSchema":{{"type":"object","properties":{{"query":{property},"place":{property},"limit":{{"type":"integer"}}}},"required":["query"]}}}}"#,
                "Finds things and tells where they are. ".repeat(8)
            )
        };
        let tools: Vec<String> = (0..TOOLS).map(tool).collect();
        let text = format!(
            r#"{{"form":1,"era":"modern","version":"2026-07-28","hasResources":false,"tools":[{}],"resources":[],"resourceTemplates":[],"prompts":[]}}"#,
            tools.join(",")
        );
        let listing = Arc::new(kept::read(&text).unwrap());
        let digests = Arc::new(Digests::of(&listing.tools));
        Listed { backend: Arc::new(Backend::new(&server)), listing, digests, drift: None }
    }

    /// Figures for docs/gateway.md, on the machine at hand; nothing depends on them.
    #[test]
    #[ignore = "measures, and takes its time: cargo test --release -p portico-gateway -- --ignored --nocapture figures"]
    fn figures_of_a_thousand_servers() {
        let listed: Vec<Listed> = (0..SERVERS).map(listed).collect();
        let config = Arc::new(Config::parse("toolSets: [{name: some, tools: ['tool_1*']}]").unwrap());
        let mut snapshot = Snapshot::default();
        for round in 0..3 {
            let began = Instant::now();
            snapshot = Snapshot::build(&listed, &config, &snapshot);
            println!("snapshot {round} of {SERVERS} servers with {TOOLS} tools: {:?}", began.elapsed());
        }
        let never = Config { names: crate::config::Names { prefix: Prefix::Never }, ..Config::default() };
        let began = Instant::now();
        let hidden = Snapshot::build(&listed, &Arc::new(never), &Snapshot::default()).all().hidden.len();
        println!("without prefixes, {hidden} names hidden: {:?}", began.elapsed());
        for name in [ViewName::All, ViewName::Namespace("team-3".into()), ViewName::Set("some".into())] {
            let view = snapshot.view(&name).unwrap();
            for size in [1000, SERVERS * TOOLS] {
                let began = Instant::now();
                let page = view.tools.page(None, size).unwrap();
                println!(
                    "{name:?}, a page of at most {size}: {} bytes in {:?}",
                    page.items.len(),
                    began.elapsed()
                );
            }
        }
    }
}
