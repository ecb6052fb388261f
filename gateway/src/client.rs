//! Who asks, and what it can be asked in turn.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::Principal;
use crate::envelope::Object;
use crate::trace::Incoming;
use crate::version::Era;

/// The client of one request.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) era: Era,
    /// A digest of who it is; 0 for nobody in particular.
    pub(crate) principal: u128,
    /// Who it is, as servers may have to be told.
    pub(crate) caller: Arc<Principal>,
    /// The session of a legacy client; 0 for a modern one.
    pub(crate) session: u128,
    /// Whether it takes several messages as an answer.
    pub(crate) takes_events: bool,
    /// How long it waits for a server to start, if it says so.
    pub(crate) patience: Option<Duration>,
    pub(crate) capabilities: Capabilities,
    /// The log messages that a modern client wants for this request.
    pub(crate) level: Option<Level>,
    /// The trace that the headers of the request name, where traces are exported.
    pub(crate) trace: Option<Incoming>,
}

impl Client {
    /// Whose sessions with legacy servers serve this client: its own, or those that all modern clients of one principal, with
    /// the same capabilities and log level, share. Sessions of legacy clients are odd numbers.
    pub(crate) fn sessions(&self) -> u128 {
        match self.era {
            Era::Legacy => self.session,
            Era::Modern => {
                let level = self.level.map_or(0, |level| u128::from(level.0) + 1);
                // Servers with sessions know no tasks.
                let ability = (level << 16) | (u128::from(self.capabilities.of_sessions().0) << 1);
                (self.principal & !ABILITY) | ability
            }
        }
    }
}

/// The bits of a shared session's number that tell what its clients can do; the others tell who they are.
const ABILITY: u128 = 0xff_ffff;

/// The part of a client's capabilities that servers' requests need, each a bit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Capabilities(u16);

const FORM: u16 = 1;
const URL: u16 = 1 << 1;
const SAMPLING: u16 = 1 << 2;
const SAMPLING_TOOLS: u16 = 1 << 3;
const SAMPLING_CONTEXT: u16 = 1 << 4;
const ROOTS: u16 = 1 << 5;
/// The extension by which servers may answer with tasks; of clients without sessions alone.
const TASKS: u16 = 1 << 6;
/// The extension by which tools have pages (MCP Apps).
const PAGES: u16 = 1 << 8;
/// What servers may ask for.
const ASKED: u16 = FORM | URL | SAMPLING | SAMPLING_TOOLS | SAMPLING_CONTEXT | ROOTS;
/// The form of pages that hosts show (MCP Apps, 2026-01-26).
const PAGE: &str = "text/html;profile=mcp-app";
/// Whether a client with a session tells of changes of its roots.
const ROOTS_CHANGE: u16 = 1 << 7;

impl Capabilities {
    /// Everything that the gateway can pass on.
    pub(crate) const ALL: Self = Self(ASKED | PAGES);
    /// Answers that are tasks.
    pub(crate) const TASKS: Self = Self(TASKS);
    /// Forms that the user fills in.
    pub(crate) const FORM: Self = Self(FORM);
    /// Pages that the user visits.
    pub(crate) const URL: Self = Self(URL);

    /// What `declared`, a `ClientCapabilities`, says.
    pub(crate) fn read(declared: &Object<'_>) -> Self {
        let mut bits = 0;
        if let Some(elicitation) = declared.object("elicitation") {
            let named = bit(&elicitation, "form", FORM) | bit(&elicitation, "url", URL);
            // Forms are what the capability meant before there were two kinds.
            bits |= if named == 0 { FORM } else { named };
        }
        if let Some(sampling) = declared.object("sampling") {
            let (tools, context) =
                (bit(&sampling, "tools", SAMPLING_TOOLS), bit(&sampling, "context", SAMPLING_CONTEXT));
            bits |= SAMPLING | tools | context;
        }
        let extensions = declared.object("extensions");
        let extensions = extensions.map_or(0, |extensions| {
            bit(&extensions, "io.modelcontextprotocol/tasks", TASKS)
                | bit(&extensions, "io.modelcontextprotocol/ui", PAGES)
        });
        let tells = declared.object("roots").is_some_and(|roots| roots.get("listChanged") == Some("true"));
        let changes = if tells { ROOTS_CHANGE } else { 0 };
        Self(bits | bit(declared, "roots", ROOTS) | changes | extensions)
    }

    /// The bits, to be kept in a session id.
    pub(crate) fn bits(self) -> u16 {
        self.0
    }

    /// The capabilities with these bits.
    pub(crate) fn of_bits(bits: u16) -> Self {
        Self(bits & (Self::ALL.0 | ROOTS_CHANGE))
    }

    /// Whether all of `needed` are there.
    pub(crate) fn has(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }

