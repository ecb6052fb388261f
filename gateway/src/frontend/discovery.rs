//! The two tools of the gateway's own in a set whose tools are found rather than listed: `find_tools` and `call_tool`.

use axum::response::Response;

use super::answer;
use super::calls::Asked;
use super::door::Door;
use super::lists::server_info;
use crate::catalog::{CALL_TOOL, FIND_TOOLS, Search};
use crate::envelope::{Edits, Object, quoted};
use crate::method::Method;
use crate::rpc::RpcError;
use crate::version::Era;

/// Definitions in an answer where the question does not say how many.
const DEFAULT_LIMIT: usize = 5;
/// Definitions in an answer.
const MAX_LIMIT: usize = 20;
/// Bytes of a question that are looked at.
const MAX_QUESTION: usize = 1024;

/// What becomes of a call.
pub(crate) enum Meant {
    /// It is of a server's tool.
    AsAsked,
    /// It is answered here.
    Answered(Response),
    /// It calls another tool: the message that would have done so.
    Instead(String),
}

/// What the call `asked` means at `door`.
pub(crate) fn meant(door: &Door, era: Era, asked: &Asked<'_>) -> Result<Meant, RpcError> {
    let (Some(_), Method::ToolsCall, Some(params)) = (&door.view.search, asked.method, &asked.params) else {
        return Ok(Meant::AsAsked);
    };
    match params.string("name").as_deref() {
        Some(FIND_TOOLS) => {
            let seen = door.seen();
            let search = seen.search.as_ref();
            search.map_or(Ok(Meant::AsAsked), |search| {
                found(search, era, (asked.id, params)).map(Meant::Answered)
            })
        }
        Some(CALL_TOOL) => instead(asked.text, params).map(Meant::Instead),
        _ => Ok(Meant::AsAsked),
    }
}

fn found(search: &Search, era: Era, (id, params): (&str, &Object<'_>)) -> Result<Response, RpcError> {
    let arguments = params.object("arguments");
    let question = arguments.as_ref().and_then(|arguments| arguments.string("query"));
    let question = question
        .ok_or_else(|| RpcError::invalid_params(format!("`{FIND_TOOLS}` needs `arguments.query`, a text")))?;
    let limit = arguments.as_ref().and_then(|arguments| arguments.get("limit")?.parse::<usize>().ok());
    let limit = limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let question = &question[..question.floor_char_boundary(MAX_QUESTION)];
    let definitions: Vec<String> = search
        .find(question, limit)
        .iter()
        .map(|definition| String::from_utf8_lossy(definition).into_owned())
        .collect();
    let text = if definitions.is_empty() {
        "No tool fits; ask again in other words.".to_owned()
    } else {
        format!("[{}]", definitions.join(","))
    };
    let complete = match era {
        Era::Modern => format!(r#""resultType":"complete",{},"#, server_info()),
        Era::Legacy => String::new(),
    };
    Ok(answer::result(
        id,
        &format!(r#"{{{complete}"content":[{{"type":"text","text":{}}}]}}"#, quoted(&text)),
    ))
}

/// The message `text` with the tool and the arguments that `call_tool` was given in place of its own.
fn instead(text: &str, params: &Object<'_>) -> Result<String, RpcError> {
    let needs = |what: &str| RpcError::invalid_params(format!("`{CALL_TOOL}` needs {what}"));
    let (raw_name, raw_arguments) = (params.get("name"), params.get("arguments"));
    let (Some(raw_name), Some(raw_arguments)) = (raw_name, raw_arguments) else {
        return Err(needs("`arguments.name`, the name of a tool"));
    };
    let given = Object::parse(raw_arguments).map_err(|_| needs("`arguments.name`, the name of a tool"))?;
    let name = given.get("name").filter(|name| name.starts_with('"'));
    let name = name.ok_or_else(|| needs("`arguments.name`, the name of a tool"))?;
    let inner = given.get("arguments").unwrap_or("{}");
    if !inner.starts_with('{') {
        return Err(needs("`arguments.arguments` to be an object"));
    }
    let mut edits = Edits::of(text);
    edits.replace(raw_name, name);
    edits.replace(raw_arguments, inner);
    Ok(String::from_utf8_lossy(&edits.finish()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Message;

    fn called(params: &str) -> Result<String, String> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let Ok(Message::Request { params: Some(params), .. }) = Message::parse(&text) else {
            panic!("{text}")
        };
        let called = instead(&text, &Object::parse(params).unwrap());
        called.map_err(|error| error.to_string())
    }

    #[test]
    fn the_message_is_the_one_that_would_have_called_the_tool_itself() {
        let params = r#"{ "_meta":{"a":1.0}, "name" : "call_tool","arguments":{"arguments":{ "x":1e400 },"name":"b"} }"#;
        let expected = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{ "_meta":{"a":1.0}, "name" : "b","arguments":{ "x":1e400 } }}"#;
        assert_eq!(called(params).unwrap(), expected);
        assert!(
            called(r#"{"name":"call_tool","arguments":{"name":"b"}}"#)
                .unwrap()
                .ends_with(r#""name":"b","arguments":{}}}"#)
        );
    }

    #[test]
    fn a_call_that_names_no_tool_is_refused() {
        for params in [
            r#"{"name":"call_tool"}"#,
            r#"{"name":"call_tool","arguments":7}"#,
            r#"{"name":"call_tool","arguments":{"name":7}}"#,
            r#"{"name":"call_tool","arguments":{"name":"b","arguments":[]}}"#,
        ] {
            assert!(called(params).unwrap_err().contains("needs"), "{params}");
        }
    }
}
