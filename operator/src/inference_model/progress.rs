//! How far a download is, asked of the process that does it.

use std::{fmt, time::Duration};

use http::Uri;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;

/// Longest that an answer may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Longest answer that is read, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// Port on which `portico fetch` tells how far it is.
pub const PORT: i32 = 8081;

/// How far a download is, as `portico fetch` tells it.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the whole file, once they are known.
    #[serde(default)]
    pub total: Option<i64>,
    /// What is there, in percent.
    #[serde(default)]
    pub percent: Option<i32>,
}

/// Asks downloads how far they are.
#[derive(Clone)]
pub struct Asker(Client<HttpConnector, Empty<&'static [u8]>>);

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker").finish_non_exhaustive()
    }
}

impl Default for Asker {
    fn default() -> Self {
        Self(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http())
    }
}

impl Asker {
    /// How far the download in the pod with address `ip` is; `None` where it does not answer as it should. What went
    /// wrong goes to the log: in a status it would change from look to look.
    pub async fn ask(&self, ip: &str) -> Option<Progress> {
        let address = address(ip);
        match tokio::time::timeout(TIMEOUT, self.get(&address)).await {
            Ok(Ok(progress)) => Some(progress),
            Ok(Err(error)) => {
                tracing::debug!(address, %error, "the progress of a download could not be read");
                None
            }
            Err(_) => {
                tracing::debug!(address, "a download did not answer in time");
                None
            }
        }
    }

    async fn get(&self, address: &str) -> Result<Progress, Box<dyn std::error::Error + Send + Sync>> {
        let answer = self.0.get(address.parse::<Uri>()?).await?;
        if !answer.status().is_success() {
            return Err(format!("status {}", answer.status().as_u16()).into());
        }
        let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await?.to_bytes();
        Ok(serde_json::from_slice(&body)?)
    }
}

fn address(ip: &str) -> String {
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    format!("http://{host}:{PORT}/progress")
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn an_address_of_either_family_becomes_a_url() {
        assert_eq!(address("10.0.0.7"), "http://10.0.0.7:8081/progress");
        assert_eq!(address("fd00::7"), "http://[fd00::7]:8081/progress");
    }
}
