//! The Secrets of a folder, for the credentials that the gateway shows to servers.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{PoisonError, RwLock},
};

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use portico_crds::mcp_server::SecretKeyRef;
use portico_gateway::secret::{Error, SecretString, Secrets, text};
use portico_operator::resolve::secret_content;

use crate::manifest::Key;

/// The Secrets as the folder was read last.
#[derive(Default)]
pub struct FolderSecrets(RwLock<BTreeMap<Key, Secret>>);

impl FolderSecrets {
    /// Takes over what the folder says now.
    pub fn set(&self, secrets: &BTreeMap<Key, Secret>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clone_from(secrets);
    }

    fn value(&self, namespace: &str, key: &SecretKeyRef) -> Result<SecretString, Error> {
        let secrets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let at = Key { namespace: namespace.to_owned(), name: key.name.clone() };
        let secret = secrets.get(&at).ok_or_else(|| Error::NoSecret(key.name.clone()))?;
        let no_key = || Error::NoKey { secret: key.name.clone(), key: key.key.clone() };
        text(key, secret_content(secret.clone()).remove(&key.key).ok_or_else(no_key)?)
    }
}

impl fmt::Debug for FolderSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FolderSecrets").finish_non_exhaustive()
    }
}

impl Secrets for FolderSecrets {
    fn read<'a>(
        &'a self,
        namespace: &'a str,
        key: &'a SecretKeyRef,
    ) -> BoxFuture<'a, Result<SecretString, Error>> {
        Box::pin(std::future::ready(self.value(namespace, key)))
    }
}

#[cfg(test)]
mod tests {
    use portico_gateway::secret::Secrets as _;
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_key_is_read_from_the_manifest_that_has_it_and_what_is_missing_is_named() {
        let secrets = FolderSecrets::default();
        let at = |name: &str, key: &str| SecretKeyRef { name: name.into(), key: key.into() };
        let missing = secrets.read("shop", &at("a", "token")).await.unwrap_err();
        assert_eq!(missing, Error::NoSecret("a".into()));
        let secret =
            json!({"metadata": {"name": "a"}, "stringData": {"token": "t"}, "data": {"bytes": "/w=="}});
        let secret: Secret = serde_json::from_value(secret).unwrap();
        secrets.set(&BTreeMap::from([(Key { namespace: "shop".into(), name: "a".into() }, secret)]));
        assert!(secrets.read("shop", &at("a", "token")).await.is_ok());
        let no_key = secrets.read("shop", &at("a", "other")).await.unwrap_err();
        assert_eq!(no_key.to_string(), "Secret 'a' has no key 'other'; add the key");
        assert!(matches!(secrets.read("shop", &at("a", "bytes")).await, Err(Error::NotText { .. })));
        assert!(matches!(secrets.read("other", &at("a", "token")).await, Err(Error::NoSecret(_))));
    }
}
