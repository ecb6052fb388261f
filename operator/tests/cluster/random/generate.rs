//! Specs and edits of specs, made from the schema that the API server has.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng as _, SeedableRng};
use serde_json::{Map, Value, json};

/// Longest list and text that is made: the bounds of the schema are for the API server to hold, and larger ones only
/// take longer.
const MOST: u64 = 3;
const LONGEST: u64 = 64;

/// A source of specs, the same for the same seed.
pub struct Generator<'a> {
    schema: &'a Value,
    rng: StdRng,
}

impl<'a> Generator<'a> {
    pub fn new(schema: &'a Value, seed: u64) -> Self {
        Self { schema, rng: StdRng::seed_from_u64(seed) }
    }

    pub fn chance(&mut self, of_hundred: u32) -> bool {
        self.rng.random_range(0..100) < of_hundred
    }

    pub fn number(&mut self, range: std::ops::Range<usize>) -> usize {
        self.rng.random_range(range)
    }

    /// `spec` with one to three fields set, removed or switched.
    pub fn edit(&mut self, spec: &Value) -> Value {
        let mut edited = spec.clone();
        for _ in 0..self.rng.random_range(1..=3) {
            let schema = self.schema.clone();
            self.change(&schema, &mut edited);
        }
        edited
    }

    /// Changes one field of an object, or of an object within it.
    fn change(&mut self, schema: &Value, object: &mut Value) {
        let Some(properties) = schema["properties"].as_object() else { return };
        let names: Vec<&String> = properties.keys().collect();
        let Some(name) = names.choose(&mut self.rng).map(|name| (*name).clone()) else { return };
        let members = union(schema);
        if members.contains(&name) && !self.chance(10) {
            for member in &members {
                drop(object.as_object_mut().and_then(|fields| fields.remove(member)));
            }
        }
        let field = &properties[&name];
        match object.get_mut(&name) {
            Some(inner) if inner.is_object() && self.chance(60) => self.change(field, inner),
            Some(_) if self.chance(40) => {
                drop(object.as_object_mut().and_then(|fields| fields.remove(&name)));
            }
            _ => object[&name] = self.value(&name, field),
        }
    }

    /// A value of a schema: absent parts, least and most, and now and then just outside.
    fn value(&mut self, name: &str, schema: &Value) -> Value {
        if let Some(choices) = schema["enum"].as_array() {
            return choices.choose(&mut self.rng).cloned().unwrap_or_default();
        }
        if schema["x-kubernetes-int-or-string"] == true {
            return ["1", "100m", "64Mi", "0"]
                .choose(&mut self.rng)
                .map(|text| json!(text))
                .unwrap_or_default();
        }
        match schema["type"].as_str() {
            Some("object") => self.object(schema),
            Some("array") => self.array(name, schema),
            Some("integer") => self.integer(name, schema),
            Some("boolean") => json!(self.chance(50)),
            _ => json!(self.text(schema)),
        }
    }

    fn object(&mut self, schema: &Value) -> Value {
        let mut fields = Map::new();
        if let Some(inner) = schema["additionalProperties"].as_object() {
            for _ in 0..self.rng.random_range(0..3) {
                let key = ["a", "b.example.com/c", "d"].choose(&mut self.rng).map_or("a", |key| key);
                fields.insert(key.to_owned(), self.value(key, &Value::Object(inner.clone())));
            }
        }
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let members = union(schema);
        let chosen = members.choose(&mut self.rng).cloned();
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            let wanted = if members.contains(name) {
                chosen.as_ref() == Some(name)
            } else {
                required.contains(&name.as_str()) || self.chance(30)
            };
            if wanted {
                fields.insert(name.clone(), self.value(name, inner));
            }
        }
        Value::Object(fields)
    }

    fn array(&mut self, name: &str, schema: &Value) -> Value {
        let most = schema["maxItems"].as_u64().unwrap_or(MOST).min(MOST);
        let count = self.rng.random_range(schema["minItems"].as_u64().unwrap_or(0).min(most)..=most);
        (0..count).map(|_| self.value(name, &schema["items"])).collect()
    }

    /// Numbers of pods stay small: a thousand of them would only take longer.
    fn integer(&mut self, name: &str, schema: &Value) -> Value {
        let least = schema["minimum"].as_i64().unwrap_or(0);
        let most = schema["maximum"].as_i64().unwrap_or(least + 10);
        if ["replicas", "min", "max"].contains(&name) {
            return json!(self.rng.random_range(least..=3));
        }
        let choices = [least, most, least + 1, i64::midpoint(least, most), least - 1, most.saturating_add(1)];
        json!(choices.choose(&mut self.rng))
    }

    fn text(&mut self, schema: &Value) -> String {
        if let Some(pattern) = schema["pattern"].as_str() {
            return self.matching(pattern);
        }
        let least = usize::try_from(schema["minLength"].as_u64().unwrap_or(0)).unwrap_or_default();
        let most =
            usize::try_from(schema["maxLength"].as_u64().unwrap_or(LONGEST).min(LONGEST)).unwrap_or_default();
        let letters = ["a", "ü", "漢", "\u{1f600}", "A-b"].choose(&mut self.rng).map_or("a", |letter| letter);
        let length = *[least, least + 1, 63, 64, most].choose(&mut self.rng).unwrap_or(&1);
        letters.chars().cycle().take(length.clamp(least, most)).collect()
    }

    /// A text that a pattern of the schema takes.
    fn matching(&mut self, pattern: &str) -> String {
        let seed: [u8; 32] = self.rng.random();
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let bare = pattern.trim_start_matches('^').trim_end_matches('$');
        let made =
            proptest::string::string_regex(bare).ok().and_then(|texts| texts.new_tree(&mut runner).ok());
        made.map_or_else(|| "a".to_owned(), |tree| tree.current().chars().take(63).collect())
    }
}

/// The members of a union, as the schema's own rule names them: exactly one of them may be set.
fn union(schema: &Value) -> Vec<String> {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    let rule = rules.filter_map(|rule| rule["rule"].as_str()).find(|rule| rule.contains("exists_one(x, x)"));
    let members = rule.into_iter().flat_map(|rule| rule.split("has(self.").skip(1));
    members
        .filter_map(|rest| rest.split(')').next())
        .map(|name| name.trim_start_matches("__").trim_end_matches("__").to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_edits_and_another_seed_others() {
        let schema = json!({"type": "object", "properties": {
            "a": {"type": "string"}, "b": {"type": "integer", "minimum": 0, "maximum": 9}}});
        let edits = |seed| {
            let mut generator = Generator::new(&schema, seed);
            (0..8).map(|_| generator.edit(&json!({"a": "x"}))).collect::<Vec<_>>()
        };
        assert_eq!(edits(1), edits(1));
        assert_ne!(edits(1), edits(2));
    }

    #[test]
    fn a_union_is_known_by_its_rule() {
        let schema = json!({"x-kubernetes-validations": [
            {"rule": "[has(self.image), has(self.__package__)].exists_one(x, x)"}]});
        assert_eq!(union(&schema), ["image", "package"]);
    }
}
