//! From the caches to the servers. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint as Ready, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;
use portico_crds::scaling::ScalingStatus;
use portico_crds::{InferenceModel, McpServer, labels};

use super::replicas;
use crate::source::{Bounds, Endpoint, Pinned, Server, ServerKey};

/// The label by which the cluster names the Service of a slice.
const SERVICE: &str = "kubernetes.io/service-name";
/// The port of every engine.
const MODEL_PORT: i32 = 8080;

type ByName<'a, K> = HashMap<(String, String), Vec<&'a K>>;

/// What the caches hold.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) resources: Vec<Arc<McpServer>>,
    pub(super) models: Vec<Arc<InferenceModel>>,
    pub(super) slices: Vec<Arc<EndpointSlice>>,
    pub(super) services: Vec<Arc<Service>>,
    pub(super) deployments: Vec<Arc<Deployment>>,
    pub(super) pods: Vec<Arc<Pod>>,
}

/// The same by the names of what they belong to.
struct Index<'a> {
    slices: ByName<'a, EndpointSlice>,
    slices_of_services: ByName<'a, EndpointSlice>,
    services: &'a [Arc<Service>],
    deployments: ByName<'a, Deployment>,
    pods: ByName<'a, Pod>,
}

/// All servers and models with the endpoints that are ready, in order of their keys.
pub(super) fn servers(objects: &Objects) -> Vec<Server> {
    let (of_servers, of_models) =
        (Index::new(objects, labels::MCP_SERVER), Index::new(objects, labels::INFERENCE_MODEL));
    let servers = objects.resources.iter().filter(|server| is_alive(&server.metadata));
    let models = objects.models.iter().filter(|model| is_alive(&model.metadata));
    let servers = servers.map(|resource| of_servers.server(resource));
    let models = models.filter_map(|resource| of_models.model(resource));
    let mut all: Vec<Server> = servers.chain(models).collect();
    all.sort_by(|one, other| (&one.key, one.kind()).cmp(&(&other.key, other.kind())));
    all
}

fn is_alive(meta: &ObjectMeta) -> bool {
    meta.deletion_timestamp.is_none()
}

impl<'a> Index<'a> {
    /// What belongs to those that `label` names.
    fn new(objects: &'a Objects, label: &str) -> Self {
        Self {
            slices: index(&objects.slices, label),
            slices_of_services: index(&objects.slices, SERVICE),
            services: &objects.services,
            deployments: index(&objects.deployments, label),
            pods: index(&objects.pods, label),
        }
    }

    fn server(&self, resource: &McpServer) -> Server {
        let key =
            ServerKey { namespace: resource.namespace().unwrap_or_default(), name: resource.name_any() };
        let (endpoints, starting) = self.endpoints(resource, &key);
        let mut server = Server::from_resource(resource, endpoints);
        if let Some(pinning) = &mut server.pinning {
            pinning.remembered = remembered(resource);
        }
        let spec = &resource.spec;
        if let Some(scaling) = &spec.scaling {
            let status = resource.status.as_ref().and_then(|status| status.scaling.as_ref());
            server.starting = starting;
            let known = (resource.annotations(), status);
            self.scale(&mut server, Bounds::of_server(scaling), (known, (spec.port, &spec.path)));
        }
        server
    }

    /// A model that the cluster runs; one elsewhere is none of the gateway's yet.
    fn model(&self, resource: &InferenceModel) -> Option<Server> {
        if resource.spec.engine.external.is_some() {
            return None;
        }
        let slices = self.slices.get(&(resource.namespace().unwrap_or_default(), resource.name_any()));
        let mut model = Server::from_model(resource, at(slices, "", is_ready, |_| true));
        if let Some(scaling) = &resource.spec.scaling {
            let status = resource.status.as_ref().and_then(|status| status.scaling.as_ref());
            model.starting = at(slices, "", is_starting, |_| true);
            let known = (resource.annotations(), status);
            self.scale(&mut model, Bounds::of_model(scaling), (known, (MODEL_PORT, "")));
        }
        Some(model)
    }

