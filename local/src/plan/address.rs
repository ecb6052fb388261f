//! Where the Services of a folder are on this machine.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use portico_operator::mcp_server::render::Desired;

use super::{Id, Machine, Replica};
use crate::manifest::{Key, Objects};

/// Local ports by Service.
#[derive(Debug, Default)]
pub struct Addresses(BTreeMap<Key, Option<u16>>);

impl Addresses {
    /// A Service of the folder leads to the Deployment that its selector matches.
    pub fn add_service(&mut self, key: &Key, service: &Service, objects: &Objects, machine: &Machine<'_>) {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default();
        let target = objects.deployments.iter().find(|(at, deployment)| {
            let template = deployment.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
            let labels = template.and_then(|meta| meta.labels.as_ref());
            at.namespace == key.namespace
                && !selector.is_empty()
                && labels.is_some_and(|labels| {
                    selector.iter().all(|(name, value)| labels.get(name) == Some(value))
                })
        });
        let port = target
            .and_then(|(at, _)| machine.ports.get(&Replica::first(Id::Deployment(at.clone()))).copied());
        self.0.insert(key.clone(), port);
    }

    /// A server's own Service leads to the server's first process, whether it runs or not.
    pub fn add_server(&mut self, key: &Key, desired: &Desired, machine: &Machine<'_>) {
        let name = desired.service.as_ref().and_then(|service| service.metadata.name.clone());
        let port = machine.ports.get(&Replica::first(Id::Server(key.clone()))).copied();
        if let Some(name) = name {
            self.0.insert(Key { namespace: key.namespace.clone(), name }, port);
        }
    }

    /// `text` with every URL of a Service of the folder turned to the local process behind it.
    ///
    /// # Errors
    /// The name of a Service of the folder behind which nothing runs here.
    pub fn localise(&self, text: &str, namespace: &str) -> Result<String, String> {
        let mut rest = text;
        let mut out = String::with_capacity(text.len());
        while let Some(at) = rest.find("://") {
            let (before, after) = rest.split_at(at + 3);
            let end = after.find(['/', '?', '#', ',', ' ', '"']).unwrap_or(after.len());
            let (authority, tail) = after.split_at(end);
            out.push_str(before);
            match self.find(authority, namespace) {
                Some((_, Some(port))) => out.extend(["127.0.0.1:", &port.to_string()]),
                Some((key, None)) => return Err(key.name.clone()),
                None => out.push_str(authority),
            }
            rest = tail;
        }
        Ok(out + rest)
    }

    /// `name`, `name.namespace`, `….svc` and `….svc.cluster.local`, with or without a port.
    fn find(&self, authority: &str, namespace: &str) -> Option<(&Key, Option<u16>)> {
        let host = authority.split(':').next().unwrap_or_default();
        let host =
            host.strip_suffix(".svc.cluster.local").or_else(|| host.strip_suffix(".svc")).unwrap_or(host);
        let (name, namespace) = host.split_once('.').unwrap_or((host, namespace));
        let key = Key { namespace: namespace.to_owned(), name: name.to_owned() };
        self.0.get_key_value(&key).map(|(key, port)| (key, *port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        let key = |name: &str| Key { namespace: "default".into(), name: name.into() };
        Addresses(BTreeMap::from([(key("kroger"), Some(4000)), (key("gone"), None)]))
    }

    #[test]
    fn urls_of_services_lead_to_this_machine_and_others_stay() {
        let addresses = addresses();
        for (given, expected) in [
            ("http://kroger:8080/v1", "http://127.0.0.1:4000/v1"),
            ("http://kroger.default.svc:8080", "http://127.0.0.1:4000"),
            ("http://kroger.default.svc.cluster.local/v1?a=b", "http://127.0.0.1:4000/v1?a=b"),
            ("http://kroger.other:8080/v1", "http://kroger.other:8080/v1"),
            ("https://api.kroger.com/v1", "https://api.kroger.com/v1"),
            ("http://kroger/a,http://kroger/b", "http://127.0.0.1:4000/a,http://127.0.0.1:4000/b"),
            ("kroger", "kroger"),
            ("", ""),
        ] {
            assert_eq!(addresses.localise(given, "default").as_deref(), Ok(expected));
        }
    }

    #[test]
    fn a_service_behind_which_nothing_runs_is_named() {
        assert_eq!(addresses().localise("http://gone/mcp", "default"), Err("gone".into()));
    }
}
