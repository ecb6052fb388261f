//! What people read, in English, Spanish, French and German: Fluent messages (projectfluent.org), the kit's own and a server's.

mod gaps;
mod locale;

use std::{borrow::Cow, time::Duration};

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};

pub use fluent_bundle::FluentValue as Value;
pub use gaps::gaps;
pub use locale::Locale;

use crate::{
    tool::ToolError,
    upstream::{self, Class},
};

/// The kit's own.
const KIT: [(Locale, &str); 4] = [
    (Locale::En, include_str!("en.ftl")),
    (Locale::Es, include_str!("es.ftl")),
    (Locale::Fr, include_str!("fr.ftl")),
    (Locale::De, include_str!("de.ftl")),
];

/// Why messages cannot be used: a mistake in their files.
#[derive(Debug, thiserror::Error)]
#[error("the messages in `{locale}` cannot be used: {problem}")]
pub struct Error {
    locale: Locale,
    problem: String,
}

/// Messages in all languages.
pub struct Messages {
    bundles: Vec<(Locale, FluentBundle<FluentResource>)>,
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messages").finish_non_exhaustive()
    }
}

impl Messages {
    /// The kit's messages, and a server's `own`. Let a test of the server see that [`gaps()`] finds none in them.
    pub fn new(own: &[(Locale, &'static str)]) -> Result<Self, Error> {
        let bundles = Locale::ALL.into_iter().map(|locale| Ok((locale, bundle(locale, own)?)));
        Ok(Self { bundles: bundles.collect::<Result<_, Error>>()? })
    }

    /// The message `id` with its arguments filled in. Where a language does not have it, in English; an id that nobody knows is given
    /// back as it is.
    #[must_use]
    pub fn text(&self, locale: Locale, id: &str, arguments: &[(&str, Value<'_>)]) -> String {
        let filled: FluentArgs<'_> =
            arguments.iter().map(|(name, value)| (Cow::Borrowed(*name), value.clone())).collect();
        let found = [locale, Locale::En].into_iter().find_map(|locale| self.formatted(locale, id, &filled));
        found.unwrap_or_else(|| {
            tracing::error!(id, "there is no such message");
            id.to_owned()
        })
    }

    fn formatted(&self, locale: Locale, id: &str, arguments: &FluentArgs<'_>) -> Option<String> {
        let (_, bundle) = self.bundles.iter().find(|(own, _)| *own == locale)?;
        let pattern = bundle.get_message(id)?.value()?;
        let mut errors = Vec::new();
        let text = bundle.format_pattern(pattern, Some(arguments), &mut errors);
        if !errors.is_empty() {
            tracing::error!(id, %locale, ?errors, "a message could not be filled in");
        }
        Some(text.trim_end().to_owned())
    }

    /// A span of time in whole units, rounded up, as it stands after "in" and before "ago": `5 minutes`.
    #[must_use]
    pub fn span(&self, locale: Locale, span: Duration) -> String {
        let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
        let (id, count) = match seconds {
            0..120 => ("span-seconds", seconds.max(1)),
            120..7_200 => ("span-minutes", seconds.div_ceil(60)),
            _ => ("span-hours", seconds.div_ceil(3_600)),
        };
        self.text(locale, id, &[("count", count.into())])
    }

    /// What stands beside an answer that is older than it should be, since its source fails.
    #[must_use]
    pub fn stale(&self, locale: Locale, age: Duration) -> String {
        self.text(locale, "stale-notice", &[("span", self.span(locale, age).into())])
    }

    /// What a person is told of a failure. What the server itself has worded ([`ToolError::Refused`], [`ToolError::NotFound`]) stays.
    #[must_use]
    pub fn error(&self, locale: Locale, error: &ToolError) -> String {
        let text = |id, arguments: &[(&str, Value<'_>)]| self.text(locale, id, arguments);
        match error {
            ToolError::Invalid { field, problem } => text(
                "invalid-argument",
                &[("field", field.into()), ("problem", without_stop(problem).into())],
            ),
            ToolError::SignIn { url: Some(url), .. } => text("sign-in-needed-at", &[("url", url.into())]),
            ToolError::SignIn { url: None, .. } => text("sign-in-needed", &[]),
            ToolError::TooOften { per_minute, wait } => {
                let advice = self.advice(locale, Some(*wait));
                text("too-often", &[("limit", (*per_minute).into()), ("advice", advice.into())])
            }
            ToolError::Upstream(error) => self.upstream(locale, error),
            ToolError::Away(_) => text("data-away", &[]),
            ToolError::Internal(_) => text("internal-error", &[]),
            ToolError::Refused(worded) | ToolError::NotFound(worded) => worded.clone(),
        }
    }

    fn upstream(&self, locale: Locale, error: &upstream::Error) -> String {
        let arguments = [
            ("api", error.api().into()),
            ("reason", without_stop(error.reason()).into()),
            ("advice", self.advice(locale, error.wait()).into()),
        ];
        self.text(locale, id_of(error.class()), &arguments)
    }

    fn advice(&self, locale: Locale, wait: Option<Duration>) -> String {
        match wait {
            None => self.text(locale, "again-shortly", &[]),
            Some(wait) => self.text(locale, "again-in", &[("span", self.span(locale, wait).into())]),
        }
    }
}

fn id_of(class: Class) -> &'static str {
    match class {
        Class::Network => "upstream-network",
        Class::Timeout => "upstream-timeout",
        Class::RateLimited => "upstream-rate-limit",
        Class::Server => "upstream-server",
        Class::Client => "upstream-client",
        Class::Authentication => "upstream-authentication",
        Class::Authorization => "upstream-authorization",
        Class::Validation => "upstream-validation",
        Class::NotFound => "upstream-not-found",
        Class::Malformed => "upstream-malformed",
        Class::Quota => "upstream-quota",
        Class::CircuitOpen => "upstream-circuit-open",
        Class::UnknownOutcome => "upstream-unknown-outcome",
    }
}

/// Messages bring their own.
fn without_stop(text: &str) -> &str {
    text.trim_end_matches(['.', ' '])
}

fn bundle(locale: Locale, own: &[(Locale, &'static str)]) -> Result<FluentBundle<FluentResource>, Error> {
    let mut bundle = FluentBundle::new_concurrent(vec![locale.tag().parse().unwrap_or_default()]);
    // The marks around arguments are for text of both directions, which none of these languages is; models would copy them.
    bundle.set_use_isolating(false);
    match locale {
        Locale::En => bundle.set_formatter(Some(|value, _| number(Locale::En, value))),
        Locale::Es => bundle.set_formatter(Some(|value, _| number(Locale::Es, value))),
        Locale::Fr => bundle.set_formatter(Some(|value, _| number(Locale::Fr, value))),
        Locale::De => bundle.set_formatter(Some(|value, _| number(Locale::De, value))),
    }
    for (_, text) in KIT.iter().chain(own).filter(|(language, _)| *language == locale) {
        let wrong = |problem: String| Error { locale, problem };
        let resource = FluentResource::try_new((*text).to_owned())
            .map_err(|(_, errors)| wrong(format!("{errors:?}")))?;
        bundle.add_resource(resource).map_err(|errors| wrong(format!("{errors:?}")))?;
    }
    Ok(bundle)
}

fn number(locale: Locale, value: &FluentValue<'_>) -> Option<String> {
    if let FluentValue::Number(number) = value { Some(locale.number(&number.as_string())) } else { None }
}

#[cfg(test)]
mod tests;
