//! What a server says of itself at `/checks`: whether its upstream takes the credentials, for one. The operator holds
//! no credentials and asks no upstream.

use std::{
    collections::BTreeSet,
    error::Error,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

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

/// Most servers of which it is remembered that they do not answer.
const MOST_SILENT: usize = 4096;

type Address = Arc<dyn Fn(&Target<'_>) -> String + Send + Sync>;

/// Asks servers for their checks.
#[derive(Clone)]
pub struct Checks {
    address: Address,
    /// Those that did not answer the last time.
    silent: Arc<Mutex<BTreeSet<String>>>,
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
        Self { address: Arc::new(address), silent: Arc::default(), client }
    }

    /// The checks of a server; `None` where it does not answer as it should. What went wrong goes to the log: in a
    /// status it would change from look to look.
    pub async fn ask(&self, target: &Target<'_>) -> Option<Vec<Check>> {
        let address = format!("{}/checks", (self.address)(target));
        let error = match tokio::time::timeout(TIMEOUT, self.get(&address)).await {
            Ok(Ok(checks)) => {
                self.silent().remove(&address);
                return Some(checks);
            }
            Ok(Err(error)) => innermost(&*error),
            Err(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
        };
        if self.is_first_failure(&address) {
            tracing::warn!(
                address,
                error,
                "a server's checks cannot be read; it is asked again, and told here when it answered in between"
            );
        } else {
            tracing::debug!(address, error, "a server's checks cannot be read");
        }
        None
    }

    /// Whether a server answered the last time, or was never asked.
    fn is_first_failure(&self, address: &str) -> bool {
        let mut silent = self.silent();
        if silent.len() >= MOST_SILENT {
            silent.clear();
        }
        silent.insert(address.to_owned())
    }

    fn silent(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
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

/// What an error comes down to: the outermost says only that the request failed.
fn innermost(error: &(dyn Error + Send + Sync + 'static)) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_failure_of_each_server_is_told_and_again_after_an_answer() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let answer =
            axum::Router::new().route("/checks", axum::routing::get(|| async { "{\"checks\": []}" }));
        let serving = tokio::spawn(async move { axum::serve(listener, answer).await });
        let checks = Checks::at(move |target| match target.service {
            "there" => format!("http://{there}"),
            away => format!("no address of {away}"),
        });
        let target = |service| Target { namespace: "shop", service, port: 80 };
        assert!(checks.is_first_failure("no address of a/checks"));
        assert_eq!(checks.ask(&target("a")).await, None);
        assert!(!checks.is_first_failure("no address of a/checks"), "it has been told");
        assert_eq!(checks.ask(&target("b")).await, None);
        assert!(!checks.is_first_failure("no address of b/checks"), "each for itself");
        assert!(checks.is_first_failure(&format!("http://{there}/checks")));
        assert_eq!(checks.ask(&target("there")).await, Some(Vec::new()));
        assert!(checks.is_first_failure(&format!("http://{there}/checks")), "it answered in between");
        serving.abort();
    }
}
