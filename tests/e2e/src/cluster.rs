//! A real control plane whose pods are processes, with parts of Portico beside it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use portico_cluster::{Cluster, Level, Namespace, NodeOptions, Way};
use serde_json::Value;
use tempfile::TempDir;

type Failure = Box<dyn std::error::Error>;

/// The folder with everything.
///
/// # Panics
/// When it is gone.
#[must_use]
pub fn workspace() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap_or(root)
}

/// A part of Portico that runs beside the cluster; it ends with the test.
#[derive(Debug)]
pub struct Part(Child);

impl Part {
    /// Starts it with the rights of its own service account, and nothing more.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(world: &World, account: &str, arguments: &[&str]) -> Result<Self, Failure> {
        Self::start_as(world, (account, account, None), arguments)
    }

    /// The same under a name of its own, for one of several with an account; it reaches the API server by this way, if there is one.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_as(
        world: &World,
        (name, account, way): (&str, &str, Option<&Way>),
        arguments: &[&str],
    ) -> Result<Self, Failure> {
        let kubeconfig = world.folder.path().join(format!("{name}.kubeconfig"));
        std::fs::write(&kubeconfig, world.impersonating(account, way)?)?;
        let log = std::fs::File::create(world.log_of(name))?;
        let mut command = Command::new(crate::program());
        command.args(arguments).args(["--namespace", world.namespace.name()]).env("KUBECONFIG", kubeconfig);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Ok(Self(command.spawn()?))
    }

    /// Kills it, as a machine that fails does.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.end();
    }
}

/// A cluster, and a namespace in it.
#[derive(Debug)]
pub struct World {
    /// The namespace.
    pub namespace: Namespace,
    /// The cluster.
    pub cluster: Cluster,
    /// For files of the test.
    pub folder: TempDir,
}

impl World {
    /// A cluster of its own, in whose pods each of `images` is a command of this machine, besides `portico`.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(name: &str, images: &[(&str, &Path)]) -> Result<Self, Failure> {
        Self::start_on(name, images, NodeOptions::default()).await
    }

    /// The same on a node with these options.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_on(name: &str, images: &[(&str, &Path)], node: NodeOptions) -> Result<Self, Failure> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let program = crate::program();
        let all = [("portico", program.as_path())];
        let all = all
            .iter()
            .chain(images)
            .map(|(name, path)| ((*name).to_owned(), vec![path.display().to_string()]));
        let options = NodeOptions { images: all.collect(), ..node };
        let cluster = Cluster::start_with(Level::Processes, options).await?;
        let namespace = cluster.namespace(name).await?;
        Ok(Self { namespace, cluster, folder: tempfile::tempdir()? })
    }

    /// Applies the definitions of all kinds.
    ///
    /// # Errors
    /// What kubectl says.
    pub async fn define(&self) -> Result<(), Failure> {
        self.kubectl(&["apply", "-f", &workspace().join("crds/yaml").display().to_string()]).await?;
        self.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=120s"])
            .await
            .map(drop)
    }

    /// Applies a part's rights as they are shipped, and binds these roles of them to its account in the namespace.
    ///
    /// # Errors
    /// What kubectl says.
    pub async fn give_rights(&self, account: &str, (file, roles): (&str, &[&str])) -> Result<(), Failure> {
        self.kubectl(&["apply", "-f", &workspace().join(file).display().to_string()]).await?;
        let subject = format!("--serviceaccount={}:{account}", self.namespace.name());
        self.kubectl(&["create", "serviceaccount", account]).await?;
        for role in roles {
            let role_ref = format!("--clusterrole={role}");
            self.kubectl(&["create", "rolebinding", role, &role_ref, &subject]).await?;
        }
        Ok(())
    }

    /// kubectl in the namespace; its output.
    ///
    /// # Errors
    /// What it says, when it fails.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String, Failure> {
        let all = [&["--namespace", self.namespace.name()], arguments].concat();
        let output = self.cluster.kubectl(&all).await?;
        if !output.status.success() {
            return Err(format!("kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A way to the API server.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn way(&self) -> Result<Way, Failure> {
        let url = &self.cluster.config().cluster_url;
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
        Ok(Way::to(SocketAddr::new(host.parse()?, url.port_u16().unwrap_or(443))).await?)
    }

    /// Applies an object as a person does.
    ///
    /// # Errors
    /// What kubectl says.
    pub async fn apply(&self, manifest: &Value) -> Result<(), Failure> {
        let name = manifest["metadata"]["name"].as_str().unwrap_or("manifest");
        let file = self.folder.path().join(format!("{name}.json"));
        std::fs::write(&file, manifest.to_string())?;
        self.kubectl(&["apply", "-f", &file.display().to_string()]).await.map(drop)
    }

    /// What a part that was started under `name` has logged.
    #[must_use]
    pub fn log_of(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    fn impersonating(&self, account: &str, way: Option<&Way>) -> Result<String, Failure> {
        let text = std::fs::read_to_string(self.cluster.kubeconfig())?;
        let mut config: Value = serde_json::from_str(&text)?;
        config["users"][0]["user"]["as"] =
            format!("system:serviceaccount:{}:{account}", self.namespace.name()).into();
        if let Some(way) = way {
            config["clusters"][0]["cluster"]["server"] = format!("https://{}", way.listening).into();
        }
        Ok(config.to_string())
    }
}
