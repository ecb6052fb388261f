//! Protocol revisions and the two eras they fall into.

/// The stateless revision.
pub(crate) const MODERN: &str = "2026-07-28";

/// The session-based revisions served over streamable HTTP, newest first.
pub(crate) const LEGACY: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

/// Everything served, newest first, as -32022 lists it.
pub(crate) const SUPPORTED: [&str; 4] = [MODERN, LEGACY[0], LEGACY[1], LEGACY[2]];

/// How a peer keeps state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// Up to 2025-11-25: `initialize` opens a session.
    Legacy,
    /// From 2026-07-28: each request stands alone.
    Modern,
}

/// The revision answered to a client that asks for `requested`: the same where it is served, else the newest legacy one.
pub(crate) fn negotiated(requested: &str) -> &'static str {
    LEGACY.iter().find(|version| **version == requested).copied().unwrap_or(LEGACY[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_legacy_revision_is_kept_and_any_other_gives_the_newest_legacy_one() {
        assert_eq!(negotiated("2025-06-18"), "2025-06-18");
        assert_eq!(negotiated(MODERN), "2025-11-25");
        assert_eq!(negotiated("2024-11-05"), "2025-11-25");
        assert_eq!(negotiated("yesterday"), "2025-11-25");
    }
}