    /// Adds how `server` is scaled, if it is deployed.
    fn scale(&self, server: &mut Server, bounds: Bounds, (known, (port, path)): (Known<'_>, (i32, &str))) {
        let name = (server.key.namespace.clone(), server.key.name.clone());
        let pods = self.pods.get(&name).map(Vec::as_slice).unwrap_or_default();
        // Of a model that is being switched the newest Deployment counts.
        let made = |deployment: &&&Deployment| deployment.creation_timestamp().map(|time| time.0);
        let deployment = self.deployments.get(&name).and_then(|all| all.iter().max_by_key(made).copied());
        server.scaled = replicas::scaled(bounds, deployment, pods, known);
        let url =
            |address: &str| url(if address.contains(':') { "IPv6" } else { "IPv4" }, address, port, path);
        server.draining = replicas::draining(pods, url);
        let leaving: Vec<Endpoint> = replicas::leaving(pods).map(url).map(Endpoint::pod).collect();
        server.endpoints.retain(|endpoint| !leaving.contains(endpoint));
        server.starting.retain(|endpoint| !leaving.contains(endpoint));
    }
}

/// Annotations of a resource, and what its status says of scaling.
type Known<'a> = (&'a BTreeMap<String, String>, Option<&'a ScalingStatus>);

/// What some gateway wrote that the server's tools meant.
fn remembered(resource: &McpServer) -> Option<Pinned> {
    let pinned = &resource.status.as_ref()?.catalog.as_ref()?.pinned_tools;
    let tools = pinned.iter().map(|tool| (tool.name.clone(), tool.digest.clone())).collect();
    (!pinned.is_empty()).then_some(Pinned { tools })
}

fn index<'a, K: kube::Resource>(objects: &'a [Arc<K>], label: &str) -> ByName<'a, K> {
    let mut index = ByName::new();
    for object in objects {
        if let Some(name) = object.labels().get(label) {
            index.entry((object.namespace().unwrap_or_default(), name.clone())).or_default().push(&**object);
        }
    }
    index
}

impl Index<'_> {
    /// Where a server is ready, and where it starts.
    fn endpoints(&self, resource: &McpServer, key: &ServerKey) -> (Vec<Endpoint>, Vec<Endpoint>) {
        let spec = &resource.spec;
        if let Some(remote) = &spec.source.remote {
            return (vec![Endpoint::remote(&remote.url)], Vec::new());
        }
        let Some(service) = &spec.source.service else {
            let name = (key.namespace.clone(), key.name.clone());
            let slices = self.slices.get(&name);
            return (
                at(slices, &spec.path, is_ready, |_| true),
                at(slices, &spec.path, is_starting, |_| true),
            );
        };
        let name = (key.namespace.clone(), service.name.clone());
        let port = self
            .services
            .iter()
            .filter(|object| object.namespace().as_ref() == Some(&name.0) && object.name_any() == name.1)
            .flat_map(|object| object.spec.iter().flat_map(|spec| spec.ports.iter().flatten()))
            .find(|port| port.port == service.port);
        let Some(port) = port else { return Default::default() };
        // A port without a name has an empty one in the slices.
        let wanted = port.name.as_deref().unwrap_or_default();
        let is_wanted = |port: &EndpointPort| port.name.as_deref().unwrap_or_default() == wanted;
        (at(self.slices_of_services.get(&name), &spec.path, is_ready, is_wanted), Vec::new())
    }
}

