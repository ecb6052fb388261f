//! Who asks the paths of the sign-in: a browser, which gets pages in its language, or a program, which gets JSON.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::Response,
};
use portico_kit::{
    caller,
    messages::{Locale, Messages, Value},
    tool::ToolError,
};
use serde_json::json;

use super::{
    answer::{Page, escape, json},
    login::Failure,
    routes::Site,
};

/// What customers read here.
pub(crate) const MESSAGES: [(Locale, &str); 4] = [
    (Locale::En, include_str!("messages/en.ftl")),
    (Locale::Es, include_str!("messages/es.ftl")),
    (Locale::Fr, include_str!("messages/fr.ftl")),
    (Locale::De, include_str!("messages/de.ftl")),
];

/// Whoever has sent a request.
pub(super) struct Visitor {
    headers: HeaderMap,
    messages: Arc<Messages>,
    locale: Locale,
}

impl FromRequestParts<Arc<Site>> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Infallible> {
        let locale = Locale::negotiate(text(&parts.headers, header::ACCEPT_LANGUAGE.as_str()));
        Ok(Self { headers: parts.headers.clone(), messages: site.messages(), locale })
    }
}

impl Visitor {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        text(&self.headers, name)
    }

    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        caller::cookie(&self.headers, name)
    }

    /// The names of cookies that begin with `prefix`.
    pub(super) fn cookies_like(&self, prefix: &str) -> Vec<String> {
        let lines = self.headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
        let names = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        names.map(|(name, _)| name.to_owned()).filter(|name| name.starts_with(prefix)).collect()
    }

    /// A name for the device that tells no more than people need to know their devices apart.
    pub(super) fn device(&self) -> &'static str {
        device(self.header(header::USER_AGENT.as_str()).unwrap_or_default())
    }

    /// Whether a program asks, rather than a browser.
    pub(super) fn is_program(&self) -> bool {
        wants_json(&self.headers)
    }

    /// What `id` says in the visitor's language.
    pub(super) fn say(&self, id: &str) -> String {
        self.messages.text(self.locale, id, &[])
    }

    /// The same as a paragraph of a page.
    pub(super) fn paragraph(&self, id: &str) -> String {
        format!("<p>{}</p>", escape(&self.say(id)))
    }

    /// A form that posts to `action` when its button is pressed; `fields` are within it.
    pub(super) fn button(&self, action: &str, id: &str, fields: &str) -> String {
        format!(
            "<form method=\"post\" action=\"{action}\">{fields}<button>{}</button></form>",
            escape(&self.say(id))
        )
    }

    /// A page whose title is what `id` says.
    pub(super) fn page(&self, id: &str, body: String) -> Page {
        Page { status: StatusCode::OK, language: self.locale.tag(), title: self.say(id), body }
    }

    /// A failure: what `id` says, and what `id` with `-why` says of it.
    pub(super) fn refuse(&self, status: StatusCode, id: &str) -> Response {
        self.refuse_for(status, id, &self.say(&format!("{id}-why")))
    }

    /// What Kroger says of a sign-in that it refused.
    pub(super) fn refuse_saying(&self, reason: &str) -> Response {
        let reason: String = reason.chars().take(80).collect();
        let why = self.messages.text(self.locale, "not-signed-in-why", &[("reason", Value::from(reason))]);
        self.refuse_for(StatusCode::BAD_GATEWAY, "not-signed-in", &why)
    }

    fn refuse_for(&self, status: StatusCode, id: &str, why: &str) -> Response {
        if self.is_program() {
            let title = self.say(id);
            let problem =
                json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": why });
            return json(status, problem);
        }
        let page = self.page(id, format!("<p>{}</p>", escape(why)));
        Page { status, ..page }.respond()
    }

    /// Why a sign-in came to nothing.
    pub(super) fn failed(&self, failure: &Failure) -> Response {
        match failure {
            Failure::Unknown => self.refuse(StatusCode::BAD_REQUEST, "unknown-sign-in"),
            Failure::Linked => self.refuse(StatusCode::CONFLICT, "already-linked"),
            Failure::Refused => self.refuse(StatusCode::BAD_GATEWAY, "code-refused"),
            Failure::Unanswered => self.refuse(StatusCode::BAD_GATEWAY, "unanswered"),
            Failure::Tool(error) => self.tool_failed(error),
        }
    }

    pub(super) fn tool_failed(&self, error: &ToolError) -> Response {
        match error {
            ToolError::SignIn { .. } => {
                self.refuse_for(StatusCode::UNAUTHORIZED, "sign-in-first", &self.told(error))
            }
            ToolError::Upstream(_) => {
                self.refuse_for(StatusCode::BAD_GATEWAY, "upstream-failed", &self.told(error))
            }
            ToolError::Away(_) => {
                tracing::warn!(%error, "a sign-in failed since the data are away");
                self.refuse_for(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "failed",
                    &self.messages.error(self.locale, error),
                )
            }
            _ => {
                tracing::error!(%error, "a sign-in failed");
                self.refuse(StatusCode::INTERNAL_SERVER_ERROR, "failed")
            }
        }
    }

    fn told(&self, error: &ToolError) -> String {
        if self.locale == Locale::En { error.to_string() } else { self.messages.error(self.locale, error) }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn device(agent: &str) -> &'static str {
    let names = [
        ("Edg", "Edge"),
        ("OPR", "Opera"),
        ("Firefox", "Firefox"),
        ("Chrome", "Chrome"),
        ("Safari", "Safari"),
    ];
    names.into_iter().find(|(mark, _)| agent.contains(mark)).map_or("a program", |(_, name)| name)
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = text(headers, header::ACCEPT.as_str()).unwrap_or_default();
    accepted.contains("application/json") && !accepted.contains("text/html")
}

#[cfg(test)]
mod tests {
    use portico_kit::messages::gaps;
    use rstest::rstest;

    use super::*;

    #[test]
    fn every_language_says_all_of_it() {
        assert_eq!(gaps(&MESSAGES), Vec::<String>::new());
    }

    #[test]
    fn a_browser_gets_a_page_and_a_program_json() {
        let accepting = |value: &str| [(header::ACCEPT, value.parse().unwrap())].into_iter().collect();
        assert!(wants_json(&accepting("application/json")));
        assert!(!wants_json(&accepting("text/html,application/xhtml+xml,application/json;q=0.9")));
        assert!(!wants_json(&HeaderMap::new()));
    }

    #[rstest]
    #[case("Mozilla/5.0 (X11) Gecko/20100101 Firefox/130.0", "Firefox")]
    #[case("Mozilla/5.0 AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0", "Edge")]
    #[case("curl/8.0", "a program")]
    fn a_device_is_named_by_its_browser(#[case] agent: &str, #[case] name: &str) {
        assert_eq!(device(agent), name);
    }
}