    /// The JSON object `ClientCapabilities`.
    pub(crate) fn to_json(self) -> String {
        let mut members = Vec::with_capacity(3);
        if self.0 & (FORM | URL) == FORM {
            // As revisions before 2025-11-25 know it.
            members.push(r#""elicitation":{}"#.to_owned());
        } else if self.0 & URL != 0 {
            members.push(self.group("elicitation", &[("form", FORM), ("url", URL)]));
        }
        if self.0 & SAMPLING != 0 {
            let parts = [("tools", SAMPLING_TOOLS), ("context", SAMPLING_CONTEXT)];
            members.push(self.group("sampling", &parts));
        }
        if self.0 & ROOTS_CHANGE != 0 {
            members.push(r#""roots":{"listChanged":true}"#.to_owned());
        } else if self.0 & ROOTS != 0 {
            members.push(r#""roots":{}"#.to_owned());
        }
        let extensions = self.extensions();
        if !extensions.is_empty() {
            members.push(format!(r#""extensions":{{{}}}"#, extensions.join(",")));
        }
        format!("{{{}}}", members.join(","))
    }

    fn extensions(self) -> Vec<String> {
        let mut extensions = Vec::new();
        if self.0 & TASKS != 0 {
            extensions.push(r#""io.modelcontextprotocol/tasks":{}"#.to_owned());
        }
        if self.0 & PAGES != 0 {
            extensions.push(format!(r#""io.modelcontextprotocol/ui":{{"mimeTypes":["{PAGE}"]}}"#));
        }
        extensions
    }

    /// Whether there is nothing that a server may ask for.
    pub(crate) fn asks_nothing(self) -> bool {
        self.0 & ASKED == 0
    }

    /// Those of a client without a session, who can tell nobody of changes.
    pub(crate) fn of_request(self) -> Self {
        Self(self.0 & !ROOTS_CHANGE)
    }

    /// Those that servers with sessions know.
    pub(crate) fn of_sessions(self) -> Self {
        Self(self.0 & !TASKS)
    }

    fn group(self, name: &str, parts: &[(&str, u16)]) -> String {
        let parts: Vec<String> = parts
            .iter()
            .filter(|(_, bit)| self.0 & bit != 0)
            .map(|(part, _)| format!(r#""{part}":{{}}"#))
            .collect();
        format!(r#""{name}":{{{}}}"#, parts.join(","))
    }
}

fn bit(object: &Object<'_>, member: &str, bit: u16) -> u16 {
    if object.get(member).is_some_and(|value| value.starts_with('{')) { bit } else { 0 }
}

/// What a client must be able to do to answer a server's request; `None` for a method that no server may ask a client.
pub(crate) fn needed(method: &str, params: Option<&Object<'_>>) -> Option<Capabilities> {
    let mode = || params.and_then(|params| params.string("mode"));
    match method {
        "elicitation/create" if mode().as_deref() == Some("url") => Some(Capabilities(URL)),
        "elicitation/create" => Some(Capabilities(FORM)),
        "sampling/createMessage" => {
            let tools = params.is_some_and(|params| params.get("tools").is_some());
            Some(Capabilities(if tools { SAMPLING | SAMPLING_TOOLS } else { SAMPLING }))
        }
        "roots/list" => Some(Capabilities(ROOTS)),
        _ => None,
    }
}

/// A level of log messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level(u8);

const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

impl Level {
    /// The level called `name`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let position = LEVELS.iter().position(|level| *level == name)?;
        u8::try_from(position).ok().map(Self)
    }

    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        LEVELS.get(usize::from(self.0)).copied().unwrap_or("info")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Capabilities {
        Capabilities::read(&Object::parse(raw).unwrap())
    }

    #[test]
    fn what_is_declared_is_declared_again() {
        for raw in [
            "{}",
            r#"{"elicitation":{}}"#,
            r#"{"elicitation":{"url":{}}}"#,
            r#"{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{},"context":{}},"roots":{}}"#,
        ] {
            let read = read(raw);
            assert_eq!(read.to_json(), raw);
            assert_eq!(Capabilities::of_bits(read.bits()), read);
        }
        assert_eq!(Capabilities::ALL, read(&Capabilities::ALL.to_json()));
    }

    #[test]
    fn elicitation_without_a_kind_means_forms() {
        let forms = read(r#"{"elicitation":{},"tasks":{}}"#);
        assert!(forms.has(needed("elicitation/create", None).unwrap()));
        let page = Object::parse(r#"{"mode":"url"}"#).unwrap();
        assert!(!forms.has(needed("elicitation/create", Some(&page)).unwrap()));
        assert!(!forms.has(needed("roots/list", None).unwrap()));
        assert!(needed("tools/call", None).is_none());
    }

    #[test]
    fn modern_clients_share_sessions_by_what_they_can_do() {
        let client = |raw: &str, level: Option<&str>| Client {
            principal: 0,
            caller: Arc::new(Principal::anonymous()),
            era: Era::Modern,
            session: 0,
            takes_events: true,
            patience: None,
            capabilities: read(raw),
            level: level.and_then(Level::named),
            trace: None,
        };
        let keys = [
            client("{}", None).sessions(),
            client(r#"{"roots":{}}"#, None).sessions(),
            client("{}", Some("debug")).sessions(),
            client("{}", Some("error")).sessions(),
        ];
        assert!(keys.iter().all(|key| key % 2 == 0));
        assert!((1..keys.len()).all(|at| !keys[..at].contains(&keys[at])), "{keys:?}");
        assert_eq!(Level::named("error").map(Level::as_str), Some("error"));
        assert_eq!(Level::named("loud"), None);
    }
}
