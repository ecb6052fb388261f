//! A tool's definition with what its `McpServer` overrides, spliced into the text that the server wrote.

use bytes::Bytes;

use crate::envelope::{Edits, Object, quoted};
use crate::source::ToolOverride;

/// The definition `raw` under the name `exposed`, changed as `change` says; every other byte stays.
pub(super) fn changed(raw: &str, exposed: &str, change: &ToolOverride) -> Bytes {
    let mut edits = Edits::of(raw);
    // A definition was parsed before it was kept.
    let Ok(tool) = Object::parse(raw) else { return edits.finish() };
    let Some(name) = tool.get("name") else { return edits.finish() };
    edits.replace(name, quoted(exposed));
    let texts = [("title", &change.title), ("description", &change.description)];
    for (key, text) in texts.into_iter().filter_map(|(key, text)| Some((key, text.as_deref()?))) {
        match tool.get(key) {
            Some(old) => edits.replace(old, quoted(text)),
            None => edits.append(name, format!(r#","{key}":{}"#, quoted(text))),
        }
    }
    annotate(&mut edits, &tool, (name, change));
    edits.finish()
}

/// Sets the hints of `change`; without `annotations` of the server's they come behind `name`.
fn annotate<'a>(edits: &mut Edits<'a>, tool: &Object<'a>, (name, change): (&'a str, &ToolOverride)) {
    if change.hints.is_empty() {
        return;
    }
    let members = |hints: &[(&&str, &bool)]| -> String {
        let all: Vec<String> = hints.iter().map(|(hint, value)| format!(r#""{hint}":{value}"#)).collect();
        all.join(",")
    };
    let Some(old) = tool.object("annotations") else {
        let all = members(&change.hints.iter().collect::<Vec<_>>());
        match tool.get("annotations") {
            Some(unreadable) => edits.replace(unreadable, format!("{{{all}}}")),
            None => edits.append(name, format!(r#","annotations":{{{all}}}"#)),
        }
        return;
    };
    let (known, new): (Vec<_>, Vec<_>) = change.hints.iter().partition(|(hint, _)| old.get(hint).is_some());
    for (hint, value) in known {
        if let Some(now) = old.get(hint) {
            edits.replace(now, value.to_string());
        }
    }
    if !new.is_empty() {
        edits.prepend(old.raw(), &members(&new));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn change(
        title: Option<&str>,
        description: Option<&str>,
        hints: &[(&'static str, bool)],
    ) -> ToolOverride {
        ToolOverride {
            rename: None,
            title: title.map(str::to_owned),
            description: description.map(str::to_owned),
            hints: hints.iter().copied().collect(),
        }
    }

    fn text(raw: &str, exposed: &str, change: &ToolOverride) -> String {
        String::from_utf8(changed(raw, exposed, change).to_vec()).unwrap()
    }

    #[test]
    fn what_is_there_is_replaced_and_what_is_not_is_added() {
        let raw = r#"{ "x":1e400, "name" : "a","annotations":{ "title":"t", "readOnlyHint": true }, "inputSchema":{}}"#;
        let wanted = change(Some("T"), Some("D \"q\""), &[("openWorldHint", false), ("readOnlyHint", false)]);
        assert_eq!(
            text(raw, "b", &wanted),
            r#"{ "x":1e400, "name" : "b","title":"T","description":"D \"q\"","annotations":{"openWorldHint":false, "title":"t", "readOnlyHint": false }, "inputSchema":{}}"#
        );
    }

    #[test]
    fn annotations_are_made_where_the_server_gives_none() {
        let wanted = change(None, None, &[("readOnlyHint", true), ("destructiveHint", false)]);
        for (raw, expected) in [
            (
                r#"{"name":"a"}"#,
                r#"{"name":"a","annotations":{"destructiveHint":false,"readOnlyHint":true}}"#,
            ),
            (
                r#"{"annotations":null,"name":"a"}"#,
                r#"{"annotations":{"destructiveHint":false,"readOnlyHint":true},"name":"a"}"#,
            ),
            (
                r#"{"annotations":{ },"name":"a"}"#,
                r#"{"annotations":{"destructiveHint":false,"readOnlyHint":true },"name":"a"}"#,
            ),
        ] {
            assert_eq!(text(raw, "a", &wanted), expected);
        }
    }

    proptest! {
        #[test]
        fn a_changed_definition_says_what_it_said_and_what_was_changed(
            title in prop::option::of(".*"), description in prop::option::of(".*"),
            hints in prop::collection::btree_map(prop::sample::select(vec!["readOnlyHint", "openWorldHint"]), any::<bool>(), 0..3),
            old in prop::option::of(prop::collection::btree_map("readOnlyHint|title", any::<bool>(), 0..3)),
            own_title: bool,
        ) {
            let mut tool = json!({ "name": "a", "inputSchema": { "type": "object" }, "_meta": { "k": 1.50 } });
            if own_title {
                tool["title"] = json!("own");
            }
            if let Some(old) = old {
                tool["annotations"] = json!(old);
            }
            let hints: BTreeMap<&'static str, bool> = hints;
            let wanted = ToolOverride { rename: None, title: title.clone(), description: description.clone(), hints: hints.clone() };
            let read: Value = serde_json::from_str(&text(&tool.to_string(), "b", &wanted)).unwrap();
            tool["name"] = json!("b");
            if let Some(title) = title {
                tool["title"] = json!(title);
            }
            if let Some(description) = description {
                tool["description"] = json!(description);
            }
            for (hint, value) in hints {
                tool["annotations"][hint] = json!(value);
            }
            prop_assert_eq!(read, tool);
        }
    }
}
