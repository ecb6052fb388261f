//! The conventions that every definition keeps, tried on the YAML that is applied.

use kube::core::cel::{CompiledSchema, compile_schema, estimate_rule_cost};
use serde_json::Value;

fn definitions() -> Vec<(String, Value)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/yaml");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        serde_yaml::from_str::<Value>(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    files.iter().map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), read(path))).collect()
}

fn versions(definition: &Value) -> impl Iterator<Item = &Value> {
    definition["spec"]["versions"].as_array().unwrap().iter()
}

fn schema(version: &Value) -> &Value {
    &version["schema"]["openAPIV3Schema"]
}

/// Calls `look` for every schema below `schema`, with its path.
fn walk(schema: &Value, path: &str, look: &mut impl FnMut(&str, &Value)) {
    look(path, schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        walk(field, &format!("{path}.{name}"), look);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            walk(&schema[inner], &format!("{path}.{inner}"), look);
        }
    }
}

/// What breaks a rule, in every definition.
fn offenders(mut breaks: impl FnMut(&str, &Value) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (file, definition) in definitions() {
        for version in versions(&definition) {
            walk(schema(version), "", &mut |path, node| {
                if breaks(path, node) {
                    found.push(format!("{file}{path}"));
                }
            });
        }
    }
    found
}

fn has(node: &Value, field: &str) -> bool {
    !node[field].is_null()
}

#[test]
fn every_string_is_bounded() {
    let free = |path: &str, node: &Value| {
        node["type"] == "string"
            && !has(node, "maxLength")
            && !has(node, "enum")
            && !has(node, "format")
            && !is_envelope(path)
    };
    assert_eq!(offenders(free), Vec::<String>::new());
}

fn is_envelope(path: &str) -> bool {
    matches!(path, ".apiVersion" | ".kind")
}

#[test]
fn every_list_is_bounded_and_says_how_it_merges() {
    assert_eq!(offenders(|_, node| node["type"] == "array" && !has(node, "maxItems")), Vec::<String>::new());
    assert_eq!(
        offenders(|_, node| node["type"] == "array" && !has(node, "x-kubernetes-list-type")),
        Vec::<String>::new()
    );
}

