//! Reports of our own failures to a Sentry-compatible service: what failed and where, and nothing of who called or what with.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};

use crate::{ConfigError, Environment, Secret, redact::redact};

/// Reports that wait to be sent.
const QUEUE: usize = 64;
/// The same failure is reported once in this time, and at most so many kinds are remembered.
const QUIET: Duration = Duration::from_mins(5);
const KINDS: usize = 1_000;
/// Longest text of a report, in characters.
const LONGEST: usize = 2_000;

/// Where failures are reported to; nowhere by default.
#[derive(Clone, Default)]
pub struct Reports(Option<mpsc::Sender<Event>>);

struct Event {
    tool: String,
    correlation: String,
    problem: String,
}

/// The parts of a DSN (`https://KEY@HOST/PROJECT`).
struct Project {
    envelopes: Url,
    key: Secret,
}

impl Reports {
    /// To the project of `SENTRY_DSN` (or `SENTRY_DSN_FILE`), in the environment `SENTRY_ENVIRONMENT`.
    pub fn from_env(environment: &Environment<'_>, server: &'static str) -> Result<Self, ConfigError> {
        let Some(dsn) = environment.optional_secret("SENTRY_DSN")? else { return Ok(Self::default()) };
        let mend = "set the DSN as the project's settings show it, https://KEY@HOST/PROJECT";
        let project = Project::parse(dsn.expose())
            .ok_or_else(|| ConfigError::new("SENTRY_DSN", "is not a DSN", mend))?;
        let stage = environment.text("SENTRY_ENVIRONMENT").unwrap_or_else(|| "production".to_owned());
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(send_all(waiting, Service { project, server, stage, http: reqwest::Client::new() }));
        Ok(Self(Some(queue)))
    }

    /// Reports a failure of ours. What looks like a secret or a person is taken out.
    pub(crate) fn error(&self, tool: &str, correlation: &str, problem: &str) {
        let Some(queue) = &self.0 else { return };
        let problem = redact(problem).chars().take(LONGEST).collect();
        // A full queue means that many failures are being told already.
        let _ = queue.try_send(Event { tool: tool.to_owned(), correlation: correlation.to_owned(), problem });
    }
}

impl Project {
    fn parse(dsn: &str) -> Option<Self> {
        let url = Url::parse(dsn).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let (path, project) = url.path().rsplit_once('/')?;
        let number = !project.is_empty() && project.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let key = Some(url.username()).filter(|key| !key.is_empty() && number)?;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let envelopes = format!("{}://{}{port}{path}/api/{project}/envelope/", url.scheme(), url.host_str()?);
        Some(Self { envelopes: Url::parse(&envelopes).ok()?, key: Secret::new(key.to_owned()) })
    }
}

struct Service {
    project: Project,
    server: &'static str,
    stage: String,
    http: reqwest::Client,
}

async fn send_all(mut waiting: mpsc::Receiver<Event>, service: Service) {
    let mut sent: HashMap<(String, String), Instant> = HashMap::new();
    let mut silent_until = Instant::now();
    while let Some(event) = waiting.recv().await {
        let kind = (event.tool.clone(), event.problem.clone());
        let is_known = sent.get(&kind).is_some_and(|at| at.elapsed() < QUIET);
        if is_known || Instant::now() < silent_until {
            continue;
        }
        sent.retain(|_, at| at.elapsed() < QUIET);
        if sent.len() < KINDS {
            sent.insert(kind, Instant::now());
        }
        if let Some(wait) = service.send(&event).await {
            silent_until = Instant::now() + wait;
        }
    }
}

impl Service {
    /// Sends one report; the service may ask for silence.
    async fn send(&self, event: &Event) -> Option<Duration> {
        let auth = format!(
            "Sentry sentry_version=7, sentry_client=portico/{}, sentry_key={}",
            env!("CARGO_PKG_VERSION"),
            self.project.key.expose()
        );
        let request = self
            .http
            .post(self.project.envelopes.clone())
            .timeout(Duration::from_secs(5))
            .header("X-Sentry-Auth", auth)
            .header(http::header::CONTENT_TYPE, "application/x-sentry-envelope");
        let answer = request.body(self.envelope(event)).send().await;
        let asked =
            |answer: &reqwest::Response| answer.headers().get("retry-after")?.to_str().ok()?.parse().ok();
        match answer {
            Ok(answer) if answer.status() == http::StatusCode::TOO_MANY_REQUESTS => {
                Some(Duration::from_secs(asked(&answer).unwrap_or(60_u64).min(3_600)))
            }
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(error = %error.without_url(), "an error report could not be sent");
                Some(Duration::from_mins(1))
            }
        }
    }

    /// Header, item header and event, a line each.
    fn envelope(&self, event: &Event) -> String {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let body: Value = json!({
            "event_id": id,
            "timestamp": Timestamp::now().to_string(),
            "platform": "native",
            "level": "error",
            "logger": "portico",
            "release": concat!("portico@", env!("CARGO_PKG_VERSION")),
            "environment": self.stage,
            "exception": { "values": [{ "type": "InternalError", "value": event.problem }] },
            "tags": { "server": self.server, "tool": event.tool, "correlation_id": event.correlation },
        });
        let body = body.to_string();
        let (head, item) = (json!({ "event_id": id }), json!({ "type": "event", "length": body.len() }));
        format!("{head}\n{item}\n{body}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_names_the_place_and_what_is_none_is_refused() {
        let project = Project::parse("https://abc@sentry.example.com:9000/sub/42").unwrap();
        assert_eq!(project.envelopes.as_str(), "https://sentry.example.com:9000/sub/api/42/envelope/");
        for text in
            ["", "https://sentry.example.com/42", "https://abc@sentry.example.com/", "file:///x", "abc"]
        {
            assert!(Project::parse(text).is_none(), "{text}");
        }
    }
}
