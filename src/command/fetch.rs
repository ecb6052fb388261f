//! `portico fetch`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use portico_models::fetch::{self, Fetched, Order, Reason, Reporter, Source, free_space};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cli::Fetch;
use crate::failure::Failure;

/// Where the kubelet looks for a container's last words.
const TERMINATION_LOG: &str = "/dev/termination-log";
/// Pause before the second try.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

pub async fn run(arguments: &Fetch, stop: CancellationToken) -> Result<ExitCode, Failure> {
    let order = order(arguments)?;
    let (reporter, progress) = Reporter::new();
    if let Some(address) = arguments.listen {
        let listener = TcpListener::bind(address).await.map_err(|source| Failure::Listen {
            address,
            source,
            mend: "choose another address with --listen",
        })?;
        tokio::spawn(fetch::serve(listener, progress.clone()));
    }
    tokio::spawn(fetch::tell(progress));
    let outcome = fetch::fetch(&order, &reporter, &stop).await;
    record(arguments.termination_log.clone(), &fetch::line(&outcome));
    Ok(report(&outcome))
}

fn order(arguments: &Fetch) -> Result<Order, Failure> {
    let source = match (&arguments.url, &arguments.hugging_face, &arguments.file) {
        (None, Some(repository), Some(file)) => {
            Source::hugging_face(&arguments.hf_endpoint, repository, file, &arguments.revision)
        }
        (url, ..) => Source::url(url.as_deref().unwrap_or_default()),
    };
    Ok(Order {
        source: source.map_err(|error| Failure::part(&error))?,
        sha256: arguments.sha256.clone(),
        size: arguments.size,
        into: arguments.into.clone(),
        token: arguments.token_file.as_deref().map(token).transpose()?.map(Into::into),
        deadline: Duration::from_secs(arguments.deadline),
        first_pause: FIRST_PAUSE,
        free_space,
    })
}

/// The message names the file, never what stands in it.
fn token(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(Failure::file(path))?;
    let token = text.trim();
    let valid = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    valid.then(|| token.to_owned()).ok_or_else(|| Failure::Token(path.to_owned()))
}

/// Leaves the outcome where the kubelet copies it from into the pod's status.
fn record(path: Option<PathBuf>, line: &str) {
    let path = path.unwrap_or_else(|| TERMINATION_LOG.into());
    if path == Path::new(TERMINATION_LOG) && !path.exists() {
        return;
    }
    if let Err(error) = std::fs::write(&path, line) {
        tracing::warn!(path = %path.display(), %error, "the outcome could not be written");
    }
}

fn report(outcome: &Result<Fetched, fetch::Failure>) -> ExitCode {
    match outcome {
        Ok(fetched) => tracing::info!("{fetched}"),
        Err(failure) => eprintln!("error: {failure}"),
    }
    ExitCode::from(outcome.as_ref().map_or_else(fetch::Failure::reason, |_| Reason::Downloaded).exit_code())
}
