//! Resources.

use serde_json::{Value, json};

use crate::call::Call;
use crate::wire::Refusal;

/// A picture of one pixel.
pub(crate) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";

pub(crate) fn read(call: &Call) -> Result<Value, Refusal> {
    let uri = call.params["uri"].as_str().unwrap_or_default();
    let templated = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
    let content = match (uri, templated) {
        (_, Some(id)) => {
            let text = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            json!({ "uri": uri, "mimeType": "application/json", "text": text.to_string() })
        }
        ("test://static-text", _) => json!({ "uri": uri, "mimeType": "text/plain",
            "text": "This is the content of the static text resource." }),
        ("test://static-binary", _) => json!({ "uri": uri, "mimeType": "image/png", "blob": PNG }),
        ("test://watched-resource", _) => {
            json!({ "uri": uri, "mimeType": "text/plain", "text": "Watched." })
        }
        _ => {
            let code = if call.is_modern() { -32_602 } else { -32_002 };
            return Err(Refusal::new(code, "Resource not found").data(json!({ "uri": uri })));
        }
    };
    let mut result = json!({ "contents": [content] });
    if call.is_modern() {
        result["ttlMs"] = 0.into();
        result["cacheScope"] = "private".into();
    }
    Ok(result)
}
