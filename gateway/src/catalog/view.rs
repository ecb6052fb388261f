//! What clients see through one endpoint at one moment.

use std::collections::HashSet;
use std::sync::Arc;

use super::kind::{Entry, Kind, Piece, Pieces, Route};
use super::links::Links;
use super::listing::{Definition, Family};
use super::search::{self, Search};
use super::{Listed, names};
use crate::backend::{Backend, Live};
use crate::config::{Discovery, Prefix, ToolSet};
use crate::envelope::Object;
use crate::method::Method;
use crate::rpc::shortened;
use crate::source::{ServerKey, ToolOverride};

/// Bytes of all servers' instructions together; hosts put them into every prompt.
const MAX_INSTRUCTIONS: usize = 16 * 1024;

/// Finds tools in a set that does not list them.
pub(crate) const FIND_TOOLS: &str = "find_tools";
/// Calls a tool that was found.
pub(crate) const CALL_TOOL: &str = "call_tool";
/// Both as clients get them, with the comma that follows in a list.
const OWN_TOOLS: [(&str, &str); 2] = [
    (
        CALL_TOOL,
        r#"{"name":"call_tool","title":"Call a tool","description":"Calls a tool that find_tools found, with the arguments that its inputSchema asks for.","inputSchema":{"type":"object","properties":{"name":{"type":"string","description":"The tool's name, as find_tools gave it."},"arguments":{"type":"object","description":"The tool's arguments."}},"required":["name"]}},"#,
    ),
    (
        FIND_TOOLS,
        r#"{"name":"find_tools","title":"Find tools","description":"Finds tools by what they do, best first. Most tools of this server are not listed: look here before saying that something cannot be done. The answer holds definitions; call one with call_tool.","inputSchema":{"type":"object","properties":{"query":{"type":"string","description":"What the tool should do, in a few words."},"limit":{"type":"integer","minimum":1,"maximum":20,"default":5,"description":"How many definitions to answer."}},"required":["query"]},"annotations":{"readOnlyHint":true,"openWorldHint":false}},"#,
    ),
];

/// Which endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ViewName {
    /// `/mcp`.
    All,
    /// `/ns/{namespace}/mcp`.
    Namespace(String),
    /// `/sets/{name}/mcp`.
    Set(String),
}

impl ViewName {
    /// The path of the endpoint.
    pub(crate) fn path(&self) -> String {
        match self {
            Self::All => "/mcp".to_owned(),
            Self::Namespace(name) => format!("/ns/{name}/mcp"),
            Self::Set(name) => format!("/sets/{name}/mcp"),
        }
    }
}

/// Counts the changes of each list since the view came to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Revision {
    pub(crate) tools: u64,
    pub(crate) resources: u64,
    pub(crate) prompts: u64,
}

/// A tool that is not shown because another has its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hidden {
    pub(crate) server: ServerKey,
    pub(crate) name: String,
    /// The server whose tool is shown.
    pub(crate) kept: ServerKey,
}

/// All lists of one endpoint at one moment.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) tools: Kind,
    pub(crate) resources: Kind,
    pub(crate) templates: Kind,
    pub(crate) prompts: Kind,
    /// The servers' instructions, each under a heading, by the server's number in this process.
    instructions: Vec<(u64, String)>,
    pub(crate) revision: Revision,
    /// The tools that are found rather than listed, if they are.
    pub(crate) search: Option<Search>,
    /// Tools and prompts whose names others have.
    pub(crate) hidden: Vec<Hidden>,
    /// Where URIs lead that servers write into their answers.
    links: Arc<Links>,
    /// The only server with resources, if there is exactly one: URIs that stand in no list are then its own.
    sole_resources: Option<Arc<Backend>>,
}

impl View {
    /// Joins the lists of the servers that `set` takes, which come in the order of their keys; all without one.
    pub(crate) fn build(
        listed: &[Listed],
        (prefix, set): (Prefix, Option<&ToolSet>),
        pieces: &mut Pieces,
    ) -> Self {
        let members: Vec<Member<'_>> =
            listed.iter().map(|listed| Member::new(listed, set)).filter(Member::is_shown).collect();
        let mut all = members.iter().filter(|member| member.listed.listing.has_resources);
        let sole = match (all.next(), all.next()) {
            (Some(only), None) => Some(Arc::clone(&only.listed.backend)),
            _ => None,
        };
        let mut hidden = Vec::new();
        let mut kind = |family: Family, links: &Links| {
            let (kind, clashes) = kind(&members, (family, prefix, links), pieces);
            hidden.extend(clashes);
            kind
        };
        let resources = kind(Family::Resources, &Links::default());
        let links = Links::between(with_resources(&members), &resources);
        Self {
            tools: kind(Family::Tools, &links),
            templates: kind(Family::Templates, &links),
            prompts: kind(Family::Prompts, &links),
            resources,
            links: Arc::new(links),
            instructions: instructions(&members),
            search: None,
            revision: Revision::default(),
            hidden,
            sole_resources: sole,
        }
    }

