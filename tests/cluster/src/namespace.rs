//! A namespace of a test's own.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace as Object, ServiceAccount};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client, Config};

use crate::{Cluster, Error, diagnose, wait_for};

/// The controllers make the service account within a second.
const ACCOUNT: Duration = Duration::from_secs(30);
/// Deleting a namespace with running pods takes their grace time and some seconds.
const GONE: Duration = Duration::from_secs(90);
/// What a drop may take: it blocks the thread.
const DROP: Duration = Duration::from_secs(5);

/// A namespace that no other test uses. Dropped, it is deleted without waiting; dropped by a failing test, it
/// first prints what is known of it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    config: Config,
    folder: Option<std::path::PathBuf>,
    has_controllers: bool,
    deleted: bool,
}

impl Namespace {
    /// Its name: the prefix, and eight random hexadecimal digits.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) async fn create(cluster: &Cluster, prefix: &str) -> Result<Self, Error> {
        let name = format!("{prefix}-{:08x}", rand::random::<u32>());
        let mut object = Object::default();
        object.metadata.name = Some(name.clone());
        let client = cluster.client()?;
        Api::all(client.clone()).create(&PostParams::default(), &object).await?;
        let namespace = Self {
            name,
            config: cluster.config().clone(),
            folder: cluster.folder().map(ToOwned::to_owned),
            has_controllers: cluster.level().has_controllers(),
            deleted: false,
        };
        namespace.service_account(client).await?;
        Ok(namespace)
    }

    /// Pods need an account: the controllers make one, and where there are none it is made here.
    async fn service_account(&self, client: Client) -> Result<(), Error> {
        let accounts: Api<ServiceAccount> = Api::namespaced(client, &self.name);
        if !self.has_controllers {
            let mut account = ServiceAccount::default();
            account.metadata.name = Some("default".to_owned());
            accounts.create(&PostParams::default(), &account).await?;
            return Ok(());
        }
        let what = format!("the default service account of {}", self.name);
        wait_for(&what, ACCOUNT, async || Ok::<_, Error>(accounts.get_opt("default").await?.map(drop))).await
    }

    /// Deletes the namespace and waits until it is gone. At level `Api` nothing empties a namespace: there it
    /// only begins to go, which already refuses new objects.
    pub async fn delete(mut self) -> Result<(), Error> {
        self.deleted = true;
        let namespaces: Api<Object> = Api::all(Client::try_from(self.config.clone())?);
        namespaces.delete(&self.name, &DeleteParams::default()).await?;
        if !self.has_controllers {
            return Ok(());
        }
        let what = format!("the end of namespace {}", self.name);
        wait_for(&what, GONE, async || {
            Ok::<_, Error>(namespaces.get_opt(&self.name).await?.is_none().then_some(()))
        })
        .await
    }
}

/// The test's own runtime may be ending or busy: a thread with a small one does the last things.
impl Drop for Namespace {
    fn drop(&mut self) {
        if self.deleted {
            return;
        }
        let failing = std::thread::panicking();
        let (name, config, folder) = (self.name.clone(), self.config.clone(), self.folder.clone());
        let last = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async {
                let client = Client::try_from(config).ok()?;
                if failing {
                    eprintln!("{}", diagnose::report(&client, &name, folder.as_deref()).await);
                }
                let namespaces: Api<Object> = Api::all(client);
                let params = DeleteParams::default();
                let gone = namespaces.delete(&name, &params);
                tokio::time::timeout(DROP, gone).await.ok().map(drop)
            })
        });
        last.join().ok();
    }
}
