//! How traces are exported, as the environment says it (OpenTelemetry specification, SDK environment variables).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};

/// Behind the endpoint that is common to traces, metrics and logs.
const PATH: &str = "/v1/traces";
const SERVICE: &str = "portico-gateway";
/// Spans that wait, and spans of one request.
const QUEUE: usize = 2048;
const BATCH: usize = 512;
const DELAY: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why traces cannot be exported as the environment says.
#[derive(Debug, thiserror::Error)]
#[error("{variable}: {reason}")]
pub struct Error {
    /// The variable that is wrong.
    pub variable: &'static str,
    /// What is wrong with it, and what would be right.
    pub reason: String,
}

/// Which traces are kept that nobody before has decided upon, and whether those before are heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sampler {
    /// Whether a parent's decision counts.
    pub(crate) parent: bool,
    /// The share of all others, from 0 to 1.
    pub(crate) ratio: f64,
}

/// Where traces go, and how.
#[derive(Clone)]
pub struct Settings {
    pub(crate) endpoint: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
    /// `service.name` and the like.
    pub(crate) resource: Vec<(String, String)>,
    pub(crate) sampler: Sampler,
    pub(crate) queue: usize,
    pub(crate) batch: usize,
    pub(crate) delay: Duration,
}

impl std::fmt::Debug for Settings {
    /// Leaves out the headers, which may hold a key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Settings {
    /// What the variables say that `read` gives; `None` when traces are not to be exported, as when no endpoint is named.
    ///
    /// # Errors
    /// When a variable asks for what there is not.
    pub fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Error> {
        let said = |name: &str| read(name).filter(|value| !value.trim().is_empty());
        let is = |name: &str, wanted: &str| {
            said(name).is_some_and(|value| value.trim().eq_ignore_ascii_case(wanted))
        };
        if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        let Some(endpoint) = endpoint(&said)? else { return Ok(None) };
        let of_traces = |traces: &str, all: &str| said(traces).or_else(|| said(all));
        let protocol = of_traces("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL");
        if protocol.is_some_and(|protocol| protocol.trim() != "http/protobuf") {
            return Err(wrong("OTEL_EXPORTER_OTLP_PROTOCOL", "only http/protobuf is spoken"));
        }
        let headers = of_traces("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS");
        let timeout = of_traces("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT");
        let queue = number("OTEL_BSP_MAX_QUEUE_SIZE", said("OTEL_BSP_MAX_QUEUE_SIZE"), QUEUE)?;
        let batch = number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", said("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"), BATCH)?;
        Ok(Some(Self {
            endpoint,
            headers: headers.map_or(Ok(HeaderMap::new()), |text| pairs_to_headers(&text))?,
            timeout: milliseconds("OTEL_EXPORTER_OTLP_TIMEOUT", timeout, TIMEOUT)?,
            resource: resource(&said),
            sampler: sampler(&said)?,
            queue: queue.clamp(1, 1 << 20),
            batch: batch.clamp(1, queue.max(1)),
            delay: milliseconds("OTEL_BSP_SCHEDULE_DELAY", said("OTEL_BSP_SCHEDULE_DELAY"), DELAY)?,
        }))
    }
}

fn wrong(variable: &'static str, reason: impl Into<String>) -> Error {
    Error { variable, reason: reason.into() }
}

fn endpoint(said: &impl Fn(&str) -> Option<String>) -> Result<Option<Uri>, Error> {
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let (variable, url) = match (said(TRACES), said(ALL)) {
        (Some(url), _) => (TRACES, url.trim().to_owned()),
        (None, Some(url)) => (ALL, format!("{}{PATH}", url.trim().trim_end_matches('/'))),
        (None, None) => return Ok(None),
    };
    let uri = url.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    match uri.filter(|uri| uri.host().is_some()) {
        Some(uri) => Ok(Some(uri)),
        None => Err(wrong(variable, "must be a URL such as http://collector:4318")),
    }
}

fn number(variable: &'static str, text: Option<String>, or: usize) -> Result<usize, Error> {
    let read = text.map(|text| text.trim().parse().map_err(|_| wrong(variable, "must be a whole number")));
    read.unwrap_or(Ok(or))
}

fn milliseconds(variable: &'static str, text: Option<String>, or: Duration) -> Result<Duration, Error> {
    let read =
        text.map(|text| text.trim().parse().map_err(|_| wrong(variable, "must be a number of milliseconds")));
    read.map_or(Ok(or), |read| read.map(|milliseconds: u32| Duration::from_millis(milliseconds.into())))
}

