//! From what is known of a server to the gateway's part of its status. Pure.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use portico_crds::condition::Type;
use portico_crds::mcp_server::{PinnedTool, ServerCatalog};
use portico_crds::reason::Reason;
use portico_crds::scaling::{ScalingDecision, ScalingStatus};
use portico_crds::{InferenceModel, McpServer, labels};
use serde::Serialize;

use super::super::watched::Cached;
use super::scaling::{active, scaled};
use crate::backend::{Failure, PinReport, ServerReport, ServerState};
use crate::scaling::ScalingReport;
use crate::source::ServerKey;

/// The conditions that the gateway writes.
const OWN: [Type; 4] = [Type::Connected, Type::ToolsApproved, Type::NamesShown, Type::ScalingActive];
/// Characters in a message.
const MAX_MESSAGE: usize = 1024;
/// Bounds of the schema.
const MAX_NAME: usize = 128;
const MAX_UNAPPROVED: usize = 64;
const MAX_PINNED: usize = 512;
const MAX_SHOWN: usize = 8;

/// The gateway's part of a status.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Own {
    pub(super) conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) catalog: Option<ServerCatalog>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scaling: Option<ScalingStatus>,
}

impl Own {
    /// The gateway's part of a status.
    fn of(
        conditions: &[Condition],
        catalog: Option<&ServerCatalog>,
        scaling: Option<&ScalingStatus>,
    ) -> Self {
        let is_own = |condition: &&Condition| OWN.iter().any(|own| own.as_str() == condition.type_);
        Self {
            conditions: conditions.iter().filter(is_own).cloned().collect(),
            catalog: catalog.cloned(),
            scaling: scaling.cloned(),
        }
    }

    /// The last decision about the number of pods.
    pub(super) fn newest(&self) -> Option<&ScalingDecision> {
        self.scaling.as_ref()?.history.first()
    }
}

/// A kind into whose status the gateway writes.
pub(super) trait Reported: Cached {
    /// What is known of one.
    type Report: Send + Sync;

    /// Which one `report` is about.
    fn key(report: &Self::Report) -> &ServerKey;

    /// The gateway's part of its status.
    fn part(&self) -> Own;

    /// What that should be, where it is `before`; none while there is nothing to say. `now` is used only for conditions
    /// whose status flips.
    fn desired(report: &Self::Report, resource: &Self, before: &Own, now: Timestamp) -> Option<Own>;
}

impl Reported for McpServer {
    type Report = ServerReport;

    fn key(report: &ServerReport) -> &ServerKey {
        &report.key
    }

    fn part(&self) -> Own {
        let none = Own { conditions: Vec::new(), catalog: None, scaling: None };
        self.status.as_ref().map_or(none, |status| {
            Own::of(&status.conditions, status.catalog.as_ref(), status.scaling.as_ref())
        })
    }

    fn desired(report: &ServerReport, resource: &Self, before: &Own, now: Timestamp) -> Option<Own> {
        desired(report, resource, before, now)
    }
}

impl Reported for InferenceModel {
    type Report = (ServerKey, Arc<ScalingReport>);

    fn key((key, _): &Self::Report) -> &ServerKey {
        key
    }

    fn part(&self) -> Own {
        let none = Own { conditions: Vec::new(), catalog: None, scaling: None };
        self.status.as_ref().map_or(none, |status| Own::of(&status.conditions, None, status.scaling.as_ref()))
    }

    fn desired((_, report): &Self::Report, resource: &Self, before: &Own, now: Timestamp) -> Option<Own> {
        if resource.spec.scaling.is_none() {
            return Some(Own { conditions: Vec::new(), catalog: None, scaling: None });
        }
        let verdict = active(report).timed(&before.conditions, resource.metadata.generation, now);
        Some(Own { conditions: vec![verdict], catalog: None, scaling: Some(scaled(report)) })
    }
}

