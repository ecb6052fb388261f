//! Why a service did not start.

/// Why a service could not be had, by the step that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program is not there.
    #[error("{program} is missing: install Debian's package {package}, as `cargo xtask test` does")]
    Missing {
        /// The program.
        program: &'static str,
        /// The package that has it.
        package: &'static str,
    },
    /// A program ended early, or did not get ready in time.
    #[error("{program} {what}; its log ends with:\n{log}")]
    Failed {
        /// The program.
        program: &'static str,
        /// What it did.
        what: &'static str,
        /// The end of what it wrote.
        log: String,
    },
}

impl Error {
    /// Whether another program has taken the port between the look for a free one and the start.
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self, Self::Failed { log, .. } if log.contains("Address already in use"))
    }

    /// Makes an error of the system's, met while `doing` something.
    pub(crate) fn io(doing: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
