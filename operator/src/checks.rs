//! What a server says of itself at `/checks`: whether its upstream takes the credentials, for one. The operator holds
//! no credentials and asks no upstream.

use std::{fmt, sync::Arc, time::Duration};

use http::Uri;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;

/// Longest that an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest answer that is read, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Where a server is reached within the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Namespace of its Service.
    pub namespace: &'a str,
    /// Name of its Service.
    pub service: &'a str,
    /// Port of its Service.
    pub port: i32,
}

type Address = Arc<dyn Fn(&Target<'_>) -> String + Send + Sync>;

/// Asks servers for their checks.
#[derive(Clone)]
pub struct Checks {
    address: Address,
    client: Client<HttpConnector, Empty<&'static [u8]>>,
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checks").finish_non_exhaustive()
    }
}

impl Default for Checks {
    fn default() -> Self {
        Self::at(|target| format!("http://{}.{}.svc:{}", target.service, target.namespace, target.port))
    }
}

/// How one check stands.
#[derive(Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Not as it should be.
    Failing,
    /// The server does not know yet, or says it in a word of a newer version.
    #[serde(other)]
    Unknown,
}

/// One check of a server.
#[derive(Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is checked.
    pub name: String,
    /// How it stands.
    pub state: State,
    /// Why, in a word.
    #[serde(default)]
    pub reason: String,
    /// The same for people.
    #[serde(default)]
    pub message: String,
}

#[derive(Deserialize)]
struct Listed {
    checks: Vec<Check>,
}

impl Checks {
    /// Asks at the address that `address` gives for a server, without a path.
    pub fn at(address: impl Fn(&Target<'_>) -> String + Send + Sync + 'static) -> Self {
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Self { address: Arc::new(address), client }
    }

    /// The checks of a server; `None` where it does not answer as it should. What went wrong goes to the log: in a
    /// status it would change from look to look.
    pub async fn ask(&self, target: &Target<'_>) -> Option<Vec<Check>> {
        let address = format!("{}/checks", (self.address)(target));
        match tokio::time::timeout(TIMEOUT, self.get(&address)).await {
            Ok(Ok(checks)) => Some(checks),
            Ok(Err(error)) => {
                tracing::debug!(address, %error, "a server's checks could not be read");
                None
            }
            Err(_) => {
                tracing::debug!(address, "a server did not answer in time");
                None
            }
        }
    }

    async fn get(&self, address: &str) -> Result<Vec<Check>, Box<dyn std::error::Error + Send + Sync>> {
        let answer = self.client.get(address.parse::<Uri>()?).await?;
        if !answer.status().is_success() {
            return Err(format!("status {}", answer.status().as_u16()).into());
        }
        let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await?.to_bytes();
        Ok(serde_json::from_slice::<Listed>(&body)?.checks)
    }
}