    /// The same where tools are found: those that `set` pins are listed, those that only interface pages call, and the
    /// gateway's own.
    pub(crate) fn searched(mut self, set: &ToolSet) -> Self {
        if set.discovery == Discovery::List {
            return self;
        }
        let wanted = |name: &str, piece: &Piece| {
            let Some(route) = piece.route() else { return false };
            let definition = piece.definition();
            set.pins(route.backend.key(), name)
                || set.pins(route.backend.key(), &route.original)
                || Object::parse(&definition).is_ok_and(|tool| search::is_for_apps(&tool))
        };
        let listed = self.tools.part(wanted, &OWN_TOOLS);
        self.search = Some(Search::over(std::mem::replace(&mut self.tools, listed)));
        self
    }

    /// The part that `shows` lets somebody see, by method, exposed name and way. Names stay what they are.
    pub(crate) fn part(&self, shows: impl Fn(Method, &Route) -> bool) -> Self {
        let part = |kind: &Kind, method: Method| {
            kind.part(|_, piece| piece.route().is_none_or(|route| shows(method, route)), &[])
        };
        let mut view = Self {
            tools: part(&self.tools, Method::ToolsCall),
            resources: part(&self.resources, Method::ResourcesRead),
            templates: part(&self.templates, Method::ResourcesRead),
            prompts: part(&self.prompts, Method::PromptsGet),
            instructions: Vec::new(),
            search: self.search.as_ref().map(|search| search.part(|route| shows(Method::ToolsCall, route))),
            revision: self.revision,
            hidden: Vec::new(),
            links: Arc::clone(&self.links),
            sole_resources: self.sole_resources.clone(),
        };
        let used = view.servers();
        view.instructions =
            self.instructions.iter().filter(|(server, _)| used.contains(server)).cloned().collect();
        view
    }

    /// The servers of which anything is shown.
    fn servers(&self) -> HashSet<u64> {
        let kinds = [&self.tools, &self.resources, &self.templates, &self.prompts];
        let searched = self.search.iter().map(|search| &search.tools);
        kinds.into_iter().chain(searched).flat_map(Kind::servers).collect()
    }

    /// Whether anything of `backend` is shown.
    pub(crate) fn has(&self, backend: &Backend) -> bool {
        let kinds = [&self.tools, &self.resources, &self.templates, &self.prompts];
        let searched = self.search.iter().map(|search| &search.tools);
        kinds.into_iter().chain(searched).any(|kind| kind.servers().any(|server| server == backend.id()))
    }

    /// All servers' instructions.
    pub(crate) fn instructions(&self) -> Option<String> {
        let texts: Vec<&str> = self.instructions.iter().map(|(_, text)| text.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join("\n\n"))
    }

    /// Where the tool `name` leads, listed or not.
    pub(crate) fn tool(&self, name: &str) -> Option<&Arc<Route>> {
        self.search.as_ref().map_or(&self.tools, |search| &search.tools).route(name)
    }

    /// Counts on from the view `before` of the same name, also where nothing changed if `anew`.
    pub(crate) fn after(mut self, before: &Self, anew: bool) -> Self {
        let mut revision = before.revision;
        revision.tools += u64::from(anew || !self.tools.same_list(&before.tools));
        revision.prompts += u64::from(anew || !self.prompts.same_list(&before.prompts));
        let resources =
            self.resources.same_list(&before.resources) && self.templates.same_list(&before.templates);
        revision.resources += u64::from(anew || !resources);
        self.revision = revision;
        self
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
        let to = |(backend, original): (&Arc<Backend>, String)| {
            Some(Arc::new(Route::to(Arc::clone(backend), original)))
        };
        let wrapped = self.links.lead(uri);
        let template = self.templates.template(uri).map(|route| &route.backend);
        match (wrapped, template) {
            // The authority of a page may be its own.
            (Some((backend, _)), Some(template))
                if backend.id() != template.id() && uri.starts_with("ui://") =>
            {
                to((template, uri.to_owned()))
            }
            (Some(wrapped), _) => to(wrapped),
            (None, Some(template)) => to((template, uri.to_owned())),
            (None, None) => to((self.sole_resources.as_ref()?, uri.to_owned())),
        }
    }

    /// Whether URIs in answers of `backend` may have to change.
    pub(crate) fn changes_links(&self, backend: &Backend) -> bool {
        self.links.concern(backend.id())
    }

    /// What the URI in a link of `backend` becomes, if it would lead elsewhere as it is.
    pub(crate) fn link(&self, backend: &Backend, uri: &str) -> Option<String> {
        if let Some(renamed) = self.listed_link(backend, uri) {
            return Some(renamed);
        }
        let route = self.resources.route(uri).or_else(|| self.templates.template(uri));
        let leads_back = route.is_some_and(|route| route.backend.id() == backend.id());
        if leads_back { None } else { self.links.wrapped(backend.id(), uri) }
    }

    /// What the listed resource `uri` of `backend` is known by, if that is something else.
    pub(crate) fn listed_link(&self, backend: &Backend, uri: &str) -> Option<String> {
        self.links.renamed(backend.id(), uri).map(str::to_owned)
    }
}

