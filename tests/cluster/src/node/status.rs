//! From what is known of the containers to the pod's status.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    Pod, PodCondition, PodIP, PodSpec, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::board::{Ended, Record, Role, State};

/// The address by which the node is known.
pub(super) const HOST_ADDRESS: &str = crate::network::ADDRESS;

/// The status that a kubelet would report. `before` is the status now on the server, whose conditions of others
/// (the scheduler's, readiness gates) count and whose times stay where nothing changed.
pub(super) fn of(pod: &Pod, records: &[Record], ip: &str, start: Timestamp) -> PodStatus {
    let spec = pod.spec.clone().unwrap_or_default();
    let phase = phase(&spec, records);
    let (inits, mains): (Vec<_>, Vec<_>) = records.iter().partition(|record| record.role != Role::Main);
    PodStatus {
        conditions: Some(conditions(pod, &spec, records, phase)),
        host_ip: Some(HOST_ADDRESS.to_owned()),
        pod_ip: Some(ip.to_owned()),
        pod_ips: Some(vec![PodIP { ip: ip.to_owned() }]),
        start_time: Some(Time(start)),
        init_container_statuses: (!inits.is_empty()).then(|| inits.into_iter().map(container).collect()),
        container_statuses: Some(mains.into_iter().map(container).collect()),
        phase: Some(phase.to_owned()),
        ..PodStatus::default()
    }
}

/// Whether nothing of the pod will ever run again.
pub(super) fn is_final(phase: &str) -> bool {
    phase == "Succeeded" || phase == "Failed"
}

fn phase(spec: &PodSpec, records: &[Record]) -> &'static str {
    let policy = spec.restart_policy.as_deref().unwrap_or("Always");
    let ended = |record: &Record| matches!(record.state, State::Ended(_));
    let of_role = |role| records.iter().filter(move |record: &&Record| record.role == role);
    if policy == "Never" && of_role(Role::Init).any(|init| ended(init) && !init.succeeded()) {
        return "Failed";
    }
    if of_role(Role::Init).any(|init| !init.succeeded()) {
        return "Pending";
    }
    if of_role(Role::Main).any(|main| matches!(main.state, State::Waiting { .. }) && main.last.is_none()) {
        return "Pending";
    }
    match (of_role(Role::Main).all(ended), policy) {
        (true, "Never" | "OnFailure") if of_role(Role::Main).all(Record::succeeded) => "Succeeded",
        (true, "Never") => "Failed",
        _ => "Running",
    }
}

fn conditions(pod: &Pod, spec: &PodSpec, records: &[Record], phase: &str) -> Vec<PodCondition> {
    let of_role = |role| records.iter().filter(move |record: &&Record| record.role == role);
    let initialized = of_role(Role::Init).all(Record::succeeded) && of_role(Role::Sidecar).all(|s| s.started);
    let unready: Vec<&str> = records
        .iter()
        .filter(|record| record.role != Role::Init && !record.ready)
        .map(|record| record.name.as_str())
        .collect();
    let why_not = match phase {
        "Succeeded" => Some(("PodCompleted", String::new())),
        "Failed" => Some(("PodFailed", String::new())),
        _ if unready.is_empty() => None,
        _ => Some(("ContainersNotReady", format!("containers with unready status: [{}]", unready.join(" ")))),
    };
    let gate = spec.readiness_gates.iter().flatten().find(|gate| !holds(pod, &gate.condition_type));
    let closed = gate.map(|gate| {
        let message =
            format!("corresponding condition of pod readiness gate \"{}\" is not true", gate.condition_type);
        ("ReadinessGatesNotReady", message)
    });
    let not_initialized = (!initialized).then(|| ("ContainersNotInitialized", String::new()));
    vec![
        condition(pod, "PodReadyToStartContainers", None),
        condition(pod, "Initialized", not_initialized),
        condition(pod, "ContainersReady", why_not.clone()),
        condition(pod, "Ready", why_not.or(closed)),
    ]
}

fn present<'a>(pod: &'a Pod, name: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == name)
}

fn holds(pod: &Pod, name: &str) -> bool {
    present(pod, name).is_some_and(|condition| condition.status == "True")
}

/// A condition that holds unless there is a reason why not.
fn condition(pod: &Pod, name: &str, why_not: Option<(&str, String)>) -> PodCondition {
    let status = if why_not.is_none() { "True" } else { "False" };
    let since = present(pod, name)
        .filter(|before| before.status == status)
        .and_then(|before| before.last_transition_time.clone());
    let (reason, message) = why_not.map_or((None, None), |(reason, message)| {
        (Some(reason.to_owned()), Some(message).filter(|message| !message.is_empty()))
    });
    PodCondition {
        type_: name.to_owned(),
        status: status.to_owned(),
        last_transition_time: Some(since.unwrap_or_else(|| Time(now()))),
        reason,
        message,
        ..PodCondition::default()
    }
}

