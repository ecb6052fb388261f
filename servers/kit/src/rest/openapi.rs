//! The OpenAPI 3.1 document of a server, made from its tools. Their schemas are JSON Schema 2020-12, as OpenAPI 3.1 has them.

use axum::http::Method;
use rmcp::model::{JsonObject, Tool};
use serde_json::{Map, Value, json};

use crate::server::{RestRoute, Server};

/// The document.
pub(super) fn document<S: Server>(server: &S) -> Value {
    let about = server.about();
    let mut paths = Map::new();
    for tool in server.tools() {
        paths.insert(format!("/tools/{}", tool.name), json!({ "post": operation(tool) }));
    }
    for route in server.rest() {
        let Some(tool) = server.tools().iter().find(|tool| tool.name == route.tool) else { continue };
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = form(&route, tool);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": about.title, "version": about.version, "description": about.instructions },
        "paths": paths,
        "components": { "schemas": { "Problem": problem() } },
    })
}

fn operation(tool: &Tool) -> Value {
    let input = embedded(&tool.input_schema);
    json!({
        "operationId": tool.name,
        "summary": tool.title,
        "description": tool.description,
        "requestBody": { "required": false, "content": { "application/json": { "schema": input } } },
        "responses": responses(tool),
    })
}

fn form(route: &RestRoute, tool: &Tool) -> Value {
    let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let id =
        |name: &str| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
    let mut parameters: Vec<Value> = names.clone().map(id).collect();
    let mut input = embedded(&tool.input_schema);
    let fixed: Vec<&str> = names.chain(route.fixed.keys().map(String::as_str)).collect();
    without(&mut input, &fixed);
    let by_query = matches!(route.method, Method::GET | Method::DELETE);
    if by_query {
        parameters.extend(of_query(&input));
    }
    let mut operation = json!({
        "operationId": format!("{} {}", route.method, route.path).replace(['/', '{', '}', ' '], "_"),
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses(tool),
    });
    if !by_query {
        operation["requestBody"] = json!({ "content": { "application/json": { "schema": input } } });
    }
    operation
}

/// The arguments that a query can give: no lists and no objects.
fn of_query(input: &Value) -> Vec<Value> {
    let is_plain = |schema: &Value| {
        let kinds = &schema["type"];
        ["array", "object"]
            .iter()
            .all(|kind| kinds != kind && !kinds.as_array().is_some_and(|kinds| kinds.contains(&json!(kind))))
    };
    let is_required =
        |name: &str| input["required"].as_array().is_some_and(|names| names.contains(&json!(name)));
    let plain = input["properties"].as_object().into_iter().flatten().filter(|(_, schema)| is_plain(schema));
    let parameter = |(name, schema): (&String, &Value)| {
        let mut parameter =
            json!({ "name": name, "in": "query", "required": is_required(name), "schema": schema });
        if let Some(description) = schema.get("description") {
            parameter["description"] = description.clone();
        }
        parameter
    };
    plain.map(parameter).collect()
}

/// What the path says need not be said in the body.
fn without(schema: &mut Value, names: &[&str]) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| !names.contains(&name.as_str()));
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| name.as_str().is_none_or(|name| !names.contains(&name)));
    }
}

/// A schema within the document, with its definitions in the places that name them.
fn embedded(schema: &JsonObject) -> Value {
    let mut schema = schema.clone();
    schema.remove("$schema");
    let definitions = schema.remove("$defs").unwrap_or_default();
    let mut schema = Value::Object(schema);
    inline(&mut schema, &definitions, 0);
    schema
}

/// Deepest nesting of definitions within definitions; none of ours is recursive.
const DEEPEST: usize = 16;

/// Puts definitions in the place of references to them: a reference would be looked for at the root of the whole document.
fn inline(schema: &mut Value, definitions: &Value, mut depth: usize) {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix("#/$defs/"));
    if let Some(definition) = name.and_then(|name| definitions.get(name)).filter(|_| depth < DEEPEST)
        && let Value::Object(object) = schema
    {
        depth += 1;
        object.remove("$ref");
        for (key, value) in definition.as_object().into_iter().flatten() {
            object.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    match schema {
        Value::Object(object) => object.values_mut().for_each(|value| inline(value, definitions, depth)),
        Value::Array(items) => items.iter_mut().for_each(|value| inline(value, definitions, depth)),
        _ => {}
    }
}

fn responses(tool: &Tool) -> Value {
    let output = tool.output_schema.as_deref().map_or_else(|| json!({}), embedded);
    let failed = |description: &str| {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        json!({ "description": description, "content": { "application/problem+json": { "schema": schema } } })
    };
    json!({
        "200": { "description": "What the tool found or did", "content": {
            "application/json": { "schema": output },
            "text/plain": { "schema": { "type": "string" } },
        }},
        "400": failed("An argument is missing or wrong; `field` names it"),
        "401": failed("Only somebody who has signed in can be served; `sign_in_url` says where"),
        "429": failed("Too many calls of this user; `Retry-After` says when the next is allowed"),
        "default": failed("It failed; `class` and `detail` say why"),
    })
}

fn problem() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "description": "Problem details (RFC 9457)",
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": text, "title": text, "status": { "type": "integer" }, "detail": text,
            "class": text, "code": { "type": "integer" }, "field": text, "sign_in_url": { "type": ["string", "null"] },
        },
    })
}
