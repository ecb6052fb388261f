//! Strategic merge of a pod template: objects merge, named lists merge by name, everything else is replaced.
//! Source: the `patchMergeKey` markers of the Kubernetes API types.

use serde_json::{Map, Value};

/// The fields whose lists merge, and the key that says which items are the same.
const MERGE_KEYS: &[(&str, &str)] = &[
    ("containers", "name"),
    ("initContainers", "name"),
    ("volumes", "name"),
    ("env", "name"),
    ("imagePullSecrets", "name"),
    ("volumeMounts", "mountPath"),
    ("ports", "containerPort"),
    ("hostAliases", "ip"),
    ("topologySpreadConstraints", "topologyKey"),
];

/// Merges `patch` into `target`; a null removes a field.
pub fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (field, change) in patch {
        match (target.get_mut(field), change) {
            (_, Value::Null) => {
                target.remove(field);
            }
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            (Some(Value::Array(old)), Value::Array(new)) => merge_list(field, old, new),
            _ => {
                target.insert(field.clone(), change.clone());
            }
        }
    }
}

fn merge_list(field: &str, old: &mut Vec<Value>, new: &[Value]) {
    let Some((_, key)) = MERGE_KEYS.iter().find(|(name, _)| *name == field) else {
        old.clone_from(&new.to_vec());
        return;
    };
    for item in new {
        let same = old
            .iter_mut()
            .find(|candidate| candidate.get(key).is_some() && candidate.get(key) == item.get(key));
        match (same, item) {
            (Some(Value::Object(old_item)), Value::Object(new_item)) => merge(old_item, new_item),
            _ => old.push(item.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(mut target: Value, patch: &Value) -> Value {
        merge(target.as_object_mut().unwrap(), patch.as_object().unwrap());
        target
    }

    #[test]
    fn containers_merge_by_name_and_new_ones_are_added() {
        let base =
            json!({"containers": [{"name": "server", "image": "a", "env": [{"name": "A", "value": "1"}]}]});
        let patch = json!({"containers": [{"name": "server", "env": [{"name": "B", "value": "2"}]}, {"name": "sidecar"}]});
        let expected = json!({"containers": [
            {"name": "server", "image": "a", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
            {"name": "sidecar"}]});
        assert_eq!(merged(base, &patch), expected);
    }

    #[test]
    fn a_null_removes_a_field_and_other_lists_are_replaced() {
        let base = json!({"securityContext": {"runAsUser": 1}, "tolerations": [{"key": "a"}]});
        let patch = json!({"securityContext": {"runAsUser": null}, "tolerations": [{"key": "b"}]});
        assert_eq!(merged(base, &patch), json!({"securityContext": {}, "tolerations": [{"key": "b"}]}));
    }
}
