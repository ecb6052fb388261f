//! What is kept of a tool call, as a line of the log: never the value of an argument.

use rmcp::model::JsonObject;

/// How much is kept; the variable `PORTICO_AUDIT` says it, which `spec.audit` of an `McpServer` sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Audit {
    /// Nothing.
    #[default]
    Off,
    /// Which tool, how long it took and how it ended.
    Metadata,
    /// The names of its arguments as well.
    Arguments,
}

/// Most names that are kept of one call, and most characters of each: both come from outside.
const MOST: usize = 32;

impl Audit {
    /// The level that the process was started with.
    pub(crate) fn of_process() -> Self {
        let given = std::env::var("PORTICO_AUDIT").unwrap_or_default();
        Self::parse(&given).unwrap_or_else(|| {
            tracing::warn!("PORTICO_AUDIT must be Off, Metadata or Arguments; nothing is kept of calls");
            Self::Off
        })
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "Off" => Some(Self::Off),
            "Metadata" => Some(Self::Metadata),
            "Arguments" => Some(Self::Arguments),
            _ => None,
        }
    }

    /// The names of a call's arguments, where they are kept.
    pub(crate) fn arguments(self, arguments: Option<&JsonObject>) -> Option<String> {
        if self != Self::Arguments {
            return None;
        }
        let names = arguments.into_iter().flat_map(JsonObject::keys);
        let short = |name: &String| name.chars().take(MOST).collect::<String>();
        Some(names.take(MOST).map(short).collect::<Vec<_>>().join(","))
    }

    /// Writes the line of a call that has ended.
    pub(crate) fn note(self, tool: &str, outcome: &str, took: std::time::Duration, arguments: Option<&str>) {
        if self == Self::Off {
            return;
        }
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(target: "portico::audit", tool, outcome, milliseconds, arguments, "tool call");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments() -> JsonObject {
        serde_json::from_value(json!({"card": "4111", "amount": 7})).unwrap()
    }

    #[test]
    fn the_names_of_arguments_are_kept_where_asked_and_their_values_never() {
        let arguments = arguments();
        assert_eq!(Audit::Arguments.arguments(Some(&arguments)).as_deref(), Some("card,amount"));
        assert_eq!(Audit::Metadata.arguments(Some(&arguments)), None);
        assert_eq!(Audit::Off.arguments(Some(&arguments)), None);
    }

    #[test]
    fn a_level_is_read_as_the_manifest_writes_it() {
        assert_eq!(Audit::parse("Arguments"), Some(Audit::Arguments));
        assert_eq!(Audit::parse(""), Some(Audit::Off));
        assert_eq!(Audit::parse("arguments"), None);
    }

    #[test]
    fn names_without_end_are_cut() {
        let many: serde_json::Map<String, serde_json::Value> =
            (0..100).map(|number| (format!("{number}{}", "x".repeat(100)), json!(1))).collect();
        let kept = Audit::Arguments.arguments(Some(&many)).unwrap();
        assert!(kept.len() <= MOST * (MOST + 1), "{}", kept.len());
    }
}