/// What the gateway's part of the status of `resource` should be, where it is `before`; none while there is nothing to
/// say. `now` is used only for conditions whose status flips.
fn desired(report: &ServerReport, resource: &McpServer, before: &Own, now: Timestamp) -> Option<Own> {
    let connected = connected(report)?;
    let pinned = report.pin.as_ref().map(|pin| approved(report, pin));
    let (active, scaling) = scaling(report, resource, before);
    let verdicts = [Some(connected), pinned, names(report), active];
    let conditions = verdicts
        .into_iter()
        .flatten()
        .map(|verdict| verdict.timed(&before.conditions, resource.metadata.generation, now));
    // Of a server that was never spoken to by this process, what was known before stays: it may hold a pin.
    let catalog =
        if report.protocol_version.is_some() { Some(catalog(report)) } else { before.catalog.clone() };
    Some(Own { conditions: conditions.collect(), catalog, scaling })
}

/// How a server is scaled. What was written before stays until this process has looked, and goes with `scaling` of the spec.
fn scaling(
    report: &ServerReport,
    resource: &McpServer,
    before: &Own,
) -> (Option<Verdict>, Option<ScalingStatus>) {
    if resource.spec.scaling.is_none() {
        return (None, None);
    }
    match &report.scaling {
        Some(scaling) => (Some(active(scaling)), Some(scaled(scaling))),
        None => (known(before), before.scaling.clone()),
    }
}

/// The verdict that was written before.
fn known(before: &Own) -> Option<Verdict> {
    let kind = Type::ScalingActive;
    let known = before.conditions.iter().find(|condition| condition.type_ == kind.as_str())?;
    let status = ["True", "False"].into_iter().find(|status| *status == known.status)?;
    let reason = Reason::ALL.iter().find(|reason| reason.as_str() == known.reason)?;
    Some(Verdict { kind, status, reason: *reason, message: known.message.clone() })
}

