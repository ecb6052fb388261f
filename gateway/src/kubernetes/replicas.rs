//! From a server's Deployment and pods to how it is scaled. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use portico_crds::labels;
use portico_crds::scaling::ScalingStatus;
use serde_json::Value;

use crate::scaling::Record;
use crate::source::{Bounds, Endpoint, Scaled, Trouble};

/// Field manager of the number of replicas that the gateway asks for.
pub(super) const FIELD_MANAGER: &str = "portico-gateway-scale";
/// Who says how many replicas there are on behalf of the gateway: the operator, until the gateway does.
/// The last is the API server's own word for what was there before somebody applied something.
const OURS: [&str; 4] = [FIELD_MANAGER, "portico-operator", "portico-operator-scale", "before-first-apply"];
/// Annotations in the cache alone: who set the number of replicas last, and when.
const OWNER: &str = "portico.dev/cache-replicas-owner";
const OWNED_SINCE: &str = "portico.dev/cache-replicas-since";
const UNCLAIMED: &str = "portico.dev/cache-replicas-unclaimed";
/// Who has set the number to zero, as far as the API server tells.
const SOMEBODY: &str = "somebody";
/// Characters of a pod's trouble.
const MAX_TROUBLE: usize = 512;

/// Keeps of a Deployment what scaling goes by.
pub(super) fn prune(deployment: &mut Deployment) {
    let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let found = owner(deployment.managed_fields(), replicas);
    deployment.managed_fields_mut().clear();
    let annotations = deployment.annotations_mut();
    annotations.clear();
    match found {
        Owner::Ours => {}
        Owner::Nobody => drop(annotations.insert(UNCLAIMED.into(), String::new())),
        Owner::Other(owner, since) => {
            annotations.insert(OWNER.into(), owner);
            annotations.extend(since.map(|since| (OWNED_SINCE.into(), since.to_string())));
        }
    }
    if let Some(spec) = &mut deployment.spec {
        spec.template = k8s_openapi::api::core::v1::PodTemplateSpec::default();
    }
    deployment.status = None;
}

/// Keeps of a pod what scaling goes by.
pub(super) fn prune_pod(pod: &mut Pod) {
    pod.managed_fields_mut().clear();
    pod.annotations_mut().retain(|key, _| key == labels::DELETION_COST);
    pod.spec = None;
    if let Some(status) = &mut pod.status {
        (status.resource_claim_statuses, status.host_ips) = (None, None);
    }
}

/// Whose the number of replicas is.
enum Owner {
    /// The gateway's, or the operator's until the gateway writes it.
    Ours,
    /// Nobody has written it. The API server does not say who changes such a number by its scale, so it has to be claimed first.
    Nobody,
    /// Somebody else's, since then.
    Other(String, Option<Timestamp>),
}

fn owner(managed: &[ManagedFieldsEntry], replicas: i32) -> Owner {
    let owns = |entry: &&ManagedFieldsEntry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        fields.is_some_and(|fields: &Value| !fields["f:spec"]["f:replicas"].is_null())
    };
    let all: Vec<_> = managed.iter().filter(owns).collect();
    let time = |entry: &&ManagedFieldsEntry| entry.time.as_ref().map(|time| time.0);
    // The API server gives no time for what was written by the scale: not later than the last time of anything, then.
    let last = || managed.iter().filter_map(|entry| time(&entry)).max();
    let manager = |entry: &ManagedFieldsEntry| entry.manager.clone().unwrap_or_default();
    // Whoever else writes another number takes the field away from us; with the same one both own it.
    if all.iter().any(|entry| manager(entry) == FIELD_MANAGER) {
        return Owner::Ours;
    }
    if let Some(other) = all.iter().find(|entry| !OURS.contains(&manager(entry).as_str())) {
        return Owner::Other(manager(other), time(other).or_else(last));
    }
    match (all.is_empty(), replicas) {
        (false, _) => Owner::Ours,
        // A scale of zero is written as no number at all, by which everybody loses the field. We never do that.
        (true, 0) => Owner::Other(SOMEBODY.into(), last()),
        (true, _) => Owner::Nobody,
    }
}

/// How a server is scaled: with its Deployment, what its resource is annotated with, and what was decided before.
pub(super) fn scaled(
    bounds: Bounds,
    deployment: Option<&Deployment>,
    pods: &[&Pod],
    (annotations, status): (&BTreeMap<String, String>, Option<&ScalingStatus>),
) -> Option<Scaled> {
    let deployment = deployment?;
    let desired = deployment.spec.as_ref()?.replicas.unwrap_or(1);
    Some(Scaled {
        owner: foreign_owner(deployment, annotations),
        unclaimed: is_unclaimed(deployment, annotations),
        trouble: pods.iter().find_map(|pod| trouble(pod)),
        retry_at: status.and_then(|status| status.retry_at.as_ref()).map(|time| time.0),
        history: status.map(|status| status.history.iter().map(record).collect()).unwrap_or_default(),
        ..Scaled::new(bounds, u32::try_from(desired).unwrap_or_default())
    })
}

