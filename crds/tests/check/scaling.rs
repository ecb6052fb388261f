//! `spec.scaling`, which `McpServer` and `InferenceModel` share.

use serde_json::{Value, json};

use crate::verdict::{accepted, refused};

fn with(scaling: &Value) -> [Value; 2] {
    let server = json!({"apiVersion": "portico.dev/v1alpha1", "kind": "McpServer", "metadata": {"name": "a"},
        "spec": {"source": {"image": {"name": "example:1"}}, "scaling": scaling}});
    let model = json!({"apiVersion": "portico.dev/v1alpha1", "kind": "InferenceModel", "metadata": {"name": "a"},
        "spec": {"source": {"claim": {"name": "models", "path": "a.gguf"}}, "engine": {"llamaCpp": {}}, "scaling": scaling}});
    [server, model]
}

fn is_accepted(scaling: &Value) {
    for manifest in &with(scaling) {
        accepted(manifest);
    }
}

fn is_refused(scaling: &Value, words: &str) {
    for manifest in &with(scaling) {
        refused(manifest, words);
    }
}

fn schedule(change: &Value) -> Value {
    let mut one = json!({"name": "office", "days": ["Monday", "Friday"], "from": "08:00", "to": "18:00",
        "timeZone": "Europe/Berlin", "min": 2});
    one.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    json!({"min": 0, "max": 4, "schedules": [one]})
}

#[test]
fn every_number_may_be_given_or_left_out() {
    is_accepted(&json!({}));
    is_accepted(&json!({"min": 1, "max": 4, "targetConcurrency": 2, "idleSeconds": 60, "windowSeconds": 30,
        "holdSeconds": 30, "scaleInSeconds": 0, "startSeconds": 60, "drainSeconds": 0, "sessionSeconds": 0,
        "warmUp": "OnSession"}));
}

#[test]
fn numbers_out_of_their_bounds_are_refused_with_the_bound() {
    for (field, value, words) in [
        ("scaleInSeconds", 3601, "must be 3600 or less"),
        ("startSeconds", 4, "must be 5 or more"),
        ("drainSeconds", -1, "must be 0 or more"),
        ("sessionSeconds", 86401, "must be 86400 or less"),
        ("targetConcurrency", 0, "must be 1 or more"),
    ] {
        is_refused(&json!({field: value}), words);
    }
    is_refused(&json!({"min": 5, "max": 4}), "`min` must be at most `max`");
    is_refused(&json!({"warmUp": "Always"}), "OnSession");
}

#[test]
fn a_schedule_is_a_time_of_day_that_ends_at_another() {
    is_accepted(&schedule(&json!({})));
    is_accepted(&schedule(&json!({"from": "22:00", "to": "06:00"})));
    is_accepted(&json!({"schedules": [{"name": "always", "from": "00:00", "to": "23:59", "min": 1}]}));
    is_refused(&schedule(&json!({"to": "08:00"})), "`to` must differ from `from`");
    is_refused(&schedule(&json!({"from": "8:00"})), "spec.scaling.schedules[0].from");
    is_refused(&schedule(&json!({"to": "24:00"})), "spec.scaling.schedules[0].to");
    is_refused(&schedule(&json!({"days": ["Caturday"]})), "spec.scaling.schedules[0].days[0]");
    is_refused(&schedule(&json!({"min": 0})), "must be 1 or more");
}

#[test]
fn a_schedule_asks_for_no_more_pods_than_there_may_be() {
    is_accepted(&schedule(&json!({"min": 4})));
    is_refused(
        &schedule(&json!({"min": 5})),
        "spec.scaling.schedules: the `min` of each of `schedules` must be at most `max`",
    );
}

#[test]
fn schedules_have_names_of_their_own_and_are_at_most_sixteen() {
    let named = |names: Vec<String>| {
        let all = names.iter().map(|name| json!({"name": name, "from": "00:00", "to": "12:00", "min": 1}));
        json!({"schedules": all.collect::<Vec<_>>()})
    };
    is_refused(&named(vec!["a".into(), "a".into()]), "schedules");
    is_accepted(&named((0..16).map(|n| format!("s{n}")).collect()));
    is_refused(&named((0..17).map(|n| format!("s{n}")).collect()), "schedules");
}
