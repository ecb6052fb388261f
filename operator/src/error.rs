//! What can go wrong in one pass, and what follows from it.

use thiserror::Error;

/// A pass over one resource that did not end well.
#[derive(Debug, Error)]
pub enum Error {
    /// The API server refused or could not be reached.
    #[error("cannot {verb} {object}: {}", words(source))]
    Api {
        /// What was asked.
        verb: &'static str,
        /// Of which object.
        object: String,
        /// What came back.
        source: Box<kube::Error>,
    },
    /// The API server did not answer in time.
    #[error("cannot {verb} {object}: no answer in time")]
    Timeout {
        /// What was asked.
        verb: &'static str,
        /// Of which object.
        object: String,
    },
    /// An object of a child's name belongs to somebody else.
    #[error("{kind} '{name}' exists and does not belong to this resource; rename one of them or delete it")]
    Conflict {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
    },
    /// An object in the cluster does not fit this version's types.
    #[error("the object cannot be read by this version of Portico: {0}")]
    Undecodable(String),
    /// A fault in Portico.
    #[error("a fault in Portico: {0}")]
    Panic(String),
    /// The Lease has no place.
    #[error("namespace '{0}' does not exist; create it, or name another with --lease-namespace")]
    NoNamespace(String),
    /// The process may not go on.
    #[error("{0}")]
    Fatal(String),
}

/// Classes of errors, as metrics and back-off see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Somebody else wrote first, or owns the object.
    Conflict,
    /// The operator lacks a right.
    Denied,
    /// The API server is away, slow or busy.
    Transient,
    /// The object was refused as invalid.
    Invalid,
    /// A fault in Portico.
    Bug,
}

impl Class {
    /// The class as a metric's label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Transient => "transient",
            Self::Invalid => "invalid",
            Self::Bug => "bug",
        }
    }
}

impl Error {
    /// The error's class.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Api { source, .. } => class_of(source),
            Self::Timeout { .. } | Self::NoNamespace(_) => Class::Transient,
            Self::Conflict { .. } => Class::Conflict,
            Self::Undecodable(_) => Class::Invalid,
            Self::Panic(_) | Self::Fatal(_) => Class::Bug,
        }
    }

    /// Whether trying again soon will not help: somebody has to change something, so a condition says it.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::Conflict { .. }) || matches!(self.class(), Class::Denied | Class::Invalid)
    }

    /// Whether the place that an object was to be made in is not there.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        matches!(self, Self::Api { source, .. } if code(source) == Some(404))
    }

    /// Whether the object that was written to is not there (any more), or is another one by now.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Api { source, .. } if matches!(code(source), Some(404 | 409)))
    }
}

/// What the API server said, without what the client puts around it.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        other => other.to_string(),
    }
}

fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

fn class_of(error: &kube::Error) -> Class {
    match code(error) {
        Some(409) => Class::Conflict,
        Some(401 | 403) => Class::Denied,
        Some(400 | 422) => Class::Invalid,
        _ => Class::Transient,
    }
}
