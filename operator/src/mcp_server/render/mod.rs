//! From a validated server to the objects it should have. Pure and infallible: no client, no clock, no
//! environment, nothing random.

mod deployment;
mod env;
mod network;
mod pod;
mod volume;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
        util::intstr::IntOrString,
    },
};
use kube::Resource as _;
use portico_crds::{McpServer, labels};

pub(crate) use network::{destination, dns, gateway, operator};
pub use pod::{BRIDGE_DIRECTORY, CONTAINER, PORT_NAME, config_key};

use super::validate::{Program, ValidatedServer};
use crate::marks::{is_left_unmarked, is_marked};

/// The objects of one server. `apply` takes it apart field by field, so that a new kind of child cannot be
/// forgotten there.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// Identity of the pods, without rights and without a token.
    pub service_account: Option<ServiceAccount>,
    /// The server's `configFiles`.
    pub config_map: Option<ConfigMap>,
    /// Who may talk to the pods, and to whom they may talk.
    pub network_policy: Option<NetworkPolicy>,
    /// Address of the server in the cluster.
    pub service: Option<Service>,
    /// How many pods may be evicted at once.
    pub disruption_budget: Option<PodDisruptionBudget>,
    /// The pods.
    pub deployment: Option<Deployment>,
}

/// The objects that `server` should have; none where nothing is deployed.
#[must_use]
pub fn render(server: &ValidatedServer) -> Desired {
    if matches!(server.program, Program::Elsewhere { .. }) {
        return Desired::default();
    }
    Desired {
        service_account: Some(service_account(server)),
        config_map: config_map(server),
        network_policy: Some(network::policy(server)),
        service: Some(network::service(server)),
        disruption_budget: Some(disruption_budget(server)),
        deployment: Some(deployment::deployment(server)),
    }
}

/// Whether the spec's `podTemplate` can be merged.
///
/// # Errors
/// Says what of the merged template Kubernetes would not take.
pub fn check_patch(server: &ValidatedServer) -> Result<(), String> {
    if matches!(server.program, Program::Elsewhere { .. }) {
        return Ok(());
    }
    pod::patched_template(server).map(|_| ()).map_err(|error| format!("spec.podTemplate: {error}"))
}

/// Name of every child but the `ConfigMap`: the suffix keeps children of other kinds out of the way.
#[must_use]
pub fn child_name(server: &str) -> String {
    format!("{server}-mcp")
}

/// The image of Portico's own that the pods should run: the one that `live` runs, as long as nothing else of its pods
/// changes, else this operator's own. So a newer operator restarts no pod; what is edited moves on.
#[must_use]
fn own_image(server: &ValidatedServer, live: Option<&Deployment>) -> String {
    written_image(server, live).unwrap_or_else(|| server.portico_image.clone())
}

/// The image of Portico's own that `live` runs, if it was made as `server` would have it with that image.
fn written_image(server: &ValidatedServer, live: Option<&Deployment>) -> Option<String> {
    let annotations = live?.metadata.annotations.as_ref()?;
    let (image, digest) =
        (annotations.get(labels::PORTICO_IMAGE)?, annotations.get(labels::TEMPLATE_DIGEST)?);
    // The digest goes over the image as well: an annotation edited by hand is not believed.
    (*digest == deployment::digest(server, image)).then(|| image.clone())
}

/// `server` with how many pods `live` has, and with what of its pods is kept as `live` has it, as long as nothing else of them changes (`service` is theirs): Portico's own image,
/// whether they are marked as serving, and whether their log tells why they ended.
#[must_use]
pub fn kept(
    server: ValidatedServer,
    live: Option<&Deployment>,
    service: Option<&Service>,
) -> ValidatedServer {
    let scaled_to = live.and_then(|live| live.spec.as_ref()?.replicas);
    let server = ValidatedServer { scaled_to, ..server };
    let quiet = ValidatedServer { tells_why: false, ..server.clone() };
    let server = if written_image(&quiet, live).is_some() { quiet } else { server };
    let with_image = |server: ValidatedServer| {
        let portico_image = own_image(&server, live);
        ValidatedServer { portico_image, ..server }
    };
    if live.is_none_or(is_marked) {
        return with_image(server);
    }
    let unmarked = with_image(ValidatedServer { marked: false, tells_why: false, ..server.clone() });
    if is_left_unmarked(render(&unmarked).deployment.as_ref(), live, service) {
        unmarked
    } else {
        with_image(server)
    }
}

/// URL of the server's MCP endpoint, as the gateway and people in the cluster use it.
#[must_use]
pub fn url(server: &ValidatedServer) -> String {
    if let Program::Elsewhere { url } = &server.program {
        url.clone()
    } else {
        let (name, namespace) = (child_name(&server.name), &server.namespace);
        format!("http://{name}.{namespace}.svc:{}{}", server.spec.port, server.spec.path)
    }
}

/// Labels that select a server's pods. They can never change.
#[must_use]
pub fn selector(server: &str) -> BTreeMap<String, String> {
    strings(&[(labels::NAME, "mcp-server"), (labels::MCP_SERVER, server)])
}

fn child_labels(server: &ValidatedServer) -> BTreeMap<String, String> {
    let mut all = selector(&server.name);
    all.extend(strings(&[
        (labels::INSTANCE, &server.name),
        (labels::COMPONENT, "server"),
        (labels::PART_OF, labels::PORTICO),
        (labels::MANAGED_BY, labels::OPERATOR),
    ]));
    all
}

fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn meta(server: &ValidatedServer, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(server.namespace.clone()),
        labels: Some(child_labels(server)),
        owner_references: Some(vec![owner(server)]),
        ..ObjectMeta::default()
    }
}

fn owner(server: &ValidatedServer) -> OwnerReference {
    OwnerReference {
        api_version: McpServer::api_version(&()).into_owned(),
        kind: McpServer::kind(&()).into_owned(),
        name: server.name.clone(),
        uid: server.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

fn service_account(server: &ValidatedServer) -> ServiceAccount {
    ServiceAccount {
        metadata: meta(server, child_name(&server.name)),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

fn config_map(server: &ValidatedServer) -> Option<ConfigMap> {
    let files = &server.spec.config_files;
    (!files.is_empty()).then(|| ConfigMap {
        metadata: meta(server, config_map_name(&server.name)),
        data: Some(files.iter().map(|file| (config_key(&file.path), file.content.clone())).collect()),
        ..ConfigMap::default()
    })
}

pub(crate) fn config_map_name(server: &str) -> String {
    format!("{server}-mcp-files")
}

/// One pod at a time may be evicted; pods that are not ready do not hold a drain up.
fn disruption_budget(server: &ValidatedServer) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: meta(server, child_name(&server.name)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(label_selector(server)),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".into()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}

fn label_selector(server: &ValidatedServer) -> LabelSelector {
    LabelSelector { match_labels: Some(selector(&server.name)), ..LabelSelector::default() }
}
