//! A manifest against an `OpenAPI` schema, with messages for people.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Map, Value};

use super::{Fault, fault};

/// Deepest nesting that is looked at, the limit the API server's CEL has, too.
const MAX_DEPTH: usize = 64;
/// Most faults that are reported of one manifest: nobody reads more.
const MAX_FAULTS: usize = 50;

/// Fields that every manifest has, whether its schema names them or not.
const ENVELOPE: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// How strict the API server is with a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// A custom resource: null in a list is a value of its own, and no list takes it.
    CustomResource,
    /// A kind that is compiled into the API server: null means absent.
    BuiltIn,
}

/// Checks `value` against `schema`, whose references lead to its `definitions` or `$defs`.
#[must_use]
pub fn check_schema(schema: &Value, value: &Value, strictness: Strictness) -> Vec<Fault> {
    let mut walk = Walk { root: schema, strictness, faults: Vec::new() };
    walk.value(schema, value, "", 0);
    walk.faults
}

struct Walk<'a> {
    root: &'a Value,
    strictness: Strictness,
    faults: Vec<Fault>,
}

impl<'a> Walk<'a> {
    fn add(&mut self, path: &str, message: impl Into<String>) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault(path, message));
        }
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let target =
            schema.get("$ref").and_then(Value::as_str).and_then(|r| self.root.pointer(r.strip_prefix('#')?));
        target.or_else(|| schema.get("allOf")?.as_array()?.first().map(|s| self.resolve(s))).unwrap_or(schema)
    }

    fn value(&mut self, schema: &'a Value, value: &Value, path: &str, depth: usize) {
        let schema = self.resolve(schema);
        if depth > MAX_DEPTH {
            return self.add(path, format!("is nested more than {MAX_DEPTH} levels deep"));
        }
        if value.is_null() && self.strictness == Strictness::BuiltIn {
            return;
        }
        if !self.has_type(schema, value, path) {
            return;
        }
        self.choice(schema, value, path);
        match value {
            Value::Object(fields) => self.object(schema, fields, path, depth),
            Value::Array(items) => self.array(schema, items, path, depth),
            Value::String(text) => self.text(schema, text, path),
            Value::Number(number) => self.number(schema, number.as_f64().unwrap_or_default(), path),
            _ => {}
        }
    }

    fn has_type(&mut self, schema: &Value, value: &Value, path: &str) -> bool {
        let wanted = if is_true(schema, "x-kubernetes-int-or-string") {
            vec!["integer", "string"]
        } else {
            types(schema)
        };
        let fits = |kind: &str| match kind {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            _ => true,
        };
        let ok = wanted.is_empty() || wanted.iter().any(|kind| fits(kind));
        if !ok {
            let words: Vec<&str> =
                wanted.iter().filter(|kind| **kind != "null").map(|kind| article(kind)).collect();
            self.add(path, format!("must be {}, not {}", words.join(" or "), describe(value)));
        }
        ok
    }

    fn choice(&mut self, schema: &Value, value: &Value, path: &str) {
        let Some(allowed) = schema.get("enum").and_then(Value::as_array) else { return };
        if allowed.contains(value) {
            return;
        }
        let names: Vec<String> = allowed.iter().map(plain).collect();
        let hint = suggestion(&plain(value), names.iter().map(String::as_str));
        let list = names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
        self.add(path, format!("'{}' must be one of {list}{hint}", plain(value)));
    }

    fn object(&mut self, schema: &'a Value, fields: &Map<String, Value>, path: &str, depth: usize) {
        self.bound(schema, ("maxProperties", "entries"), fields.len(), path);
        let properties = schema.get("properties").and_then(Value::as_object);
        for name in
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            if !fields.contains_key(name) {
                self.add(&join(path, name), "is required");
            }
        }
        let open = is_true(schema, "x-kubernetes-preserve-unknown-fields");
        for (name, value) in fields {
            let at = join(path, name);
            match (properties.and_then(|all| all.get(name)), schema.get("additionalProperties")) {
                (Some(field), _) => self.value(field, value, &at, depth + 1),
                (None, Some(rest)) if rest.is_object() => self.value(rest, value, &at, depth + 1),
                (None, None) if !open && (!path.is_empty() || !ENVELOPE.contains(&name.as_str())) => {
                    self.unknown(properties, name, &at);
                }
                _ => {}
            }
        }
    }

    /// The schema leaves `metadata` open, and some built-in kinds hold whatever comes. A custom resource's own field
    /// without properties takes none.
    fn unknown(&mut self, properties: Option<&Map<String, Value>>, name: &str, path: &str) {
        let known = properties.into_iter().flat_map(Map::keys).map(String::as_str);
        let open = self.strictness == Strictness::BuiltIn || path.starts_with("metadata.");
        if open && known.clone().next().is_none() {
            return;
        }
        let hint = suggestion(name, known);
        self.add(path, format!("is not a field of this kind{hint}"));
    }

    fn array(&mut self, schema: &'a Value, items: &[Value], path: &str, depth: usize) {
        self.bound(schema, ("maxItems", "items"), items.len(), path);
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        if (items.len() as u64) < least {
            self.add(path, format!("has {} items; at least {least} must be there", items.len()));
        }
        if let Some(item) = schema.get("items") {
            for (index, value) in items.iter().enumerate() {
                self.value(item, value, &format!("{path}[{index}]"), depth + 1);
            }
        }
        match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("set") => self.unique(items.iter().map(plain), path, "is in the list twice"),
            Some("map") => self.unique_keys(schema, items, path),
            _ => {}
        }
    }

    fn unique_keys(&mut self, schema: &Value, items: &[Value], path: &str) {
        let keys: Vec<&str> = schema
            .get("x-kubernetes-list-map-keys")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let key_of = |item: &Value| {
            keys.iter().map(|key| item.get(key).map_or_else(String::new, plain)).collect::<Vec<_>>().join("/")
        };
        self.unique(
            items.iter().map(key_of),
            path,
            &format!("has the same {} as an item before it", keys.join(" and ")),
        );
    }

    fn unique(&mut self, names: impl Iterator<Item = String>, path: &str, complaint: &str) {
        let mut seen = BTreeSet::new();
        for (index, name) in names.enumerate() {
            if !seen.insert(name.clone()) {
                self.add(&format!("{path}[{index}]"), format!("'{name}' {complaint}"));
            }
        }
    }

    fn text(&mut self, schema: &Value, text: &str, path: &str) {
        let length = text.chars().count();
        self.bound(schema, ("maxLength", "characters"), length, path);
        let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
        if (length as u64) < least {
            let message = if length == 0 {
                "must not be empty".to_owned()
            } else {
                format!("must have at least {least} characters")
            };
            self.add(path, message);
        }
        let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else { return };
        if length > 0 && Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text)) {
            self.add(path, format!("'{}' must match {pattern}", shortened(text)));
        }
    }

    fn number(&mut self, schema: &Value, number: f64, path: &str) {
        let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
        if let Some(least) = limit("minimum").filter(|least| number < *least) {
            self.add(path, format!("{number} must be {least} or more"));
        }
        if let Some(most) = limit("maximum").filter(|most| number > *most) {
            self.add(path, format!("{number} must be {most} or less"));
        }
    }

    fn bound(&mut self, schema: &Value, (limit, what): (&str, &str), size: usize, path: &str) {
        let most = schema.get(limit).and_then(Value::as_u64);
        if let Some(most) = most.filter(|most| size as u64 > *most) {
            self.add(path, format!("has {size} {what}; at most {most} are allowed"));
        }
    }
}