fn record(decision: &portico_crds::scaling::ScalingDecision) -> Record {
    Record {
        time: decision.time.0,
        from: u32::try_from(decision.from).unwrap_or_default(),
        to: u32::try_from(decision.to).unwrap_or_default(),
        reason: decision.reason.clone(),
        message: decision.message.clone(),
    }
}

/// Whether the number has to be claimed: nobody ever wrote it, or somebody who has given it back.
fn is_unclaimed(deployment: &Deployment, annotations: &BTreeMap<String, String>) -> bool {
    let is_known = |key: &str| deployment.annotations().contains_key(key);
    is_known(UNCLAIMED) || (is_known(OWNER) && foreign_owner(deployment, annotations).is_none())
}

/// Who else says how many replicas there are, unless the number was given back to the gateway since.
fn foreign_owner(deployment: &Deployment, annotations: &BTreeMap<String, String>) -> Option<String> {
    let time = |text: Option<&String>| text.and_then(|text| text.parse::<Timestamp>().ok());
    let owner = deployment.annotations().get(OWNER)?;
    let since = time(deployment.annotations().get(OWNED_SINCE));
    let given_back = time(annotations.get(labels::TAKE_REPLICAS));
    let is_given_back = matches!((since, given_back), (Some(since), Some(back)) if back >= since);
    (!is_given_back).then(|| owner.clone())
}

/// Replicas that are to go and still serve whom they know, be it that their cluster does not call them ready, yet or any more.
pub(super) fn draining(pods: &[&Pod], url: impl Fn(&str) -> String) -> Vec<Endpoint> {
    let drains = |pod: &&&Pod| {
        let marked = pod.labels().get(labels::SERVING).is_some_and(|value| value == labels::DRAINING);
        marked && pod.metadata.deletion_timestamp.is_none() && !has_ended(pod)
    };
    let address = |pod: &&Pod| pod.status.as_ref().and_then(|status| status.pod_ip.clone());
    let mut all: Vec<_> =
        pods.iter().filter(drains).filter_map(address).map(|address| Endpoint::pod(url(&address))).collect();
    all.sort();
    all
}

/// The addresses of replicas that are to go, or that end: slices may still name them.
pub(super) fn leaving<'a>(pods: &'a [&Pod]) -> impl Iterator<Item = &'a str> {
    let leaves = |pod: &&&Pod| {
        let marked = pod.labels().get(labels::SERVING).is_some_and(|value| value == labels::DRAINING);
        marked || pod.metadata.deletion_timestamp.is_some()
    };
    pods.iter().filter(leaves).filter_map(|pod| pod.status.as_ref()?.pod_ip.as_deref())
}

/// Whether its containers run no more and never will.
fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Failed" | "Succeeded"))
}

/// What keeps a pod from serving, as its cluster tells.
fn trouble(pod: &Pod) -> Option<Trouble> {
    let (name, status) = (pod.name_any(), pod.status.as_ref()?);
    let told = |reason: &str, message: String| {
        Some(Trouble { reason: reason.to_owned(), message: shortened(message) })
    };
    let conditions = status.conditions.iter().flatten();
    let unplaced = conditions.into_iter().find(|one| one.type_ == "PodScheduled" && one.status == "False");
    if let Some(unplaced) = unplaced {
        let said = unplaced.message.as_deref().unwrap_or_default();
        return told("Unschedulable", format!("pod {name} has no node: {said}"));
    }
    let containers =
        status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    containers.into_iter().find_map(|container| {
        let state = container.state.as_ref()?;
        if let Some(waiting) = &state.waiting {
            let reason = waiting.reason.as_deref().filter(|reason| !STARTING.contains(reason))?;
            let said = waiting.message.as_deref().unwrap_or_default();
            let ended = container.last_state.as_ref().and_then(|last| last.terminated.as_ref());
            let code = ended.map(|ended| format!("; it has ended with exit code {}", ended.exit_code));
            let code = code.unwrap_or_default();
            return told(reason, format!("pod {name} waits: {reason}: {said}{code}"));
        }
        let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
        told("Crashed", format!("pod {name} has ended with exit code {}", ended.exit_code))
    })
}

/// What a kubelet says of a pod that is on its way.
const STARTING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

