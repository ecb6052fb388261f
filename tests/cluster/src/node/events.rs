//! Events on pods, with a kubelet's reasons: what people and operators look at first.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::PostParams;
use kube::{Api, Client, Resource, ResourceExt};

use super::NODE_NAME;
use super::environment::namespace;

/// Writes an event in the background; one that is lost matters to nobody.
pub(super) fn tell(client: &Client, pod: &Pod, reason: &str, message: String) {
    let events: Api<Event> = Api::namespaced(client.clone(), &namespace(pod));
    let event = event(pod, reason, message);
    tokio::spawn(async move { events.create(&PostParams::default(), &event).await.ok() });
}

fn event(pod: &Pod, reason: &str, message: String) -> Event {
    let mut event = Event {
        involved_object: ObjectReference { api_version: Some("v1".to_owned()), ..pod.object_ref(&()) },
        reason: Some(reason.to_owned()),
        message: Some(message),
        type_: Some(if is_normal(reason) { "Normal" } else { "Warning" }.to_owned()),
        source: Some(EventSource { component: Some("kubelet".to_owned()), host: Some(NODE_NAME.to_owned()) }),
        first_timestamp: Some(Time(Timestamp::now())),
        last_timestamp: Some(Time(Timestamp::now())),
        count: Some(1),
        ..Event::default()
    };
    event.metadata.generate_name = Some(format!("{}.", pod.name_any()));
    event.metadata.namespace = pod.namespace();
    event
}

fn is_normal(reason: &str) -> bool {
    matches!(reason, "Started" | "Killing")
}