/// `key=value,key=value`, with values as in a URL.
fn pairs(text: &str) -> impl Iterator<Item = (&str, String)> {
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.trim(), decoded(value.trim())))
}

/// A value whose percent signs do not make sense stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let hex = more.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn pairs_to_headers(text: &str) -> Result<HeaderMap, Error> {
    let bad = || wrong("OTEL_EXPORTER_OTLP_HEADERS", "must be `name=value` pairs with commas between them");
    let mut headers = HeaderMap::new();
    for (name, value) in pairs(text) {
        let name = HeaderName::try_from(name).map_err(|_| bad())?;
        let mut value = HeaderValue::try_from(value).map_err(|_| bad())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn resource(said: &impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let attributes = said("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let mut all: Vec<(String, String)> =
        pairs(&attributes).map(|(key, value)| (key.to_owned(), value)).collect();
    if let Some(name) = said("OTEL_SERVICE_NAME") {
        all.retain(|(key, _)| key != "service.name");
        all.push(("service.name".to_owned(), name));
    } else if !all.iter().any(|(key, _)| key == "service.name") {
        all.push(("service.name".to_owned(), SERVICE.to_owned()));
    }
    if !all.iter().any(|(key, _)| key == "service.version") {
        all.push(("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    }
    all
}

fn sampler(said: &impl Fn(&str) -> Option<String>) -> Result<Sampler, Error> {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    const SHARE: &str = "OTEL_TRACES_SAMPLER_ARG";
    let name = said(NAME).unwrap_or_else(|| "parentbased_always_on".to_owned());
    let (parent, kind) =
        name.trim().strip_prefix("parentbased_").map_or((false, name.trim()), |kind| (true, kind));
    let ratio = match kind {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => {
            let share = said(SHARE).map_or(Ok(1.0), |text| text.trim().parse::<f64>());
            let share = share.ok().filter(|share| (0.0..=1.0).contains(share));
            share.ok_or_else(|| wrong(SHARE, "must be a number from 0 to 1"))?
        }
        _ => {
            let known = "always_on, always_off or traceidratio, with parentbased_ before it or without";
            return Err(wrong(NAME, format!("must be {known}")));
        }
    };
    Ok(Sampler { parent, ratio })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Option<Settings>, Error> {
        Settings::from_variables(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_an_endpoint_nothing_is_exported() {
        const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        assert!(of(&[]).unwrap().is_none());
        assert!(of(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap().is_none());
        assert!(of(&[ENDPOINT, ("OTEL_SDK_DISABLED", "true")]).unwrap().is_none());
        assert!(of(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]).unwrap().is_none());
        let settings = of(&[ENDPOINT]).unwrap().unwrap();
        assert_eq!(settings.endpoint, "http://collector:4318/v1/traces");
        assert_eq!(settings.sampler, Sampler { parent: true, ratio: 1.0 });
        assert_eq!((settings.queue, settings.batch, settings.delay), (2048, 512, Duration::from_secs(5)));
        assert!(settings.resource.contains(&("service.name".into(), "portico-gateway".into())));
    }

    #[test]
    fn what_is_said_of_traces_goes_before_what_is_said_of_all() {
        let settings = of(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces.example/in"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-other=1"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=Bearer%20k1, x-team = shop"),
            ("OTEL_SERVICE_NAME", "edge"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=no,deployment.environment=a%2Cb"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!(settings.endpoint, "https://traces.example/in");
        assert_eq!(settings.headers["authorization"], "Bearer k1");
        assert_eq!(
            (settings.headers.len(), &settings.headers["x-team"]),
            (2, &HeaderValue::from_static("shop"))
        );
        assert_eq!(settings.sampler, Sampler { parent: false, ratio: 0.25 });
        assert_eq!(
            &settings.resource[..2],
            [("deployment.environment".into(), "a,b".into()), ("service.name".into(), "edge".into())]
        );
        assert!(!format!("{settings:?}").contains("k1"));
    }

    #[test]
    fn what_there_is_not_is_refused_by_its_variable() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        for (name, value, variable) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "OTEL_EXPORTER_OTLP_TIMEOUT"),
            ("OTEL_TRACES_SAMPLER", "xray", "OTEL_TRACES_SAMPLER"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c", "OTEL_EXPORTER_OTLP_HEADERS"),
        ] {
            assert_eq!(of(&[endpoint, (name, value)]).unwrap_err().variable, variable);
        }
        let many = [endpoint, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")];
        assert_eq!(of(&many).unwrap_err().variable, "OTEL_TRACES_SAMPLER_ARG");
    }
}
