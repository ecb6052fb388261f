//! What is asked of clients.

use serde_json::{Value, json};

/// A form with one required field.
pub(crate) fn form(message: &str, field: &str, kind: &str) -> Value {
    json!({ "message": message, "requestedSchema": {
        "type": "object", "properties": { field: { "type": kind } }, "required": [field] } })
}

/// A question for the model.
pub(crate) fn sample(text: &str, tokens: u32) -> Value {
    let message = json!({ "role": "user", "content": { "type": "text", "text": text } });
    json!({ "messages": [message], "maxTokens": tokens })
}

/// The form of `test_elicitation`.
pub(crate) fn user(message: &str) -> Value {
    json!({ "message": message, "requestedSchema": { "type": "object",
        "properties": {
            "username": { "type": "string", "description": "User's response" },
            "email": { "type": "string", "description": "User's email address" }
        },
        "required": ["username", "email"] } })
}

/// Every primitive type with a default.
pub(crate) fn defaults() -> Value {
    json!({ "message": "Please review the form", "requestedSchema": { "type": "object", "properties": {
        "name": { "type": "string", "default": "John Doe" },
        "age": { "type": "integer", "default": 30 },
        "score": { "type": "number", "default": 95.5 },
        "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
        "verified": { "type": "boolean", "default": true }
    } } })
}

/// Every kind of enumeration.
pub(crate) fn enums() -> Value {
    let titled = |titles: [&str; 3]| -> Vec<Value> {
        let named = ["value1", "value2", "value3"].iter().zip(titles);
        named.map(|(value, title)| json!({ "const": value, "title": title })).collect()
    };
    let options = json!(["option1", "option2", "option3"]);
    json!({ "message": "Please choose", "requestedSchema": { "type": "object", "properties": {
        "untitledSingle": { "type": "string", "enum": options },
        "titledSingle": { "type": "string", "oneOf": titled(["First Option", "Second Option", "Third Option"]) },
        "legacyEnum": { "type": "string", "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"] },
        "untitledMulti": { "type": "array", "items": { "type": "string", "enum": options } },
        "titledMulti": { "type": "array",
            "items": { "anyOf": titled(["First Choice", "Second Choice", "Third Choice"]) } }
    } } })
}
