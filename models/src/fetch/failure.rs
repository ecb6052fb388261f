//! Why a file cannot be had.

use std::path::PathBuf;
use std::time::Duration;

/// How a fetch ended, in one word for programs. The words are part of the contract with the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The file is in its place.
    Downloaded,
    /// The content is not what was asked for.
    ChecksumMismatch,
    /// The volume is too small.
    NoSpace,
    /// The server has no such file.
    NotFound,
    /// The server wants another token, or one at all.
    Unauthorized,
    /// The server does not answer, or not in time.
    Unreachable,
    /// The process was told to end.
    Interrupted,
    /// The folder cannot be written to.
    Unwritable,
}

impl Reason {
    /// The reason as it stands before the message.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Downloaded => "Downloaded",
            Self::ChecksumMismatch => "ChecksumMismatch",
            Self::NoSpace => "NoSpace",
            Self::NotFound => "NotFound",
            Self::Unauthorized => "Unauthorized",
            Self::Unreachable => "Unreachable",
            Self::Interrupted => "Interrupted",
            Self::Unwritable => "Unwritable",
        }
    }

    /// The exit code that says so.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Downloaded => 0,
            Self::ChecksumMismatch => 3,
            Self::NoSpace => 4,
            Self::NotFound => 5,
            Self::Unauthorized => 6,
            Self::Unreachable => 7,
            Self::Interrupted => 8,
            Self::Unwritable => 9,
        }
    }
}

/// Why a file cannot be had. The URLs within are without query, and nothing here holds a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The file has another SHA-256.
    #[error(
        "{url} has the SHA-256 {actual}, not {expected}; the download was removed: check {field}, and that its sha256 belongs to this file"
    )]
    Checksum {
        /// The URL.
        url: String,
        /// What was asked for.
        expected: String,
        /// What came.
        actual: String,
        /// Field of the manifest.
        field: &'static str,
    },
    /// The file has another size.
    #[error(
        "{url} has {actual} bytes, not {expected}: check {field}, and that its size belongs to this file"
    )]
    Size {
        /// The URL.
        url: String,
        /// What was asked for.
        expected: u64,
        /// What the server tells.
        actual: u64,
        /// Field of the manifest.
        field: &'static str,
    },
    /// The volume is too small.
    #[error(
        "{}: {missing} bytes of space are missing ({needed} are still to come, {free} are free): make spec.cache larger, or free space", file.display()
    )]
    NoSpace {
        /// The file.
        file: PathBuf,
        /// Bytes that are still to come.
        needed: u64,
        /// Bytes that are free.
        free: u64,
        /// Bytes that are missing.
        missing: u64,
    },
    /// The server has no such file.
    #[error("{url} does not exist (HTTP status {status}): check {field}")]
    NotFound {
        /// The URL.
        url: String,
        /// The answer's status.
        status: u16,
        /// Field of the manifest.
        field: &'static str,
    },
    /// The server wants another token, or one at all.
    #[error("{url} is refused (HTTP status {status}), {}: check {field}.tokenSecret, that its token is valid and may read this file, and {field} itself",
        if *with_token { "though a token was sent" } else { "no token was sent" })]
    Unauthorized {
        /// The URL.
        url: String,
        /// The answer's status.
        status: u16,
        /// Whether a token was sent.
        with_token: bool,
        /// Field of the manifest.
        field: &'static str,
    },
    /// The server does not answer, or not in time, or not with the file.
    #[error(
        "{url} cannot be had: {what}; {bytes} bytes are kept and a later run goes on from there: check {field}, and that this pod may reach its host"
    )]
    Unreachable {
        /// The URL.
        url: String,
        /// What went wrong last.
        what: String,
        /// Bytes that are there.
        bytes: u64,
        /// Field of the manifest.
        field: &'static str,
    },
    /// The process was told to end.
    #[error("stopped; {bytes} bytes are kept and a later run goes on from there")]
    Interrupted {
        /// Bytes that are there.
        bytes: u64,
    },
    /// The folder cannot be written to.
    #[error("{}: {what}: check that the volume is there and may be written to", file.display())]
    Unwritable {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        what: String,
    },
}

impl Failure {
    /// The failure in one word.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Checksum { .. } | Self::Size { .. } => Reason::ChecksumMismatch,
            Self::NoSpace { .. } => Reason::NoSpace,
            Self::NotFound { .. } => Reason::NotFound,
            Self::Unauthorized { .. } => Reason::Unauthorized,
            Self::Unreachable { .. } => Reason::Unreachable,
            Self::Interrupted { .. } => Reason::Interrupted,
            Self::Unwritable { .. } => Reason::Unwritable,
        }
    }
}

/// What ended one try.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Another try would end the same way.
    Final(Failure),
    /// Another try may go well, after `wait` where the server says so.
    Passing { what: String, wait: Option<Duration> },
}

impl Trouble {
    pub fn passing(what: impl Into<String>) -> Self {
        Self::Passing { what: what.into(), wait: None }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}