/// Takes away the fields that the schema knows and that are null.
pub(super) fn drop_nulls(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let field_schema = |name: &str| {
                let own = schema.get("properties").and_then(|properties| properties.get(name));
                own.or_else(|| schema.get("additionalProperties").filter(|rest| rest.is_object()))
            };
            fields.retain(|name, field| !field.is_null() || field_schema(name).is_none());
            for (name, field) in fields {
                if let Some(schema) = field_schema(name) {
                    drop_nulls(schema, field);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            for item in items {
                drop_nulls(schema, item);
            }
        }
        _ => {}
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_true(schema: &Value, field: &str) -> bool {
    schema.get(field) == Some(&Value::Bool(true))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn article(kind: &str) -> &'static str {
    match kind {
        "object" => "a map of fields",
        "array" => "a list",
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        _ => "another type",
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "empty (null); remove the field or give it a value".into(),
        Value::Bool(value) => format!("the truth value {value}; text needs quotes"),
        Value::Number(number) => format!("the number {number}; text needs quotes"),
        Value::String(text) => format!("the text '{}'", shortened(text)),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a map of fields".into(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= 64 { text.to_owned() } else { text.chars().take(63).chain(['…']).collect() }
}

/// What a person may have meant by `given`.
fn suggestion<'n>(given: &str, names: impl Iterator<Item = &'n str>) -> String {
    let closeness =
        |name: &&str| (strsim::jaro_winkler(&given.to_lowercase(), &name.to_lowercase()) * 1000.0).round();
    names
        .map(|name| (closeness(&name), name))
        .filter(|(score, _)| *score >= 800.0)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map_or_else(String::new, |(_, name)| format!("; did you mean '{name}'?"))
}