/// The addresses of endpoints that are as `which` says.
fn at(
    slices: Option<&Vec<&EndpointSlice>>,
    path: &str,
    which: impl Fn(&Ready) -> bool,
    wanted: impl Fn(&EndpointPort) -> bool,
) -> Vec<Endpoint> {
    let mut all: Vec<Endpoint> = Vec::new();
    for slice in slices.into_iter().flatten() {
        let port = slice.ports.iter().flatten().find(|port| wanted(port)).and_then(|port| port.port);
        let Some(port) = port else { continue };
        let addresses = slice
            .endpoints
            .iter()
            .flatten()
            .filter(|endpoint| which(endpoint))
            .flat_map(|ready| &ready.addresses);
        all.extend(addresses.map(|address| Endpoint::pod(url(&slice.address_type, address, port, path))));
    }
    // A pod may stand in two slices while the cluster moves it from one to the other.
    all.sort();
    all.dedup();
    all
}

/// A condition that is absent means ready (EndpointSlice API). One that ends is not ready.
fn is_ready(endpoint: &Ready) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

/// One that is not ready, nor was before it began to end.
fn is_starting(endpoint: &Ready) -> bool {
    let conditions = endpoint.conditions.as_ref();
    let is = |which: fn(&EndpointConditions) -> Option<bool>| conditions.and_then(which).unwrap_or(false);
    !is_ready(endpoint) && !is(|conditions| conditions.serving) && !is(|conditions| conditions.terminating)
}

