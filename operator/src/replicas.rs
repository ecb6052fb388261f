//! Who says how many pods a Deployment has.
//!
//! When a spec stops naming replicas, the field would go with our ownership of it, and the API server would put its
//! default of one in its place: an outage for a server with ten pods. So the live number is handed to a field manager
//! that stands in until an autoscaler, the gateway or a person takes the field.

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    child::{CALL_TIMEOUT, Children, FIELD_MANAGER},
    error::Error,
};

/// Field manager of replicas that nobody has claimed yet.
const STAND_IN: &str = "portico-operator-scale";

/// Keeps the live number of replicas where `desired` names none and we have named it so far.
///
/// # Errors
/// When the API server cannot be asked, or does not take the handover.
pub async fn hand_over(
    client: &Client,
    children: &Children<Deployment>,
    desired: &Deployment,
) -> Result<(), Error> {
    let named = desired.spec.as_ref().is_some_and(|spec| spec.replicas.is_some());
    if named || children.is_as_written(desired) {
        return Ok(());
    }
    let (namespace, name) = (desired.namespace().unwrap_or_default(), desired.name_any());
    if children.current(&namespace, &name).is_none() {
        return Ok(());
    }
    let api = Api::<Deployment>::namespaced(client.clone(), &namespace);
    let call = async {
        let live = api.get_opt(&name).await?;
        let Some(replicas) =
            live.as_ref().filter(|live| is_ours(live)).and_then(|live| live.spec.as_ref()?.replicas)
        else {
            return Ok(());
        };
        let uid = live.and_then(|live| live.uid());
        let body = json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "uid": uid}, "spec": {"replicas": replicas}});
        let params = PatchParams::apply(STAND_IN).force();
        api.patch(&name, &params, &Patch::Apply(&body)).await.map(drop)
    };
    let object = || format!("replicas of Deployment '{name}'");
    match timeout(CALL_TIMEOUT, call).await {
        Ok(done) => done.map_err(|source: kube::Error| Error::Api {
            verb: "hand over the",
            object: object(),
            source: Box::new(source),
        }),
        Err(_) => Err(Error::Timeout { verb: "hand over the", object: object() }),
    }
}

/// Whether our own field manager holds `spec.replicas`.
fn is_ours(live: &Deployment) -> bool {
    live.managed_fields().iter().any(|entry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        entry.manager.as_deref() == Some(FIELD_MANAGER)
            && fields.is_some_and(|fields: &Value| !fields["f:spec"]["f:replicas"].is_null())
    })
}
