//! Lists in the cluster: a `ConfigMap` beside each `McpServer`, which goes with it.

use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ListParams, Patch, PatchParams};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client, Resource as _, ResourceExt as _};
use portico_crds::{McpServer, labels};
use tokio::time::{timeout, timeout_at};

use super::Scope;
use super::report::{Held, is_held};
use crate::cause;
use crate::keep::{Error, Keep, Recalled};
use crate::source::ServerKey;

/// Field manager of these ConfigMaps.
const FIELD_MANAGER: &str = "portico-gateway-lists";
/// Value of the label `app.kubernetes.io/managed-by` on them.
const MANAGED_BY: &str = "portico-gateway";
/// Behind the server's name in that of its ConfigMap.
const SUFFIX: &str = "-lists";
const KEY: &str = "lists.json.gz";
/// Compressed bytes in one; the API server takes 1 MiB, a third of which the base64 form adds.
const MAX_BYTES: usize = 700 * 1024;
/// Time for one request.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the lists of all servers.
const LOAD_TIMEOUT: Duration = Duration::from_secs(20);

/// The lists that are kept in `scope`. Where they cannot be had the gateway starts without them.
///
/// The future is boxed, so that it is compiled here once and not in every program that awaits it.
#[must_use]
pub fn kept_lists(scope: &Scope) -> BoxFuture<'_, Recalled> {
    Box::pin(load(scope))
}

async fn load(scope: &Scope) -> Recalled {
    let selector = format!("{}={MANAGED_BY}", labels::MANAGED_BY);
    let api: Api<ConfigMap> = scope.api();
    let params = ListParams::default().labels(&selector);
    match timeout(LOAD_TIMEOUT, api.list(&params)).await {
        Ok(Ok(found)) => found.items.into_iter().filter_map(recalled).collect(),
        Ok(Err(error)) => {
            tracing::warn!(
                error = cause::innermost(&error),
                "the kept lists cannot be read; the servers give them again"
            );
            Recalled::new()
        }
        Err(_) => Recalled::new(),
    }
}

fn recalled(map: ConfigMap) -> Option<(ServerKey, Vec<u8>)> {
    let (namespace, name) = (map.namespace()?, map.name_any());
    let name = name.strip_suffix(SUFFIX)?.to_owned();
    let ByteString(lists) = map.binary_data?.remove(KEY)?;
    Some((ServerKey { namespace, name }, lists))
}

/// Keeps lists in ConfigMaps, while this process holds the Lease.
pub(super) struct ConfigMaps {
    pub(super) client: Client,
    pub(super) resources: Store<McpServer>,
    pub(super) held: Held,
}

impl ConfigMaps {
    async fn apply(&self, server: &ServerKey, lists: Vec<u8>) -> Result<(), Error> {
        if lists.len() > MAX_BYTES {
            return Err(Error::Size { bytes: lists.len(), limit: MAX_BYTES });
        }
        let failed = |reason: &str| Error::Failed(reason.to_owned());
        let resource = self.resources.get(&ObjectRef::new(&server.name).within(&server.namespace));
        let owner =
            resource.as_deref().and_then(owner).ok_or_else(|| failed("its McpServer is not known"))?;
        let map = config_map(server, owner, lists);
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &server.namespace);
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let (name, patch) = (format!("{}{SUFFIX}", server.name), Patch::Apply(&map));
        let call = timeout(CALL_TIMEOUT, api.patch(&name, &params, &patch));
        let until = *self.held.borrow();
        match timeout_at(until, call).await {
            Ok(Ok(Ok(_))) => Ok(()),
            Ok(Ok(Err(error))) => Err(Error::Failed(cause::innermost(&error))),
            _ => Err(failed("no answer in time")),
        }
    }
}

/// It goes when its server goes, and holds up nobody.
fn owner(resource: &McpServer) -> Option<OwnerReference> {
    Some(OwnerReference {
        api_version: McpServer::api_version(&()).into_owned(),
        kind: McpServer::kind(&()).into_owned(),
        name: resource.name_any(),
        uid: resource.uid()?,
        ..OwnerReference::default()
    })
}

fn config_map(server: &ServerKey, owner: OwnerReference, lists: Vec<u8>) -> ConfigMap {
    let mut map = ConfigMap::default();
    map.metadata.name = Some(format!("{}{SUFFIX}", server.name));
    map.metadata.namespace = Some(server.namespace.clone());
    map.metadata.owner_references = Some(vec![owner]);
    let labels = [
        (labels::MANAGED_BY, MANAGED_BY),
        (labels::PART_OF, labels::PORTICO),
        (labels::INSTANCE, server.name.as_str()),
    ];
    map.metadata.labels =
        Some(labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect());
    map.binary_data = Some([(KEY.to_owned(), ByteString(lists))].into());
    map
}

impl Keep for ConfigMaps {
    fn is_mine(&self) -> bool {
        is_held(*self.held.borrow())
    }

    fn save<'a>(&'a self, server: &'a ServerKey, lists: Vec<u8>) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(self.apply(server, lists))
    }

    /// The garbage collector does that.
    fn forget<'a>(&'a self, _: &'a ServerKey) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}