fn shortened(text: String) -> String {
    match text.char_indices().nth(MAX_TROUBLE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(managers: &[(&str, &str)]) -> Deployment {
        let managed: Vec<Value> = managers
            .iter()
            .map(|(manager, time)| {
                json!({ "manager": manager, "operation": "Update", "time": time, "fieldsV1": { "f:spec": { "f:replicas": {} } } })
            })
            .collect();
        let mut deployment: Deployment = serde_json::from_value(json!({
            "metadata": { "name": "files-mcp", "managedFields": managed },
            "spec": { "replicas": 3, "selector": {}, "template": {} },
        }))
        .unwrap();
        prune(&mut deployment);
        deployment
    }

    fn owner_of(managers: &[(&str, &str)], given_back: Option<&str>) -> Option<String> {
        let annotations = given_back.map(|time| (labels::TAKE_REPLICAS.to_owned(), time.to_owned()));
        let annotations = annotations.into_iter().collect();
        scaled(Bounds::default(), Some(&deployment(managers)), &[], (&annotations, None)).unwrap().owner
    }

    const NOON: &str = "2026-03-01T12:00:00Z";

    #[test]
    fn whoever_else_sets_the_number_is_respected_until_it_is_given_back() {
        assert_eq!(owner_of(&[], None), None);
        let unclaimed = |managers| {
            scaled(Bounds::default(), Some(&deployment(managers)), &[], (&BTreeMap::new(), None))
                .unwrap()
                .unclaimed
        };
        assert!(unclaimed(&[]) && !unclaimed(&[(FIELD_MANAGER, NOON)]) && !unclaimed(&[("kubectl", NOON)]));
        assert_eq!(owner_of(&[(FIELD_MANAGER, NOON), ("portico-operator-scale", NOON)], None), None);
        assert_eq!(owner_of(&[(FIELD_MANAGER, NOON), ("kubectl", NOON)], None), None, "both say the same");
        let person = [("kubectl", NOON), ("portico-operator", NOON)];
        assert_eq!(owner_of(&person, None).as_deref(), Some("kubectl"));
        assert_eq!(owner_of(&person, Some("2026-03-01T11:59:59Z")).as_deref(), Some("kubectl"));
        assert_eq!(owner_of(&person, Some("2026-03-01T12:00:00Z")), None);
        assert_eq!(owner_of(&person, Some("yesterday")).as_deref(), Some("kubectl"));
    }

    #[test]
    fn a_zero_that_nobody_owns_was_set_by_somebody_until_it_is_given_back() {
        let mut zero: Deployment = serde_json::from_value(json!({
            "metadata": { "name": "files-mcp", "managedFields": [{ "manager": "kube-controller-manager", "operation": "Update", "time": NOON, "fieldsV1": {} }] },
            "spec": { "replicas": 0, "selector": {}, "template": {} },
        }))
        .unwrap();
        prune(&mut zero);
        let owner = |back: &str| {
            let annotations = [(labels::TAKE_REPLICAS.to_owned(), back.to_owned())].into();
            scaled(Bounds::default(), Some(&zero), &[], (&annotations, None)).unwrap().owner
        };
        assert_eq!(owner("2026-03-01T11:00:00Z").as_deref(), Some(SOMEBODY));
        assert_eq!(owner("2026-03-01T13:00:00Z"), None);
    }

    fn pod(rest: &Value) -> Pod {
        let mut pod = json!({ "metadata": { "name": "files-1", "labels": {} }, "status": {} });
        for (key, value) in rest.as_object().unwrap() {
            pod[key].as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        }
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn what_keeps_a_pod_from_serving_is_told_and_a_start_on_its_way_is_not() {
        let waits = |reason: &str| {
            trouble(&pod(&json!({ "status": { "containerStatuses": [{
                "name": "server", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "waiting": { "reason": reason, "message": "no such image" } } }] } })))
        };
        assert_eq!(waits("ContainerCreating"), None);
        let said = |trouble: Option<Trouble>| trouble.map(|trouble| (trouble.reason, trouble.message));
        let told = |reason: &str, message: &str| Some((reason.to_owned(), message.to_owned()));
        assert_eq!(
            said(waits("ErrImagePull")),
            told("ErrImagePull", "pod files-1 waits: ErrImagePull: no such image")
        );
        let crashing = pod(&json!({ "status": { "containerStatuses": [{
            "name": "server", "image": "x", "imageID": "", "ready": false, "restartCount": 2,
            "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 10s" } },
            "lastState": { "terminated": { "exitCode": 1 } } }] } }));
        let message = "pod files-1 waits: CrashLoopBackOff: back-off 10s; it has ended with exit code 1";
        assert_eq!(said(trouble(&crashing)), told("CrashLoopBackOff", message));
        let unplaced = pod(&json!({ "status": { "conditions": [
            { "type": "PodScheduled", "status": "False", "message": "0/1 nodes are available" }] } }));
        assert_eq!(
            said(trouble(&unplaced)),
            told("Unschedulable", "pod files-1 has no node: 0/1 nodes are available")
        );
        let crashed = pod(&json!({ "status": { "containerStatuses": [{
            "name": "server", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "terminated": { "exitCode": 3 } } }] } }));
        assert_eq!(said(trouble(&crashed)), told("Crashed", "pod files-1 has ended with exit code 3"));
    }

    #[test]
    fn a_pod_that_is_marked_is_drained_whether_it_is_called_ready_or_not() {
        let of = |label: &str, (ip, phase): (&str, &str)| {
            pod(&json!({ "metadata": { "labels": { "portico.dev/serving": label } },
                "status": { "podIP": ip, "phase": phase } }))
        };
        let url = |address: &str| format!("http://{address}:1/mcp");
        let (marked, serving) =
            (of("draining", ("10.0.0.7", "Running")), of("true", ("10.0.0.8", "Running")));
        let ended = of("draining", ("10.0.0.9", "Failed"));
        assert_eq!(draining(&[&marked, &serving, &ended], url), [Endpoint::pod("http://10.0.0.7:1/mcp")]);
    }
}
