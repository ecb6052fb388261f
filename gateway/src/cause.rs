//! What an error comes down to.

use std::error::Error;

/// The innermost cause, which says what the outer ones only circumscribe.
pub(crate) fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
