//! Resource URIs: how clashing ones are told apart, and which template a URI belongs to.

use regex::Regex;

/// The URI `uri` of the server with `prefix`, where two servers use it. A `ui://` URI keeps its scheme, which hosts
/// look at, and gets the server as authority (RFC 3986 section 3.2); any other is wrapped in a scheme of ours.
pub(crate) fn wrap(prefix: &str, uri: &str) -> String {
    match uri.strip_prefix("ui://") {
        Some(rest) => format!("ui://{prefix}/{rest}"),
        None => format!("portico+{prefix}+{uri}"),
    }
}

/// The prefix that `wrap` gave a URI, and the URI; of a `ui://` URI whatever its authority is, which may be its own.
pub(crate) fn unwrapped(uri: &str) -> Option<(&str, String)> {
    if let Some(rest) = uri.strip_prefix("ui://") {
        let (prefix, rest) = rest.split_once('/')?;
        return Some((prefix, format!("ui://{rest}")));
    }
    let (prefix, original) = uri.strip_prefix("portico+")?.split_once('+')?;
    Some((prefix, original.to_owned()))
}

/// Tells the URIs of one RFC 6570 template.
#[derive(Debug, Clone)]
pub(crate) struct Template(Regex);

/// Bytes in a template that is still matched.
const MAX_TEMPLATE: usize = 1024;

impl Template {
    /// Reads `template`; `None` if it is not one or too long. Simple expressions (`{a}`) match one path segment, those
    /// with an operator (`{+a}`, `{/a}`, `{?a}`) anything.
    pub(crate) fn parse(template: &str) -> Option<Self> {
        if template.len() > MAX_TEMPLATE {
            return None;
        }
        let mut pattern = String::from("^");
        let mut rest = template;
        while let Some((literal, expression)) = rest.split_once('{') {
            let (expression, after) = expression.split_once('}')?;
            pattern.push_str(&regex::escape(literal));
            let operator = expression.starts_with(['+', '#', '.', '/', ';', '?', '&']);
            pattern.push_str(if operator { ".*" } else { "[^/]+" });
            rest = after;
        }
        pattern.push_str(&regex::escape(rest));
        pattern.push('$');
        Regex::new(&pattern).ok().map(Self)
    }

    /// Whether `uri` may come from the template.
    pub(crate) fn matches(&self, uri: &str) -> bool {
        self.0.is_match(uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_matches_what_it_expands_to() {
        let matches = |template, uri| Template::parse(template).is_some_and(|template| template.matches(uri));
        assert!(matches("file:///{name}.md", "file:///read.me.md"));
        assert!(!matches("file:///{name}.md", "file:///a/b.md"));
        assert!(matches("file:///{+path}", "file:///a/b.md"));
        assert!(matches("shop://items{?page,size}", "shop://items?page=2"));
        assert!(!matches("file:///{name", "file:///x"));
        assert!(!matches("a.c", "abc"));
    }

    #[test]
    fn interface_pages_keep_their_scheme() {
        assert_eq!(wrap("shop", "ui://cart/main"), "ui://shop/cart/main");
        assert_eq!(wrap("shop", "file:///a"), "portico+shop+file:///a");
        for uri in ["ui://cart/main", "file:///a", "a+b://c+d"] {
            assert_eq!(unwrapped(&wrap("shop", uri)), Some(("shop", uri.to_owned())));
        }
        assert_eq!((unwrapped("file:///a"), unwrapped("portico+a")), (None, None));
    }
}
