//! The words that conditions and events give as their reason. They are part of the API: alerts and scripts match
//! them, so no condition has a reason that does not stand here, and each says what to do about it.

macro_rules! reasons {
    ($($name:ident: $meaning:literal, $remedy:literal;)*) => {
        /// Why a condition has its status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $meaning] $name,)*
        }

        impl Reason {
            /// Every reason, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word as it stands in `status.conditions[].reason`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// What it means.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }

            /// What to do; empty where nothing needs doing.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }
        }
    };
}

reasons! {
    Pending: "The operator has not looked at the object yet.",
        "If it stays, see whether the operator runs and watches this namespace.";
    Valid: "The spec is valid.", "";
    InvalidSpec: "The spec contradicts itself or holds what Kubernetes would not take; what ran before runs on.",
        "The message names each field at fault; correct them and apply again.";
    NotIncluded: "The spec asks for a server or engine that this version of Portico does not contain.",
        "Choose another, or run a version of Portico that contains it.";
    Resolved: "Everything the spec names exists.", "";
    ReferenceNotFound: "The spec names an object or a key that does not exist, or one whose value is not of the kind that it must be; what ran before runs on.",
        "Create or correct the Secret, ConfigMap, Service or key that the message names; the operator sees it by itself.";
    RefusedByApiServer: "The API server refused a rendered object as invalid.",
        "The message is the API server's; correct the field of the spec that it leads back to.";
    Forbidden: "The operator lacks a right that it needs.",
        "Bind the shipped roles to the operator's account in this namespace; the message names verb and resource.";
    NameTaken: "An object that belongs to somebody else has the name of a child.",
        "Rename or delete that object, or rename the resource.";
    Retrying: "The last pass did not come to its end; it is tried again by itself.",
        "If it stays, read the message: the API server may be overloaded or away.";
    Paused: "The annotation portico.dev/paused asks the operator not to act.",
        "Remove the annotation when you are done.";
    NotApplied: "The spec was not applied, so nothing can be said.", "See the condition Ready.";
    NotApplicable: "The condition does not hold, and there is nothing to say about it.", "";
    RolledOut: "Every wanted pod is of the newest generation and serves.", "";
    RollingOut: "Pods are being made or replaced.", "Wait; `kubectl describe` shows the pods' events.";
    RolloutFailed: "The Deployment has made no progress for ten minutes.",
        "The message says what holds the pods up; an edit starts a new rollout.";
    ScaledToZero: "No pod is wanted, on purpose.", "";
    Registered: "Nothing has to be deployed; clients are sent to the URL in the status.", "";
    NotDeployed: "Portico runs no pod for this object.", "";
    MinimumReplicasAvailable: "At least one pod serves, of this or an earlier generation.", "";
    NoReadyPod: "No pod is ready.", "See the condition Ready for the cause.";
    Placed: "Every pod has a node.", "";
    Unschedulable: "No node can take a pod.",
        "The message is the scheduler's: free or add nodes, or ask for less (resources, gpu, placement).";
    NoPods: "No pod exists yet.", "If it stays, look at the namespace's quota and admission policies.";
    ImagePullFailed: "A node cannot pull the image.",
        "Check the image's name and, for a private registry, source.image.pullSecretRefs.";
    Crashing: "The container ends again and again.", "Read its log: `kubectl logs` with --previous.";
    ContainerNotCreated: "The container cannot be made from its spec.",
        "The message says what is wrong: often a missing key, a volume or the user of the image.";
    SpeaksMcp: "The gateway speaks MCP with the server and knows what it offers.", "";
    HandshakeFailed: "The server answers the gateway, but not as MCP asks, or not in time.",
        "The message says what it did instead; see the server's log, `path`, `port` and `protocol`.";
    NotAuthorized: "The gateway has nothing to prove to the server who it is, or the server does not take it.",
        "The message names the Secret, key or token endpoint at fault; `spec.upstreamAuth` says what is shown.";
    Unreachable: "The gateway reaches nobody at the server's address.",
        "Check that the server listens on `port`, and that network policies let the gateway reach it.";
    NoEndpoint: "The server has no ready pod now; its last known lists stay.",
        "See the condition Ready; at zero replicas nothing needs doing.";
    ToolsAsApproved: "Every tool of the pinned server means what was approved, or what it meant when it was seen first.", "";
    ToolsChanged: "Tools of the pinned server changed or are new; they are shown.",
        "Review the tools that the message names, and set the annotation portico.dev/approved-tools-digest as it says.";
    ToolsQuarantined: "Tools of the pinned server changed or are new; they are hidden and cannot be called.",
        "Review the tools that the message names, and set the annotation portico.dev/approved-tools-digest as it says.";
    NamesTaken: "Tools or prompts of the server are not shown: another server has their names, and the gateway gives none a prefix.",
        "Rename them with `spec.tools.overrides`, or let names have prefixes in the gateway's configuration.";
    ScaledByLoad: "The gateway lets the number of pods follow the load.", "";
    ReplicasOwnedByOther: "Somebody else has set the number of pods, so the gateway leaves it alone.",
        "Remove the autoscaler, or `spec.scaling`. To give a number that was set by hand back to the gateway: `kubectl annotate --overwrite mcpserver NAME portico.dev/take-replicas=$(date -u +%FT%TZ)`, or the same of an inferencemodel.";
    StartFailed: "A start led to no ready pod in time; it is tried again after the time in `status.scaling.retryAt`.",
        "The message gives what the pod says: see the condition Ready and the pod's log, or allow more with `scaling.startSeconds`.";
    DemandUnknown: "A replica of the gateway does not say how much load it has, so no pod is taken away.",
        "If it stays, see whether every replica of the gateway runs, and whether network policies let them reach each other.";
    TimeZoneUnknown: "A schedule names a time zone that is not known, and does not count.",
        "Correct `scaling.schedules[].timeZone`, which takes names of the IANA database such as 'Europe/Berlin'.";
    KeysCurrent: "The session keys exist, and one is in use.", "";
    KeysUnreadable: "The Secret with the session keys does not hold what the operator wrote there.",
        "Restore the Secret from a backup. Do not delete it: new keys would be made, and all that customers keep (lists, plans, preferences, their sign-ins at Kroger) could never be read again.";
    CredentialsAccepted: "The upstream has given the server a token for the credentials.", "";
    CredentialsRefused: "The upstream has refused the credentials.",
        "Correct the client id and secret in the Secret; the pods roll by themselves.";
    CredentialsUnchecked: "The server has not said yet whether the credentials work.",
        "If it stays, see whether the server is ready and whether the operator may reach it.";
    UpstreamUnreachable: "The server could not reach the upstream to ask for a token.",
        "Check the egress rules, the proxy and the upstream's own status.";
    Written: "Every McpServer is written as the spec wants it.", "";
    ServersReady: "Every rendered McpServer is ready.", "";
    ServersNotReady: "At least one rendered McpServer is not ready.",
        "The message names the first; describe that McpServer.";
    ArtifactStored: "The model's file is stored and verified.", "";
    ArtifactUnverified: "The model's file is stored; no checksum was given to verify it by.",
        "Give source.….sha256 to be sure of what runs.";
    ArtifactMounted: "The model lies on a volume or in an image that is mounted as it is.", "";
    NotNeeded: "The engine brings or fetches the model itself.", "";
    Downloading: "The model's file is being downloaded.", "";
    DownloadFailed: "The model's file could not be downloaded; it is tried again, more and more seldom.",
        "The message says why: the address, the rights or the network.";
    ChecksumMismatch: "The downloaded file is not the one that the checksum names.",
        "Correct source.….sha256 or the address; the file was not kept.";
    NoSpace: "The volume is too small for the model's file.", "Enlarge the cache: cache.….size.";
    Loaded: "The engine has loaded the model and answers.", "";
    Loading: "The engine is loading the model.", "";
    LoadFailed: "The engine did not load the model before the deadline, or ended.",
        "Read the engine's log; the model may need more memory, another engine version or a later deadline.";
    Switching: "A new revision is being made ready; the one before it serves.", "";
    FallbackInUse: "A model that cannot serve is answered for by one of its fallbacks.",
        "See the condition Ready for the cause.";
    FallbackIdle: "The model answers for itself.", "";
    FallbackUnavailable: "The model cannot serve, and none of its fallbacks can.",
        "See the condition Ready of the model and of its fallbacks.";
    FallbackLoop: "The fallbacks lead back to this model.", "Remove one link of the chain that the message shows.";
}

#[cfg(test)]
mod tests {
    use super::Reason;

    #[test]
    fn the_remedy_of_unreadable_keys_says_what_is_lost_with_them() {
        let remedy = Reason::KeysUnreadable.remedy();
        assert!(
            remedy.starts_with("Restore the Secret") && remedy.contains("never be read again"),
            "{remedy}"
        );
        assert!(!remedy.contains("session"), "sessions are not what is lost: {remedy}");
    }

    #[test]
    fn every_reason_says_what_it_means_in_a_sentence() {
        for reason in Reason::ALL {
            assert!(reason.meaning().ends_with('.'), "{reason:?}");
            assert!(reason.remedy().is_empty() || reason.remedy().ends_with('.'), "{reason:?}");
        }
    }
}
