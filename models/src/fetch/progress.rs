//! How far a fetch is, for whoever asks.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Shared;
use axum::{Json, Router, routing};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{Failure, Fetched};

/// How far a fetch is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// What is going on.
    pub state: State,
    /// Bytes that are there.
    pub bytes: u64,
    /// Bytes of the whole file, once they are known.
    pub total: Option<u64>,
    /// `bytes` in percent of `total`, rounded down.
    pub percent: Option<u64>,
    /// The state in words.
    pub message: String,
}

/// What is going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Bytes come in, or will.
    #[default]
    Downloading,
    /// What is there is held against its checksum.
    Verifying,
    /// The file is in its place.
    Done,
    /// It cannot be had.
    Failed,
}

/// The writing end of a progress.
#[derive(Clone, Debug)]
pub struct Reporter(Arc<watch::Sender<Progress>>);

impl Reporter {
    /// A progress that has not begun, and where it can be read.
    #[must_use]
    pub fn new() -> (Self, watch::Receiver<Progress>) {
        let (sender, receiver) = watch::channel(Progress::default());
        (Self(Arc::new(sender)), receiver)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.borrow().bytes
    }

    fn set(&self, change: impl FnOnce(&mut Progress)) {
        self.0.send_modify(|progress| {
            change(progress);
            let total = progress.total.filter(|total| *total > 0);
            progress.percent = total.map(|total| progress.bytes.min(total).saturating_mul(100) / total);
        });
    }

    pub(super) fn starting(&self, bytes: u64, total: Option<u64>) {
        self.set(|progress| {
            let message =
                if bytes > 0 { format!("going on after {bytes} bytes") } else { "downloading".into() };
            *progress = Progress { state: State::Downloading, bytes, total, message, ..Progress::default() };
        });
    }

    pub(super) fn received(&self, bytes: u64) {
        self.set(|progress| progress.bytes = bytes);
    }

    pub(super) fn retrying(&self, what: &str) {
        self.set(|progress| {
            progress.state = State::Downloading;
            progress.message = format!("trying again: {what}");
        });
    }

    pub(super) fn verifying(&self) {
        self.set(|progress| {
            progress.state = State::Verifying;
            "verifying what is there".clone_into(&mut progress.message);
        });
    }

    pub(super) fn end(&self, outcome: &Result<Fetched, Failure>) {
        self.set(|progress| match outcome {
            Ok(fetched) => {
                let (bytes, total) = (fetched.bytes, Some(fetched.bytes));
                *progress = Progress {
                    state: State::Done,
                    bytes,
                    total,
                    percent: None,
                    message: fetched.to_string(),
                };
            }
            Err(failure) => {
                progress.state = State::Failed;
                progress.message = failure.to_string();
            }
        });
    }
}

/// Answers `GET /progress` until the process ends.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, progress: watch::Receiver<Progress>) -> std::io::Result<()> {
    let answer = |Shared(progress): Shared<watch::Receiver<Progress>>| async move {
        let progress = progress.borrow().clone();
        Json(progress)
    };
    axum::serve(listener, Router::new().route("/progress", routing::get(answer)).with_state(progress)).await
}

/// Writes a line to the log every few seconds, as long as something changes.
pub async fn tell(mut progress: watch::Receiver<Progress>) {
    while progress.changed().await.is_ok() {
        let Progress { bytes, total, percent, message, .. } = progress.borrow_and_update().clone();
        tracing::info!(bytes, total, percent, "{message}");
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}