#[test]
fn the_keys_of_a_map_list_are_required_or_have_a_default() {
    let loose = |_: &str, node: &Value| {
        let keys = node["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
        let required = node["items"]["required"].as_array().cloned().unwrap_or_default();
        keys.filter(|key| !required.contains(key))
            .any(|key| !has(&node["items"]["properties"][key.as_str().unwrap()], "default"))
    };
    assert_eq!(offenders(loose), Vec::<String>::new());
}

#[test]
fn every_map_is_bounded() {
    let free =
        |_: &str, node: &Value| node["additionalProperties"].is_object() && !has(node, "maxProperties");
    assert_eq!(offenders(free), Vec::<String>::new());
}

#[test]
fn every_whole_number_has_a_lower_bound() {
    assert_eq!(
        offenders(|_, node| node["type"] == "integer" && !has(node, "minimum") && !has(node, "enum")),
        Vec::<String>::new()
    );
}

#[test]
fn every_field_is_explained() {
    let mute = |path: &str, node: &Value| {
        let leaf = path.rsplit('.').next().unwrap_or_default();
        let named = !matches!(leaf, "items" | "additionalProperties" | "metadata" | "");
        named && !is_envelope(path) && node["description"].as_str().unwrap_or_default().len() < 10
    };
    assert_eq!(offenders(mute), Vec::<String>::new());
}

#[test]
fn explanations_are_free_of_code_markup_links() {
    let linked = |_: &str, node: &Value| node["description"].as_str().unwrap_or_default().contains("](");
    assert_eq!(offenders(linked), Vec::<String>::new());
}

#[test]
fn no_field_takes_null_or_is_a_fraction_or_a_truth_value() {
    // Truth values cannot grow a third case; enums can.
    let odd = |_: &str, node: &Value| {
        node["nullable"] == true || node["type"] == "number" || node["type"] == "boolean"
    };
    assert_eq!(offenders(odd), Vec::<String>::new());
}

#[test]
fn no_integer_has_a_format_that_kubernetes_does_not_know() {
    let odd = |_: &str, node: &Value| {
        node["type"] == "integer" && !matches!(node["format"].as_str(), None | Some("int32" | "int64"))
    };
    assert_eq!(offenders(odd), Vec::<String>::new());
}

#[test]
fn enum_values_are_camel_case_or_names_of_programs() {
    let odd = |path: &str, node: &Value| {
        let values = node["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let exempt = path.ends_with(".builtin.name");
        !exempt && values.into_iter().any(|value| !value.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    assert_eq!(offenders(odd), Vec::<String>::new());
}

#[test]
fn every_rule_has_a_message_and_stays_within_its_budget() {
    for (file, definition) in definitions() {
        for version in versions(&definition) {
            let mut rules = 0;
            walk(schema(version), "", &mut |path, node| {
                for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
                    assert!(
                        rule["message"].as_str().is_some_and(|text| text.len() > 20),
                        "{file}{path}: {rule}"
                    );
                    rules += 1;
                }
            });
            assert!(rules > 0, "{file} has no rules");
            affordable(&file, &compile_schema(schema(version)), schema(version));
        }
    }
}

/// The estimate warns above 1,000,000, a tenth of what the API server allows one rule, and where a bound is missing.
fn affordable(file: &str, compiled: &CompiledSchema, node: &Value) {
    assert!(!compiled.has_errors(), "{file}: {:?}", compiled.compilation_errors());
    for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let text = rule["rule"].as_str().unwrap();
        let warnings = estimate_rule_cost(text, compiled);
        assert!(warnings.is_empty(), "{file}: {text}: {warnings:?}");
    }
    for (name, inner) in &compiled.properties {
        affordable(file, inner, &node["properties"][name.as_str()]);
    }
    if let Some(items) = &compiled.items {
        affordable(file, items, &node["items"]);
    }
}

#[test]
fn status_says_that_nothing_has_been_observed_until_the_operator_writes() {
    for (file, definition) in definitions() {
        for version in versions(&definition) {
            let status = &schema(version)["properties"]["status"];
            assert_eq!(status["default"]["observedGeneration"], -1, "{file}");
            let pending = status["default"]["conditions"].as_array().unwrap();
            assert!(pending.iter().any(|c| c["type"] == "Ready" && c["status"] == "Unknown"), "{file}");
            let conditions = &status["properties"]["conditions"];
            assert_eq!(conditions["x-kubernetes-list-map-keys"], serde_json::json!(["type"]), "{file}");
            for field in ["type", "status", "reason", "message", "lastTransitionTime"] {
                assert!(
                    conditions["items"]["required"].as_array().unwrap().contains(&field.into()),
                    "{file}: {field}"
                );
            }
            assert!(!has(&status["properties"], "phase"), "{file}");
        }
    }
}

#[test]
fn every_kind_has_status_columns_a_short_name_and_the_category() {
    for (file, definition) in definitions() {
        let names = &definition["spec"]["names"];
        assert_eq!(names["categories"], serde_json::json!(["portico"]), "{file}");
        assert!(names["shortNames"].as_array().is_some_and(|all| !all.is_empty()), "{file}");
        for version in versions(&definition) {
            assert!(version["subresources"]["status"].is_object(), "{file}");
            let columns: Vec<&str> = version["additionalPrinterColumns"]
                .as_array()
                .unwrap()
                .iter()
                .map(|c| c["name"].as_str().unwrap())
                .collect();
            for expected in ["Ready", "Reason", "Age"] {
                assert!(columns.contains(&expected), "{file}: {columns:?}");
            }
        }
    }
}

/// Those that render servers have no pods of their own.
#[test]
fn every_kind_with_replicas_can_be_scaled() {
    for (file, definition) in definitions() {
        for version in versions(&definition) {
            let has_replicas = has(&schema(version)["properties"]["spec"]["properties"], "replicas");
            let scale = &version["subresources"]["scale"];
            assert_eq!(has_replicas, scale.is_object(), "{file}");
            assert!(!has_replicas || scale["labelSelectorPath"] == ".status.selector", "{file}");
        }
    }
}

#[test]
fn a_definition_fits_the_annotation_of_client_side_apply() {
    for (file, definition) in definitions() {
        assert!(definition.to_string().len() < 262_144, "{file}");
    }
}
