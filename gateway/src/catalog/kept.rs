//! A listing as it outlives the process: JSON with every definition as the server wrote it.

use std::fmt::Write as _;

use super::listing::{Definition, Family, Listing};
use crate::envelope::{Object, quoted};
use crate::version::Era;

/// The form that is written; another one is not read.
const FORM: &str = "1";

/// `listing` as one JSON object.
pub(crate) fn written(listing: &Listing) -> String {
    let text = |text: &Option<String>| text.as_deref().map_or_else(|| "null".to_owned(), quoted);
    let era = if listing.era == Era::Modern { "modern" } else { "legacy" };
    let mut out = format!(
        r#"{{"form":{FORM},"era":"{era}","version":{},"serverName":{},"serverVersion":{},"instructions":{},"hasResources":{},"subscribes":{}"#,
        quoted(&listing.version),
        text(&listing.server_name),
        text(&listing.server_version),
        text(&listing.instructions),
        listing.has_resources,
        listing.subscribes
    );
    for family in Family::ALL {
        let all: Vec<&str> = listing.of(family).iter().map(Definition::raw).collect();
        let _ = write!(out, r#","{}":[{}]"#, family.member(), all.join(","));
    }
    out.push('}');
    out
}

/// The listing that `text` holds; none if it is of another form or damaged.
pub(crate) fn read(text: &str) -> Option<Listing> {
    let object = Object::parse(text).ok()?;
    if object.get("form") != Some(FORM) {
        return None;
    }
    let owned = |key: &str| object.string(key).map(std::borrow::Cow::into_owned);
    let mut listing = Listing {
        era: if object.string("era")? == "modern" { Era::Modern } else { Era::Legacy },
        server_name: owned("serverName"),
        server_version: owned("serverVersion"),
        version: owned("version")?,
        instructions: owned("instructions"),
        has_resources: object.get("hasResources") == Some("true"),
        subscribes: object.get("subscribes") == Some("true"),
        tools: Vec::new(),
        resources: Vec::new(),
        templates: Vec::new(),
        prompts: Vec::new(),
    };
    for family in Family::ALL {
        let raw: Vec<&serde_json::value::RawValue> =
            serde_json::from_str(object.get(family.member())?).ok()?;
        let parsed = raw.into_iter().map(|raw| Definition::parse(family, raw.get()));
        listing.set(family, parsed.collect::<Result<_, _>>().ok()?);
    }
    Some(listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing() -> Listing {
        let parse = |family, raw: &str| vec![Definition::parse(family, raw).unwrap()];
        Listing {
            era: Era::Modern,
            server_name: Some("a \"b\"".into()),
            server_version: None,
            version: "2026-07-28".into(),
            instructions: Some("Do.\n".into()),
            has_resources: true,
            subscribes: true,
            tools: parse(Family::Tools, r#"{ "name":"t" , "inputSchema":{"x":1e400}}"#),
            resources: parse(Family::Resources, r#"{"uri":"ui://x","name":"x"}"#),
            templates: parse(Family::Templates, r#"{"uriTemplate":"file:///{a}","name":"x"}"#),
            prompts: parse(Family::Prompts, r#"{"name":"p"}"#),
        }
    }

    #[test]
    fn what_is_written_is_read_again_byte_for_byte() {
        assert_eq!(read(&written(&listing())), Some(listing()));
    }

    #[test]
    fn what_is_damaged_or_of_another_form_is_not_read() {
        let text = written(&listing());
        for bad in [
            text.replace(r#""form":1"#, r#""form":2"#),
            text.replace(r#""name":"t""#, r#""name":7"#),
            text[..text.len() - 1].to_owned(),
            String::new(),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }
}
