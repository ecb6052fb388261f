//! `_meta` of requests: what is read from it and how it is re-written between the eras.

use crate::client::{Capabilities, Level};
use crate::envelope::{Edits, Object, quoted};
use crate::trace::{Outgoing, TRACEPARENT, TRACESTATE};
use crate::version::{Era, MODERN};

/// Required of a modern request: the revision it is written in.
pub(crate) const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// Required of a modern request: what the client can do.
pub(crate) const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// Who the client is.
pub(crate) const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// Opts one request in to log messages.
pub(crate) const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// Names a subscription in what is sent on its stream.
pub(crate) const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// Names the server in a result.
pub(crate) const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// The token that progress of a request is reported under.
pub(crate) const PROGRESS_TOKEN: &str = "progressToken";

/// The keys that a modern request carries and a legacy server does not know.
const PER_REQUEST: [&str; 4] = [PROTOCOL_VERSION, CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL];

/// The gateway's name and version as the JSON object `Implementation`.
pub(crate) fn implementation() -> String {
    format!(r#"{{"name":"portico","title":"Portico","version":"{}"}}"#, env!("CARGO_PKG_VERSION"))
}

/// The members `_meta` must have in what the gateway itself asks a modern server. A server may show what it has by what its
/// client can do, so the gateway claims all that it can pass on.
pub(crate) fn own() -> String {
    declared(Capabilities::ALL, None)
}

/// The members that `_meta` must have for a modern server, for a client that declared these capabilities and wants log
/// messages of this level.
pub(crate) fn declared(capabilities: Capabilities, level: Option<Level>) -> String {
    let level = level.map(|level| format!(r#","{LOG_LEVEL}":"{}""#, level.as_str())).unwrap_or_default();
    format!(
        r#""{PROTOCOL_VERSION}":"{MODERN}","{CLIENT_INFO}":{},"{CLIENT_CAPABILITIES}":{}{level}"#,
        implementation(),
        capabilities.to_json()
    )
}

/// The `_meta` of `params`.
pub(crate) fn of<'a>(params: &Object<'a>) -> Option<Object<'a>> {
    params.object("_meta")
}

/// Rewrites `_meta` of `params` for a server: the progress token becomes `token` where there is one, and the keys that one
/// era has and the other has not are added (as `declared` gives them) or taken out; with a `trace` the server learns of it. Everything
/// else stays as it was written.
pub(crate) fn rewrite(
    edits: &mut Edits<'_>,
    params: &Object<'_>,
    eras: (Era, Era),
    (token, declared, trace): (u64, impl FnOnce() -> String, Option<&Outgoing>),
) {
    let meta = of(params);
    match (meta, eras) {
        (None, (Era::Legacy, Era::Modern)) => {
            let trace = trace.map(|trace| format!(",{}", trace.members(false))).unwrap_or_default();
            edits.prepend(params.raw(), &format!(r#""_meta":{{{}{trace}}}"#, declared()));
        }
        (None, _) => {
            if let Some(trace) = trace {
                edits.prepend(params.raw(), &format!(r#""_meta":{{{}}}"#, trace.members(false)));
            }
        }
        (Some(meta), (Era::Legacy, Era::Legacy) | (Era::Modern, Era::Modern)) => {
            if let Some(old) = meta.get(PROGRESS_TOKEN) {
                edits.replace(old, token.to_string());
            }
            if let Some(trace) = trace {
                lead(edits, &meta, trace);
            }
        }
        (Some(meta), (_, server)) => {
            let declared = (server == Era::Modern).then(declared);
            let members = rebuilt(&meta, declared, (token, trace));
            edits.replace(meta.raw(), format!("{{{members}}}"));
        }
    }
}

/// Names the trace in `meta` in place of what it says of one.
fn lead(edits: &mut Edits<'_>, meta: &Object<'_>, trace: &Outgoing) {
    match meta.get(TRACEPARENT) {
        Some(old) => edits.replace(old, quoted(&trace.parent)),
        None => edits.prepend(meta.raw(), &trace.members(meta.get(TRACESTATE).is_some())),
    }
}

fn rebuilt(meta: &Object<'_>, declared: Option<String>, (token, trace): (u64, Option<&Outgoing>)) -> String {
    let mut members = Vec::with_capacity(meta.members().len() + 2);
    members.extend(declared);
    members.extend(trace.map(|trace| trace.members(meta.get(TRACESTATE).is_some())));
    for (key, value) in meta.members() {
        if key == PROGRESS_TOKEN {
            members.push(format!(r#""{PROGRESS_TOKEN}":{token}"#));
        } else if !(PER_REQUEST.contains(&key.as_ref()) || (key == TRACEPARENT && trace.is_some())) {
            members.push(format!("{}:{value}", quoted(key)));
        }
    }
    members.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(raw: &str, client: Era, server: Era) -> String {
        let mut edits = Edits::of(raw);
        rewrite(&mut edits, &Object::parse(raw).unwrap(), (client, server), (7, own, None));
        String::from_utf8(edits.finish().to_vec()).unwrap()
    }

    fn traced(raw: &str, client: Era, server: Era) -> String {
        let trace = Outgoing { parent: "00-1".into(), state: Some("a=1".into()) };
        let mut edits = Edits::of(raw);
        rewrite(&mut edits, &Object::parse(raw).unwrap(), (client, server), (7, own, Some(&trace)));
        String::from_utf8(edits.finish().to_vec()).unwrap()
    }

    #[test]
    fn a_trace_is_named_once_in_every_pairing_and_what_else_is_there_stays() {
        for (client, server) in [
            (Era::Legacy, Era::Legacy),
            (Era::Legacy, Era::Modern),
            (Era::Modern, Era::Legacy),
            (Era::Modern, Era::Modern),
        ] {
            for (meta, state) in [
                ("", "a=1"),
                (r#""_meta":{},"#, "a=1"),
                (r#""_meta":{"x":1.0},"#, "a=1"),
                (r#""_meta":{"x":1.0,"traceparent":"00-0","progressToken":1},"#, ""),
                (r#""_meta":{"tracestate":"b=2","baggage":"c=3","x":1.0},"#, "b=2"),
                (r#""_meta":{"tracestate":"b=2","traceparent":"00-0","x":1.0},"#, "b=2"),
            ] {
                let raw = format!(r#"{{{meta}"name":"n"}}"#);
                let out = traced(&raw, client, server);
                let read: serde_json::Value = serde_json::from_str(&out).unwrap();
                assert_eq!(read["_meta"]["traceparent"], "00-1", "{out}");
                assert_eq!(out.matches("traceparent").count(), 1, "{out}");
                let seen = read["_meta"]["tracestate"].as_str().unwrap_or_default();
                // A trace that the client named in `_meta` has its state there too.
                assert!(seen == state || state.is_empty(), "{out}");
                assert_eq!(out.contains(r#""x":1.0"#), meta.contains('x'), "{out}");
                assert_eq!(read["_meta"]["baggage"].is_string(), meta.contains("baggage"), "{out}");
            }
        }
    }

    #[test]
    fn within_one_era_only_the_progress_token_changes() {
        let raw = r#"{ "_meta" : { "x/y":1.0 , "progressToken":"t", "io.modelcontextprotocol/related-task": {} } }"#;
        let expected = raw.replace("\"t\"", "7");
        assert_eq!(rewritten(raw, Era::Legacy, Era::Legacy), expected);
        assert_eq!(rewritten(raw, Era::Modern, Era::Modern), expected);
    }

    #[test]
    fn a_legacy_server_gets_no_per_request_keys() {
        let raw = format!(r#"{{"_meta":{{{},"traceparent":"00-1","progressToken":1}}}}"#, own());
        let out = rewritten(&raw, Era::Modern, Era::Legacy);
        assert_eq!(out, r#"{"_meta":{"traceparent":"00-1","progressToken":7}}"#);
    }

    #[test]
    fn a_modern_server_gets_the_required_keys() {
        let out = rewritten(r#"{"name":"x"}"#, Era::Legacy, Era::Modern);
        assert_eq!(out, format!(r#"{{"_meta":{{{}}},"name":"x"}}"#, own()));
        let out = rewritten(r#"{"_meta":{"a/b":1e9},"name":"x"}"#, Era::Legacy, Era::Modern);
        assert_eq!(out, format!(r#"{{"_meta":{{{},"a/b":1e9}},"name":"x"}}"#, own()));
    }
}