fn url(kind: &str, address: &str, port: i32, path: &str) -> String {
    if kind == "IPv6" {
        format!("http://[{address}]:{port}{path}")
    } else {
        format!("http://{address}:{port}{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn server(name: &str, spec: &serde_json::Value) -> Arc<McpServer> {
        let object = json!({
            "apiVersion": "portico.dev/v1alpha1", "kind": "McpServer",
            "metadata": { "name": name, "namespace": "shop" }, "spec": spec,
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn slice(name: &str, labels: &serde_json::Value, rest: &serde_json::Value) -> Arc<EndpointSlice> {
        let mut object = json!({
            "metadata": { "name": name, "namespace": "shop", "labels": labels }, "addressType": "IPv4",
        });
        object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn objects(
        resources: &[Arc<McpServer>],
        slices: &[Arc<EndpointSlice>],
        services: &[Arc<Service>],
    ) -> Objects {
        let (resources, slices, services) = (resources.to_vec(), slices.to_vec(), services.to_vec());
        Objects { resources, slices, services, ..Objects::default() }
    }

    #[test]
    fn a_scaled_server_starts_where_its_pods_are_not_ready_yet() {
        let scaled = json!({ "source": { "builtin": { "name": "files" } }, "scaling": { "min": 0 } });
        let label = json!({ "portico.dev/mcp-server": "files" });
        let endpoints = json!([
            { "addresses": ["10.0.0.1"], "conditions": { "ready": false, "serving": false, "terminating": false } },
            { "addresses": ["10.0.0.2"], "conditions": { "ready": false, "serving": true, "terminating": true } },
        ]);
        let slices = [slice(
            "a",
            &label,
            &json!({ "endpoints": endpoints, "ports": [{ "name": "mcp", "port": 8080 }] }),
        )];
        let deployment: Deployment = serde_json::from_value(json!({
            "metadata": { "name": "files-mcp", "namespace": "shop", "labels": label },
            "spec": { "replicas": 2, "selector": {}, "template": {} },
        }))
        .unwrap();
        let mut all = objects(&[server("files", &scaled)], &slices, &[]);
        assert!(servers(&all)[0].scaled.is_none(), "nothing is deployed yet");
        all.deployments = vec![Arc::new(deployment)];
        let found = servers(&all);
        assert_eq!(found[0].starting, [Endpoint::pod("http://10.0.0.1:8080/mcp")]);
        assert_eq!(found[0].scaled.as_ref().unwrap().desired, 2);
        assert!(urls(&found).is_empty());
    }

    fn urls(found: &[Server]) -> Vec<&str> {
        found
            .iter()
            .flat_map(|server| server.endpoints.iter().map(|endpoint| endpoint.url.as_str()))
            .collect()
    }

    #[test]
    fn a_deployed_server_is_where_its_ready_pods_are() {
        let servers_ = [server("files", &json!({ "source": { "builtin": { "name": "files" } } }))];
        let labels = json!({ "portico.dev/mcp-server": "files" });
        let endpoints = json!([
            { "addresses": ["10.0.0.1"], "conditions": { "ready": true } },
            { "addresses": ["10.0.0.2"], "conditions": { "ready": false } },
            { "addresses": ["10.0.0.3"] },
        ]);
        let ports = json!([{ "name": "mcp", "port": 8080 }]);
        let both = [
            slice("a", &labels, &json!({ "endpoints": endpoints, "ports": ports })),
            slice("b", &labels, &json!({ "endpoints": endpoints, "ports": ports })),
            slice("c", &json!({}), &json!({ "endpoints": endpoints, "ports": ports })),
        ];
        let found = servers(&objects(&servers_, &both, &[]));
        assert_eq!(urls(&found), ["http://10.0.0.1:8080/mcp", "http://10.0.0.3:8080/mcp"]);
    }

    #[test]
    fn a_server_without_pods_stays_named_and_one_that_is_being_deleted_does_not() {
        let idle = server("idle", &json!({ "source": { "builtin": { "name": "files" } } }));
        let mut going = (*server("going", &json!({ "source": { "builtin": { "name": "files" } } }))).clone();
        going.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        let found = servers(&objects(&[idle, Arc::new(going)], &[], &[]));
        assert_eq!(found.iter().map(|server| server.key.to_string()).collect::<Vec<_>>(), ["shop/idle"]);
        assert!(urls(&found).is_empty());
    }

    #[test]
    fn the_port_of_a_service_is_followed_by_its_name_to_that_of_its_pods() {
        let spec = json!({ "source": { "service": { "name": "old", "port": 80 } }, "path": "/v2/mcp" });
        let service: Service = serde_json::from_value(json!({
            "metadata": { "name": "old", "namespace": "shop" },
            "spec": { "ports": [{ "name": "web", "port": 80 }, { "name": "admin", "port": 81 }] },
        }))
        .unwrap();
        let rest = json!({
            "addressType": "IPv6", "endpoints": [{ "addresses": ["fd00::1"] }],
            "ports": [{ "name": "admin", "port": 9001 }, { "name": "web", "port": 9000 }],
        });
        let slices = [slice("a", &json!({ "kubernetes.io/service-name": "old" }), &rest)];
        let found = servers(&objects(&[server("old", &spec)], &slices, &[Arc::new(service)]));
        assert_eq!(urls(&found), ["http://[fd00::1]:9000/v2/mcp"]);
    }

    #[test]
    fn what_was_pinned_and_approved_is_read_from_the_resource() {
        let mut resource = (*server(
            "a",
            &json!({ "source": { "builtin": { "name": "files" } }, "tools": { "pin": "Report" } }),
        ))
        .clone();
        resource.metadata.annotations =
            Some([("portico.dev/approved-tools-digest".into(), "sha256:1".into())].into());
        let status = json!({ "catalog": { "pinnedTools": [{ "name": "t", "digest": "sha256:2" }] } });
        resource.status = serde_json::from_value(status).unwrap();
        let found = servers(&objects(&[Arc::new(resource)], &[], &[]));
        let pinning = found[0].pinning.clone().unwrap();
        assert_eq!(pinning.approved.as_deref(), Some("sha256:1"));
        assert_eq!(pinning.remembered.unwrap().tools["t"], "sha256:2");
    }

    #[test]
    fn a_remote_server_is_where_its_url_says() {
        let spec = json!({ "source": { "remote": { "url": "https://mcp.example.com/mcp" } } });
        assert_eq!(
            urls(&servers(&objects(&[server("far", &spec)], &[], &[]))),
            ["https://mcp.example.com/mcp"]
        );
    }
}
