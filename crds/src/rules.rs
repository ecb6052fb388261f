//! Rules of CEL that several kinds share. Those of one kind stand beside its fields.

use kube::core::{Message, Rule};

/// Absolute URL without a user name, whose password would stand readable in the manifest, and without fragment.
const HTTP: &str = "isURL(self) && self.matches('^https?://[^/?#@:][^/?#@]*([/?][^#]*)?$')";

/// The same; plain HTTP only where nobody else can listen.
const HTTPS: &str = "isURL(self) && self.matches('^(https://[^/?#@:][^/?#@]*|http://(localhost|127[.]0[.]0[.]1|\\\\[::1\\\\])(:[0-9]+)?)([/?][^#]*)?$')";

/// A field that holds a URL with the scheme 'http' or 'https'.
pub fn http_url(field: &str) -> Rule {
    Rule::new(HTTP).message(Message::Message(format!(
        "`{field}` must be an absolute URL with the scheme 'http' or 'https', without user name and fragment"
    )))
}

/// A field that holds a URL with the scheme 'https'; 'http' is allowed towards this machine alone.
pub fn https_url(field: &str) -> Rule {
    Rule::new(HTTPS).message(Message::Message(format!(
        "`{field}` must be an absolute URL with the scheme 'https', or 'http' with the host 'localhost', '127.0.0.1' or '[::1]', without user name and fragment"
    )))
}

/// Names of resources whose children get a longer name, in the form that an `McpServer` allows.
pub fn name(longest: usize) -> Rule {
    Rule::new(format!(
        "self.metadata.name.size() <= {longest} && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')"
    ))
    .message(Message::Message(format!(
        "`metadata.name` must be at most {longest} characters of 'a-z', '0-9' and '-', begin with a letter and end with a letter or digit"
    )))
}
