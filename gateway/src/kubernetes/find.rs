//! From the caches to the servers. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint as Ready, EndpointPort, EndpointSlice};
use kube::ResourceExt as _;
use portico_crds::{McpServer, labels};

use crate::source::{Endpoint, Pinned, Server, ServerKey};

/// The label by which the cluster names the Service of a slice.
const SERVICE: &str = "kubernetes.io/service-name";

type ByName<'a> = HashMap<(String, String), Vec<&'a EndpointSlice>>;

/// All servers with the endpoints that are ready, in order of their keys.
pub(super) fn servers(
    resources: &[Arc<McpServer>],
    slices: &[Arc<EndpointSlice>],
    services: &[Arc<Service>],
) -> Vec<Server> {
    let (by_server, by_service) = (index(slices, labels::MCP_SERVER), index(slices, SERVICE));
    let alive = resources.iter().filter(|resource| resource.metadata.deletion_timestamp.is_none());
    let mut servers: Vec<Server> = alive
        .map(|resource| {
            let key =
                ServerKey { namespace: resource.namespace().unwrap_or_default(), name: resource.name_any() };
            let endpoints = endpoints(resource, &key, (&by_server, &by_service), services);
            let mut server = Server::from_resource(resource, endpoints);
            if let Some(pinning) = &mut server.pinning {
                pinning.remembered = remembered(resource);
            }
            server
        })
        .collect();
    servers.sort_by(|one, other| one.key.cmp(&other.key));
    servers
}

/// What some gateway wrote that the server's tools meant.
fn remembered(resource: &McpServer) -> Option<Pinned> {
    let pinned = &resource.status.as_ref()?.catalog.as_ref()?.pinned_tools;
    let tools = pinned.iter().map(|tool| (tool.name.clone(), tool.digest.clone())).collect();
    (!pinned.is_empty()).then_some(Pinned { tools })
}

fn index<'a>(slices: &'a [Arc<EndpointSlice>], label: &str) -> ByName<'a> {
    let mut index = ByName::new();
    for slice in slices {
        if let Some(name) = slice.labels().get(label) {
            index.entry((slice.namespace().unwrap_or_default(), name.clone())).or_default().push(slice);
        }
    }
    index
}

fn endpoints(
    resource: &McpServer,
    key: &ServerKey,
    (by_server, by_service): (&ByName<'_>, &ByName<'_>),
    services: &[Arc<Service>],
) -> Vec<Endpoint> {
    let spec = &resource.spec;
    if let Some(remote) = &spec.source.remote {
        return vec![Endpoint::remote(&remote.url)];
    }
    let Some(service) = &spec.source.service else {
        let name = (key.namespace.clone(), key.name.clone());
        return ready(by_server.get(&name), &spec.path, |_| true);
    };
    let name = (key.namespace.clone(), service.name.clone());
    let port = services
        .iter()
        .filter(|object| object.namespace().as_ref() == Some(&name.0) && object.name_any() == name.1)
        .flat_map(|object| object.spec.iter().flat_map(|spec| spec.ports.iter().flatten()))
        .find(|port| port.port == service.port);
    let Some(port) = port else { return Vec::new() };
    // A port without a name has an empty one in the slices.
    let wanted = port.name.as_deref().unwrap_or_default();
    ready(by_service.get(&name), &spec.path, |port| port.name.as_deref().unwrap_or_default() == wanted)
}

fn ready(
    slices: Option<&Vec<&EndpointSlice>>,
    path: &str,
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
            .filter(|endpoint| is_ready(endpoint))
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
        let found = servers(&servers_, &both, &[]);
        assert_eq!(urls(&found), ["http://10.0.0.1:8080/mcp", "http://10.0.0.3:8080/mcp"]);
    }

    #[test]
    fn a_server_without_pods_stays_named_and_one_that_is_being_deleted_does_not() {
        let idle = server("idle", &json!({ "source": { "builtin": { "name": "files" } } }));
        let mut going = (*server("going", &json!({ "source": { "builtin": { "name": "files" } } }))).clone();
        going.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        let found = servers(&[idle, Arc::new(going)], &[], &[]);
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
        let found = servers(&[server("old", &spec)], &slices, &[Arc::new(service)]);
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
        let found = servers(&[Arc::new(resource)], &[], &[]);
        let pinning = found[0].pinning.clone().unwrap();
        assert_eq!(pinning.approved.as_deref(), Some("sha256:1"));
        assert_eq!(pinning.remembered.unwrap().tools["t"], "sha256:2");
    }

    #[test]
    fn a_remote_server_is_where_its_url_says() {
        let spec = json!({ "source": { "remote": { "url": "https://mcp.example.com/mcp" } } });
        assert_eq!(urls(&servers(&[server("far", &spec)], &[], &[])), ["https://mcp.example.com/mcp"]);
    }
}
