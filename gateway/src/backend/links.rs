//! Gives links in results the URIs by which clients reach what they lead to.

use super::control::elements;
use crate::backend::Backend;
use crate::catalog::View;
use crate::envelope::{Edits, Object, quoted};
use crate::method::Method;

/// Rewrites the links in `result`, which `backend` gave.
pub(super) fn rewrite(
    edits: &mut Edits<'_>,
    result: &Object<'_>,
    method: Method,
    (view, backend): (&View, &Backend),
) {
    // Most results have none, and their content need not be read.
    if !result.raw().contains("resource") {
        return;
    }
    let each = |raw| contents(raw).into_iter().for_each(|content| one(edits, content, (view, backend)));
    match method {
        Method::ToolsCall => result.get("content").into_iter().for_each(each),
        Method::PromptsGet => {
            let messages = result.get("messages").and_then(|raw| elements(raw).ok()).unwrap_or_default();
            let messages = messages.into_iter().filter_map(|message| Object::parse(message).ok());
            messages.filter_map(|message| message.get("content")).for_each(each);
        }
        _ => {}
    }
}

/// A block of content, or several.
fn contents(raw: &str) -> Vec<&str> {
    if raw.starts_with('[') { elements(raw).unwrap_or_default() } else { vec![raw] }
}

fn one(edits: &mut Edits<'_>, content: &str, (view, backend): (&View, &Backend)) {
    let Ok(content) = Object::parse(content) else { return };
    let embedded = content.object("resource");
    let is_link = content.string("type").as_deref() == Some("resource_link");
    let owner = match content.string("type").as_deref() {
        Some("resource_link") => Some(&content),
        Some("resource") => embedded.as_ref(),
        _ => return,
    };
    // What is embedded need not be read, so it matters only where it is listed too.
    let renamed = |uri: &str| if is_link { view.link(backend, uri) } else { view.listed_link(backend, uri) };
    let uri = owner.and_then(|owner| owner.get("uri").zip(owner.string("uri")));
    if let Some((literal, new)) = uri.and_then(|(literal, uri)| Some((literal, renamed(&uri)?))) {
        edits.replace(literal, quoted(&new));
    }
}