/// One server as far as a view takes it.
struct Member<'a> {
    listed: &'a Listed,
    live: Arc<Live>,
    set: Option<&'a ToolSet>,
    /// Tools in quarantine.
    withheld: HashSet<&'a str>,
}

impl<'a> Member<'a> {
    fn new(listed: &'a Listed, set: Option<&'a ToolSet>) -> Self {
        let withheld = listed.drift.as_ref().map(|drift| drift.withheld()).unwrap_or_default();
        Self { listed, live: listed.backend.live(), set, withheld }
    }

    /// A set that names tools takes a server only with one of its tools.
    fn is_shown(&self) -> bool {
        let Some(set) = self.set else { return true };
        let takes_all = !set.names_tools();
        set.takes_server(self.listed.backend.key())
            && (takes_all || self.listed.listing.tools.iter().any(|tool| self.offers(tool)))
    }

    fn offers(&self, tool: &Definition) -> bool {
        self.live.shows(&tool.key)
            && !self.withheld.contains(tool.key.as_str())
            && self.set.is_none_or(|set| set.takes_tool(self.listed.backend.key(), self.name(tool)))
    }

    fn change(&self, tool: &Definition) -> Option<&ToolOverride> {
        self.live.server.tools.overrides.get(&tool.key)
    }

    /// The name under which a tool would be shown if it were alone.
    fn name<'b>(&'b self, tool: &'b Definition) -> &'b str {
        self.change(tool).and_then(|change| change.rename.as_deref()).unwrap_or(&tool.key)
    }
}

/// One definition that a view may show, before its name is settled.
struct Offer<'a> {
    member: &'a Member<'a>,
    definition: &'a Definition,
    key: &'a str,
    change: Option<&'a ToolOverride>,
}

fn offers<'a>(member: &'a Member<'a>, family: Family) -> impl Iterator<Item = Offer<'a>> {
    let is_tool = family == Family::Tools;
    let shown = move |definition: &&Definition| !is_tool || member.offers(definition);
    member.listed.listing.of(family).iter().filter(shown).map(move |definition| Offer {
        member,
        definition,
        key: if is_tool { member.name(definition) } else { &definition.key },
        change: member.change(definition).filter(|_| is_tool),
    })
}

fn kind(
    members: &[Member<'_>],
    (family, prefix, links): (Family, Prefix, &Links),
    pieces: &mut Pieces,
) -> (Kind, Vec<Hidden>) {
    let prefixes = names::prefixes(members.iter().map(|member| member.listed.backend.key()));
    let offers: Vec<Offer<'_>> = members.iter().flat_map(|member| offers(member, family)).collect();
    let server = |offer: &Offer<'_>| offer.member.listed.backend.key().clone();
    let keys: Vec<(&str, &str)> = offers
        .iter()
        .map(|offer| (prefixes[offer.member.listed.backend.key()].as_str(), offer.key))
        .collect();
    let (mut entries, mut hidden) = (Vec::with_capacity(offers.len()), Vec::new());
    for (offer, exposed) in offers.iter().zip(names::exposed((family, prefix), &keys)) {
        match exposed {
            Ok(exposed) => entries.push(Entry {
                exposed,
                definition: offer.definition,
                change: offer.change,
                backend: &offer.member.listed.backend,
                pages: offer.definition.renamed_pages(|uri| {
                    links.renamed(offer.member.listed.backend.id(), uri).map(str::to_owned)
                }),
            }),
            Err(kept) => hidden.push(Hidden {
                server: server(offer),
                name: offer.key.to_owned(),
                kept: server(&offers[kept]),
            }),
        }
    }
    (Kind::build(family, entries, pieces), hidden)
}

/// The servers with resources, each with its prefix.
fn with_resources(members: &[Member<'_>]) -> Vec<(String, Arc<Backend>)> {
    let mut prefixes = names::prefixes(members.iter().map(|member| member.listed.backend.key()));
    let all = members.iter().map(|member| member.listed).filter(|listed| listed.listing.has_resources);
    let named = |listed: &Listed| {
        let prefix = prefixes.remove(listed.backend.key()).unwrap_or_default();
        (prefix, Arc::clone(&listed.backend))
    };
    all.map(named).collect()
}

fn instructions(members: &[Member<'_>]) -> Vec<(u64, String)> {
    let (mut all, mut bytes) = (Vec::new(), 0);
    for Listed { backend, listing, .. } in members.iter().map(|member| member.listed) {
        let Some(text) = listing.instructions.as_deref().filter(|text| !text.trim().is_empty()) else {
            continue;
        };
        if bytes + text.len() > MAX_INSTRUCTIONS {
            tracing::warn!(server = %backend.key(), "the instructions of all servers are longer than {MAX_INSTRUCTIONS} bytes; these are left out");
            continue;
        }
        let text = format!("# {}\n\n{}", shortened(&backend.key().name), text.trim());
        bytes += text.len();
        all.push((backend.id(), text));
    }
    all
}
