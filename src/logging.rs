//! Logs go to standard error, as text for people and as JSON lines for collectors.

use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use portico_gateway::LogFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Handle;

use crate::cli::{Command, LogFormat};
use crate::failure::Failure;

/// What is not logged unless it is named: see [`read`]. A session that is refused is told by the server itself.
const QUIET: &str = "rmcp=error,rmcp::transport::common::server_side_http=off,kube_client=off";

/// What decides which events are logged, once logging has begun.
static FILTER: OnceLock<Arc<Filter>> = OnceLock::new();

/// Starts logging; call once.
pub fn start(command: &Command, format: Option<LogFormat>) -> Result<(), Failure> {
    let text = text(command);
    let filter = read(&text).map_err(Failure::LogLevel)?;
    let format =
        format.unwrap_or(if std::io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json });
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    let set = match format {
        LogFormat::Text => {
            let builder = builder.with_ansi(colours()).with_target(false).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.init();
            setter(handle)
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.init();
            setter(handle)
        }
    };
    // Whoever starts logging twice is told by the logging itself.
    FILTER.set(Arc::new(Filter { text: Mutex::new(text), set })).ok();
    Ok(())
}

/// The filter in force, to be changed while the program runs.
pub fn filter_in_force() -> Option<Arc<dyn LogFilter>> {
    FILTER.get().map(|filter| Arc::clone(filter) as Arc<dyn LogFilter>)
}

type Set = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

fn setter<S: 'static>(handle: Handle<EnvFilter, S>) -> Set {
    Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
}

struct Filter {
    text: Mutex<String>,
    set: Set,
}

impl LogFilter for Filter {
    fn get(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, filter: &str) -> Result<(), String> {
        let read = read(filter)?;
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        (self.set)(read)?;
        filter.clone_into(&mut text);
        Ok(())
    }
}

fn read(text: &str) -> Result<EnvFilter, String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    // The MCP library tells of every session, of every method that a server does not have and from `debug` on of arguments and answers,
    // secrets among them; the Kubernetes client repeats every failure that whoever called it tells better. Whoever wants to read them
    // names them.
    EnvFilter::try_new(format!("{QUIET},{text}")).map_err(|error| error.to_string())
}

/// `up` shows states itself, so only what goes wrong is logged beside it.
fn text(command: &Command) -> String {
    let given = std::env::var("LOG_LEVEL").unwrap_or_default();
    match given.trim() {
        "" if matches!(command, Command::Up(_)) => "off".to_owned(),
        "" => "info".to_owned(),
        given => given.to_owned(),
    }
}

/// Colours are for terminals whose owner does not object (<https://no-color.org>).
fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of two libraries' events and one of ours.
    fn logged(filter: &str) -> String {
        let written = Written::default();
        let writer = written.clone();
        let builder = tracing_subscriber::fmt().with_env_filter(read(filter).unwrap());
        tracing::subscriber::with_default(builder.with_writer(move || writer.clone()).finish(), || {
            tracing::debug!("ours");
            tracing::debug!(target: "rmcp::service", "a secret argument");
            tracing::warn!(target: "rmcp::service", "a secret link");
            tracing::warn!(target: "kube_client::client", "told twice");
        });
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_level_lets_our_own_events_in_and_not_those_of_libraries_that_hold_secrets() {
        let all = logged("debug");
        assert!(all.contains("ours") && !all.contains("secret") && !all.contains("twice"), "{all}");
        assert_eq!(logged("info"), "");
    }

    #[test]
    fn whoever_names_a_library_reads_it() {
        let all = logged("info,rmcp=debug");
        assert!(all.contains("a secret argument") && all.contains("a secret link"), "{all}");
    }
}
