//! What the server says it has.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use crate::tasks::EXTENSION;
use crate::{Era, State, tasks};

const TOOLS: [&str; 27] = [
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_tool_with_logging",
    "test_tool_with_progress",
    "test_error_handling",
    "test_sampling",
    "test_elicitation",
    "test_elicitation_sep1034_defaults",
    "test_elicitation_sep1330_enums",
    "test_missing_capability",
    "test_logging_tool",
    "test_streaming_elicitation",
    "test_trigger_tool_change",
    "test_trigger_prompt_change",
    "test_input_required_result_elicitation",
    "test_input_required_result_sampling",
    "test_input_required_result_list_roots",
    "test_input_required_result_request_state",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_multi_round",
    "test_input_required_result_tampered_state",
    "test_input_required_result_capabilities",
    "test_url_elicitation_required",
    "test_wait",
];

pub(crate) fn info() -> Value {
    json!({ "name": "conformance-fixture", "version": "1.0.0" })
}

/// But for logging, which the stateless era declares nowhere.
pub(crate) fn capabilities() -> Value {
    json!({ "tools": { "listChanged": true }, "prompts": { "listChanged": true },
        "resources": { "subscribe": true }, "completions": {} })
}

/// With the extensions of the stateless era.
pub(crate) fn modern_capabilities() -> Value {
    let mut capabilities = capabilities();
    capabilities["extensions"][EXTENSION] = json!({});
    capabilities
}

pub(crate) fn is_method(method: &str) -> bool {
    let others = [
        "tools/call",
        "prompts/get",
        "resources/read",
        "completion/complete",
        "tasks/get",
        "tasks/update",
        "tasks/cancel",
    ];
    member(method).is_some() || others.contains(&method)
}

fn member(method: &str) -> Option<&'static str> {
    match method {
        "tools/list" => Some("tools"),
        "prompts/list" => Some("prompts"),
        "resources/list" => Some("resources"),
        "resources/templates/list" => Some("resourceTemplates"),
        _ => None,
    }
}

/// The list that `method` asks for.
pub(crate) fn list(state: &State, method: &str) -> Option<Value> {
    let member = member(method)?;
    let items = match member {
        "tools" => tools(state),
        "prompts" => prompts(state),
        "resources" => resources(),
        _ => json!([{ "uriTemplate": "test://template/{id}/data", "name": "template",
            "description": "A resource of a template", "mimeType": "application/json" }]),
    };
    let mut result = json!({ member: items });
    if state.era == Era::Modern {
        result["ttlMs"] = 0.into();
        result["cacheScope"] = "public".into();
    }
    Some(result)
}

fn tools(state: &State) -> Value {
    let more = state.more_tools.load(Ordering::Relaxed).then_some("test_more");
    let tasks: &[&str] = if state.era == Era::Modern { &tasks::TOOLS } else { &[] };
    let plain = TOOLS.iter().chain(tasks).copied().chain(more).map(
        |name| json!({ "name": name, "description": format!("The tool {name}"), "inputSchema": input(name) }),
    );
    plain.chain([json_schema(), mirrored()]).collect()
}

fn input(tool: &str) -> Value {
    let needs = |name: &str| json!({ "type": "object", "properties": { name: { "type": "string" } }, "required": [name] });
    match tool {
        "test_sampling" => needs("prompt"),
        "test_elicitation" => needs("message"),
        _ => json!({ "type": "object", "properties": {} }),
    }
}

fn mirrored() -> Value {
    let region = json!({ "type": "string", "x-mcp-header": "Region" });
    json!({ "name": "test_mirrored_argument", "description": "Wants an argument in a header too",
        "inputSchema": { "type": "object", "properties": { "region": region } } })
}

fn json_schema() -> Value {
    let address = json!({ "$anchor": "addressDef", "type": "object",
        "properties": { "street": { "type": "string" }, "city": { "type": "string" } } });
    json!({ "name": "json_schema_2020_12_tool", "description": "Tool with JSON Schema 2020-12 features",
    "inputSchema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": { "address": address },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" }
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false
    } })
}

fn prompts(state: &State) -> Value {
    let argument = |name: &str| json!({ "name": name, "description": "An argument", "required": true });
    let prompt = |name: &str, arguments: &[&str]| {
        let arguments: Vec<Value> = arguments.iter().map(|name| argument(name)).collect();
        json!({ "name": name, "description": format!("The prompt {name}"), "arguments": arguments })
    };
    let mut prompts = vec![
        prompt("test_simple_prompt", &[]),
        prompt("test_prompt_with_arguments", &["arg1", "arg2"]),
        prompt("test_prompt_with_embedded_resource", &["resourceUri"]),
        prompt("test_prompt_with_image", &[]),
        prompt("test_input_required_result_prompt", &[]),
    ];
    if state.more_prompts.load(Ordering::Relaxed) {
        prompts.push(prompt("test_more", &[]));
    }
    prompts.into()
}

fn resources() -> Value {
    let resource = |uri: &str, mime: &str| {
        json!({ "uri": uri, "name": uri.trim_start_matches("test://"), "description": "A resource",
            "mimeType": mime })
    };
    json!([
        resource("test://static-text", "text/plain"),
        resource("test://static-binary", "image/png"),
        resource("test://watched-resource", "text/plain"),
    ])
}
