//! What a tool says of its own effects (MCP, `ToolAnnotations`).

use crate::envelope::Object;
use crate::source::ToolOverride;

/// The hints, with the defaults that MCP gives those that are absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a hint of its own, as MCP has them")]
pub(crate) struct Hints {
    /// It changes nothing.
    pub(crate) read_only: bool,
    /// It may change or delete what is there.
    pub(crate) destructive: bool,
    /// A second use with the same arguments changes nothing more.
    pub(crate) idempotent: bool,
    /// It reaches beyond what its server keeps.
    pub(crate) open_world: bool,
}

impl Hints {
    /// Of what only reads and has no hints: prompts and resources.
    pub(crate) const READING: Self =
        Self { read_only: true, destructive: false, idempotent: false, open_world: false };

    /// Those in `annotations`, and where they are absent the defaults.
    pub(super) fn read(annotations: Option<&Object<'_>>) -> Self {
        let says = |hint: &str, default| match annotations.and_then(|hints| hints.get(hint)) {
            Some("true") => true,
            Some("false") => false,
            _ => default,
        };
        Self {
            read_only: says("readOnlyHint", false),
            destructive: says("destructiveHint", true),
            idempotent: says("idempotentHint", false),
            open_world: says("openWorldHint", true),
        }
    }

    /// Those in the JSON object `annotations`.
    pub(crate) fn of(annotations: &str) -> Self {
        Self::read(Object::parse(annotations).ok().as_ref())
    }

    /// The same as `change` says otherwise.
    pub(super) fn changed(self, change: Option<&ToolOverride>) -> Self {
        let says = |hint, own| change.and_then(|change| change.hints.get(hint)).copied().unwrap_or(own);
        Self {
            read_only: says("readOnlyHint", self.read_only),
            destructive: says("destructiveHint", self.destructive),
            idempotent: says("idempotentHint", self.idempotent),
            open_world: says("openWorldHint", self.open_world),
        }
    }

    /// Whether it may be used twice instead of once.
    pub(crate) fn is_repeatable(self) -> bool {
        self.read_only || self.idempotent
    }

    /// Whether it may change or delete what is there; what only reads does not, whatever it says.
    pub(crate) fn is_destructive(self) -> bool {
        self.destructive && !self.read_only
    }
}