pub(super) struct Verdict {
    pub(super) kind: Type,
    pub(super) status: &'static str,
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Verdict {
    fn timed(self, before: &[Condition], generation: Option<i64>, now: Timestamp) -> Condition {
        let same = |old: &&Condition| old.type_ == self.kind.as_str() && old.status == self.status;
        Condition {
            type_: self.kind.as_str().to_owned(),
            status: self.status.to_owned(),
            reason: self.reason.as_str().to_owned(),
            last_transition_time: before
                .iter()
                .find(same)
                .map_or(Time(now), |old| old.last_transition_time.clone()),
            message: shortened(&self.message, MAX_MESSAGE),
            observed_generation: generation,
        }
    }
}

fn connected(report: &ServerReport) -> Option<Verdict> {
    let (status, reason, message) = match &report.state {
        // It lasts a moment, and the next state says more.
        ServerState::Connecting => return None,
        ServerState::Waiting => {
            ("Unknown", Reason::NoEndpoint, "The server has no ready pod to speak to".to_owned())
        }
        ServerState::Connected => {
            let version = report.protocol_version.as_deref().unwrap_or_default();
            ("True", Reason::SpeaksMcp, format!("Speaks MCP {version}"))
        }
        ServerState::Failing { reason, kind } => {
            let kind = match kind {
                Failure::Unreachable => Reason::Unreachable,
                Failure::Unauthorized => Reason::NotAuthorized,
                Failure::Handshake => Reason::HandshakeFailed,
            };
            ("False", kind, format!("The server {reason}"))
        }
    };
    Some(Verdict { kind: Type::Connected, status, reason, message })
}

fn approved(report: &ServerReport, pin: &PinReport) -> Verdict {
    let kind = Type::ToolsApproved;
    if pin.unapproved.is_empty() {
        let message = "Every tool means what was approved".to_owned();
        return Verdict { kind, status: "True", reason: Reason::ToolsAsApproved, message };
    }
    let reason = if pin.quarantined { Reason::ToolsQuarantined } else { Reason::ToolsChanged };
    let names: Vec<String> = pin
        .unapproved
        .iter()
        .take(MAX_SHOWN)
        .map(|name| format!("'{}'", shortened(name, MAX_NAME)))
        .collect();
    let more = pin.unapproved.len().saturating_sub(MAX_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let digest = report.tools_digest.as_deref().unwrap_or_default();
    let message = format!(
        "Not what was approved: {}{more}; if they are right, set the annotation {} to '{digest}'",
        names.join(", "),
        labels::APPROVED_TOOLS
    );
    // The digest must not be cut off.
    let message = if message.chars().count() > MAX_MESSAGE {
        format!(
            "{} tools are not what was approved; if they are right, set the annotation {} to '{digest}'",
            pin.unapproved.len(),
            labels::APPROVED_TOOLS
        )
    } else {
        message
    };
    Verdict { kind, status: "False", reason, message }
}

/// Which names are not shown, if any.
fn names(report: &ServerReport) -> Option<Verdict> {
    let named = report.hidden.iter().take(MAX_SHOWN);
    let named: Vec<String> =
        named.map(|(name, kept)| format!("'{}' ({kept} has it)", shortened(name, MAX_NAME))).collect();
    if named.is_empty() {
        return None;
    }
    let more = if report.hidden.len() > MAX_SHOWN { " and others" } else { "" };
    let message = format!("Not shown: {}{more}; rename them with `tools.overrides`", named.join(", "));
    Some(Verdict { kind: Type::NamesShown, status: "False", reason: Reason::NamesTaken, message })
}

fn catalog(report: &ServerReport) -> ServerCatalog {
    let count = |number: usize| i32::try_from(number).ok();
    let bytes = i64::try_from(report.tool_bytes).ok();
    let text = |text: &Option<String>, longest| text.as_deref().map(|text| shortened(text, longest));
    let fits = |name: &str| !name.is_empty() && name.chars().count() <= MAX_NAME;
    let unapproved = report.pin.iter().flat_map(|pin| &pin.unapproved).filter(|name| fits(name));
    let pinned = report.pin.iter().flat_map(|pin| &pin.pinned).flat_map(|pinned| &pinned.tools);
    ServerCatalog {
        server_name: text(&report.server_name, 256),
        server_version: text(&report.server_version, 256),
        protocol_version: text(&report.protocol_version, 32),
        tools: count(report.tools),
        resources: count(report.resources),
        prompts: count(report.prompts),
        tool_bytes: bytes,
        tool_tokens: i64::try_from(report.tool_tokens()).ok(),
        digest: report.tools_digest.clone(),
        unapproved_tools: unapproved.take(MAX_UNAPPROVED).cloned().collect(),
        pinned_tools: pinned
            .filter(|(name, _)| fits(name))
            .take(MAX_PINNED)
            .map(|(name, digest)| PinnedTool { name: name.clone(), digest: digest.clone() })
            .collect(),
    }
}

pub(super) fn shortened(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some(_) => text.chars().take(longest - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Pinned;
    use serde_json::json;

    fn report(state: ServerState) -> ServerReport {
        ServerReport {
            key: ServerKey { namespace: "shop".into(), name: "files".into() },
            state,
            tools: 2,
            resources: 1,
            prompts: 0,
            tool_bytes: 401,
            server_name: Some("x".repeat(300)),
            server_version: Some("1.2".into()),
            protocol_version: Some("2025-11-25".into()),
            confirmed: true,
            tools_digest: Some("sha256:ab".into()),
            pin: None,
            hidden: Vec::new(),
            scaling: None,
        }
    }

    fn resource() -> McpServer {
        serde_json::from_value(json!({
            "apiVersion": "portico.dev/v1alpha1", "kind": "McpServer",
            "metadata": { "name": "files", "namespace": "shop", "generation": 4 },
            "spec": { "source": { "builtin": { "name": "files" } } },
        }))
        .unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn said(own: &Own) -> Vec<String> {
        own.conditions.iter().map(|one| format!("{} {} {}", one.type_, one.status, one.reason)).collect()
    }

    fn first(report: &ServerReport) -> Own {
        desired(report, &resource(), &resource().part(), at(1)).unwrap()
    }

    #[test]
    fn each_state_has_its_verdict_and_a_server_that_is_being_connected_to_has_none() {
        let failing = |kind| ServerState::Failing { reason: "spoke FTP".into(), kind };
        for (state, expected) in [
            (ServerState::Connected, "Connected True SpeaksMcp"),
            (ServerState::Waiting, "Connected Unknown NoEndpoint"),
            (failing(Failure::Handshake), "Connected False HandshakeFailed"),
            (failing(Failure::Unauthorized), "Connected False NotAuthorized"),
            (failing(Failure::Unreachable), "Connected False Unreachable"),
        ] {
            assert_eq!(said(&first(&report(state))), [expected]);
        }
        assert_eq!(desired(&report(ServerState::Connecting), &resource(), &resource().part(), at(1)), None);
    }

    #[test]
    fn at_rest_nothing_differs_and_a_time_moves_only_with_its_status() {
        let own = first(&report(ServerState::Connected));
        assert_eq!(desired(&report(ServerState::Connected), &resource(), &own, at(9)), Some(own.clone()));
        let mut edited = resource();
        edited.metadata.generation = Some(5);
        let later = desired(&report(ServerState::Connected), &edited, &own, at(9)).unwrap();
        assert_eq!(later.conditions[0].last_transition_time, Time(at(1)));
        let failed = ServerState::Failing { reason: "x".into(), kind: Failure::Unreachable };
        let later = desired(&report(failed), &edited, &own, at(9)).unwrap();
        assert_eq!(later.conditions[0].last_transition_time, Time(at(9)));
    }

    #[test]
    fn a_summary_is_bounded_and_estimates_tokens() {
        let catalog = first(&report(ServerState::Connected)).catalog.unwrap();
        assert_eq!((catalog.tools, catalog.tool_bytes, catalog.tool_tokens), (Some(2), Some(401), Some(101)));
        assert_eq!(catalog.server_name.unwrap().chars().count(), 256);
        let names: Vec<String> =
            (0..1000).map(|index| format!("{index:0>126}")).chain(["x".repeat(129)]).collect();
        let tools = names.iter().map(|name| (name.clone(), "sha256:cd".to_owned())).collect();
        let pin = PinReport { pinned: Some(Pinned { tools }), unapproved: names, quarantined: true };
        let own = first(&ServerReport { pin: Some(pin), ..report(ServerState::Connected) });
        assert_eq!(said(&own)[1], "ToolsApproved False ToolsQuarantined");
        assert!(own.conditions[1].message.contains("sha256:ab"), "{}", own.conditions[1].message);
        assert!(own.conditions[1].message.chars().count() <= MAX_MESSAGE);
        let catalog = own.catalog.unwrap();
        assert_eq!((catalog.unapproved_tools.len(), catalog.pinned_tools.len()), (64, 512));
    }

    #[test]
    fn a_name_that_another_server_has_is_told_as_long_as_it_has_it() {
        let other = ServerKey { namespace: "shop".into(), name: "old".into() };
        let taken = ServerReport { hidden: vec![("find".into(), other)], ..report(ServerState::Connected) };
        let own = first(&taken);
        assert_eq!(said(&own), ["Connected True SpeaksMcp", "NamesShown False NamesTaken"]);
        assert!(own.conditions[1].message.contains("'find' (shop/old has it)"));
        let later = desired(&report(ServerState::Connected), &resource(), &own, at(9)).unwrap();
        assert_eq!(said(&later), ["Connected True SpeaksMcp"]);
    }

    #[test]
    fn what_was_known_of_a_server_stays_until_more_is_known() {
        let known = first(&report(ServerState::Connected));
        let unknown = ServerReport { protocol_version: None, ..report(ServerState::Waiting) };
        assert_eq!(desired(&unknown, &resource(), &known, at(1)).unwrap().catalog, known.catalog);
    }
}
