//! The vocabulary of status conditions, in the meaning that `kubectl wait`, Helm, Argo CD and Flux give them
//! (kstatus: `Reconciling` and `Stalled` are "abnormal when true").

/// The condition types that Portico writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    /// True: the observed generation is rolled out and serves (or is at zero replicas on purpose), and is not known to
    /// fail the handshake of MCP.
    Ready,
    /// True: the spec is valid.
    Accepted,
    /// True: every Secret, ConfigMap and Service that the spec names exists.
    ResolvedRefs,
    /// True: at least one replica serves now, of this or of an earlier generation.
    Available,
    /// True: the scheduler has placed every pod.
    Scheduled,
    /// True: work is under way. Abnormal when true.
    Reconciling,
    /// True: nothing further can happen until somebody changes something. Abnormal when true.
    Stalled,
    /// True: an annotation asks the operator not to act. Abnormal when true.
    Paused,
    /// True: the upstream took the credentials; the server that uses them asked for a token and got one.
    CredentialsValid,
    /// True: the keys that seal sessions exist, and none is due for rotation.
    KeysReady,
    /// True: every server that the resource asks for exists in the form it asks for.
    Synced,
    /// True: the model's file is whole, verified and in its place.
    ArtifactReady,
    /// True: the engine has loaded the model and answers.
    ModelLoaded,
    /// True: the gateway speaks MCP with the server and knows its lists. Written by the gateway.
    Connected,
    /// True: no tool of a pinned server means something else than was approved. Written by the gateway, for pinned
    /// servers alone.
    ToolsApproved,
    /// False: a tool or prompt of the server is not shown, since another server has its name. Written by the gateway, only where
    /// that is so.
    NamesShown,
    /// True: the gateway lets the number of pods follow the load. Written by the gateway, for resources with `scaling` alone.
    ScalingActive,
    /// True: a fallback answers in place of the model. Abnormal when true.
    FallbackActive,
}

impl Type {
    /// The type's name as it stands in `status.conditions[].type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Accepted => "Accepted",
            Self::ResolvedRefs => "ResolvedRefs",
            Self::Available => "Available",
            Self::Scheduled => "Scheduled",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Paused => "Paused",
            Self::CredentialsValid => "CredentialsValid",
            Self::KeysReady => "KeysReady",
            Self::Synced => "Synced",
            Self::ArtifactReady => "ArtifactReady",
            Self::ModelLoaded => "ModelLoaded",
            Self::Connected => "Connected",
            Self::ToolsApproved => "ToolsApproved",
            Self::NamesShown => "NamesShown",
            Self::ScalingActive => "ScalingActive",
            Self::FallbackActive => "FallbackActive",
        }
    }
}
