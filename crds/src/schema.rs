//! From Rust types to the schema the API server gets: what the derive cannot say is put right here, once for
//! all kinds.

use kube::CustomResourceExt;
use schemars::{Schema, json_schema};
use serde_json::{Value, json};

use crate::{CustomResourceDefinition, condition::Type};

/// The definition of a kind whose status starts with `conditions` unknown.
#[allow(clippy::expect_used, reason = "a definition is built from our own types; a test builds every one")]
pub fn definition<K: CustomResourceExt>(conditions: &[Type]) -> CustomResourceDefinition {
    let mut crd = serde_json::to_value(K::crd()).expect("a definition is plain data");
    // By this a newer set of definitions is told from an older one (operator/policies/crd-downgrade.yaml).
    crd["metadata"]["annotations"] = json!({crate::labels::BUNDLE_VERSION: env!("CARGO_PKG_VERSION")});
    for version in crd["spec"]["versions"].as_array_mut().into_iter().flatten() {
        tidy(&mut version["schema"]["openAPIV3Schema"]);
        set_status_default(&mut version["schema"]["openAPIV3Schema"]["properties"]["status"], conditions);
    }
    serde_json::from_value(crd).expect("the tidied definition is still a definition")
}

/// `nullable` would let an explicit null through to code that asks for absence, and unsigned formats are
/// unknown to Kubernetes clients in other languages.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("nullable") == Some(&Value::Bool(true)) {
                fields.remove("nullable");
            }
            if matches!(fields.get("format").and_then(Value::as_str), Some("uint8" | "uint16" | "uint32")) {
                fields.insert("format".into(), "int32".into());
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// A new object must not look finished to a tool that reads it before the operator does: kstatus takes an
/// absent status for "current".
fn set_status_default(status: &mut Value, conditions: &[Type]) {
    let pending: Vec<Value> = conditions.iter().map(|kind| pending(*kind)).collect();
    status["default"] = json!({"observedGeneration": -1, "conditions": pending});
    let list = &mut status["properties"]["conditions"];
    list["maxItems"] = json!(16);
    list["x-kubernetes-list-type"] = json!("map");
    list["x-kubernetes-list-map-keys"] = json!(["type"]);
    let item = &mut list["items"]["properties"];
    item["type"]["maxLength"] = json!(316);
    item["reason"] = json!({"type": "string", "minLength": 1, "maxLength": 1024,
        "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        "description": "Why the condition has its status, one CamelCase word."});
    item["message"]["maxLength"] = json!(32768);
    item["status"] = json!({"type": "string", "enum": ["True", "False", "Unknown"],
        "description": "Whether the condition holds: True, False or Unknown."});
    item["observedGeneration"]["minimum"] = json!(0);
}

fn pending(kind: Type) -> Value {
    json!({"type": kind.as_str(), "status": "Unknown", "reason": "Pending",
        "message": "Waiting for the operator", "lastTransitionTime": "1970-01-01T00:00:00Z"})
}

/// An object whose fields this version of Portico hands to Kubernetes as they are. The operator checks it
/// against the real type and reports what does not fit in the condition Accepted.
pub fn opaque_object(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// An amount as Kubernetes writes it: `500m`, `1Gi`, `2`.
pub fn quantity(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "maxLength": 32,
        "pattern": r"^\+?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?[0-9]+))?$"
    })
}

/// Amounts by resource name, as in `requests` and `limits`.
pub fn quantities(generator: &mut schemars::SchemaGenerator) -> Schema {
    let amount = quantity(generator);
    json_schema!({"type": "object", "maxProperties": 16, "additionalProperties": amount})
}

/// A map of short strings, such as labels.
pub fn strings(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 1024}})
}