/// The time in whole seconds, as the API keeps it: a status read back must equal the one written.
pub(super) fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn container(record: &Record) -> ContainerStatus {
    let id = match &record.state {
        State::Running { pid, .. } => Some(format!("process://{pid}")),
        _ => None,
    };
    ContainerStatus {
        name: record.name.clone(),
        image: record.image.clone(),
        container_id: id,
        state: Some(state(&record.state)),
        last_state: record.last.as_ref().map(|last| state(&State::Ended(last.clone()))),
        restart_count: record.restarts,
        started: Some(record.started),
        ready: record.ready || record.role == Role::Init && record.succeeded(),
        ..ContainerStatus::default()
    }
}

fn state(state: &State) -> ContainerState {
    let mut object = ContainerState::default();
    match state {
        State::Waiting { reason, message } => {
            object.waiting = Some(ContainerStateWaiting {
                reason: Some(reason.clone()),
                message: Some(message.clone()).filter(|message| !message.is_empty()),
            });
        }
        State::Running { since, .. } => {
            object.running = Some(ContainerStateRunning { started_at: Some(Time(*since)) });
        }
        State::Ended(ended) => object.terminated = Some(terminated(ended)),
    }
    object
}

fn terminated(ended: &Ended) -> ContainerStateTerminated {
    ContainerStateTerminated {
        exit_code: ended.code,
        reason: Some(if ended.code == 0 { "Completed" } else { "Error" }.to_owned()),
        started_at: Some(Time(ended.begin)),
        finished_at: Some(Time(ended.end)),
        ..ContainerStateTerminated::default()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Container;
    use serde_json::json;

    use super::*;

    fn record(role: Role, state: State) -> Record {
        let container = Container { name: "c".to_owned(), ..Container::default() };
        Record { state, ..Record::new(&container, role) }
    }

    fn ended(code: i32) -> State {
        State::Ended(Ended { code, begin: now(), end: now() })
    }

    fn running() -> State {
        State::Running { since: now(), pid: nix::unistd::Pid::from_raw(1) }
    }

    fn waiting() -> State {
        State::Waiting { reason: "CrashLoopBackOff".to_owned(), message: String::new() }
    }

    fn phase_with(policy: &str, records: &[Record]) -> &'static str {
        phase(&PodSpec { restart_policy: Some(policy.to_owned()), ..PodSpec::default() }, records)
    }

    #[test]
    fn the_phase_follows_the_containers_and_the_restart_policy() {
        let one = |state| vec![record(Role::Main, state)];
        assert_eq!(phase_with("Always", &one(waiting())), "Pending");
        assert_eq!(phase_with("Always", &one(running())), "Running");
        assert_eq!(phase_with("Always", &one(ended(0))), "Running");
        assert_eq!(phase_with("OnFailure", &one(ended(0))), "Succeeded");
        assert_eq!(phase_with("OnFailure", &one(ended(1))), "Running");
        assert_eq!(phase_with("Never", &one(ended(1))), "Failed");
    }

    #[test]
    fn a_container_that_waits_for_its_restart_leaves_the_pod_running() {
        let mut crashed = record(Role::Main, waiting());
        crashed.last = Some(Ended { code: 1, begin: now(), end: now() });
        assert_eq!(phase_with("Always", &[crashed]), "Running");
    }

    #[test]
    fn an_init_container_that_fails_for_good_fails_the_pod() {
        let records = [record(Role::Init, ended(1)), record(Role::Main, waiting())];
        assert_eq!(phase_with("Never", &records), "Failed");
        assert_eq!(phase_with("Always", &records), "Pending");
    }

    #[test]
    fn a_closed_readiness_gate_keeps_a_pod_with_ready_containers_from_being_ready() {
        let pod = |status: &str| -> Pod {
            serde_json::from_value(json!({
                "spec": {"containers": [], "readinessGates": [{"conditionType": "example.com/open"}]},
                "status": {"conditions": [{"type": "example.com/open", "status": status}]},
            }))
            .unwrap()
        };
        let mut main = record(Role::Main, running());
        main.ready = true;
        for (gate, ready) in [("False", "False"), ("True", "True")] {
            let status = of(&pod(gate), std::slice::from_ref(&main), "198.18.0.1", now());
            let conditions = status.conditions.unwrap();
            let of = |name: &str| conditions.iter().find(|c| c.type_ == name).unwrap().status.clone();
            assert_eq!((of("ContainersReady").as_str(), of("Ready").as_str()), ("True", ready));
        }
    }

    #[test]
    fn a_condition_that_stays_keeps_its_time() {
        let pod: Pod = serde_json::from_value(json!({
            "status": {"conditions": [
                {"type": "Ready", "status": "False", "lastTransitionTime": "2020-01-01T00:00:00Z"}]},
        }))
        .unwrap();
        let time = |why_not| condition(&pod, "Ready", why_not).last_transition_time.unwrap().0.to_string();
        assert_eq!(time(Some(("Why", String::new()))), "2020-01-01T00:00:00Z");
        assert_ne!(time(None), "2020-01-01T00:00:00Z");
    }
}
