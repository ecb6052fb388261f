//! CEL expressions in rules. What they refer to is checked when they are read, and what they may cost is bounded: by their
//! length, by the size of the arguments they look at, and since no loop stands within another.

use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::extractors::This;
use cel::{Context, ExecutionError, Program, Value};
use serde::de::{Deserialize, Deserializer, Error as _};

/// Bytes in an expression.
const MAX_BYTES: usize = 4096;
/// Levels in an expression, so that neither the parser nor the evaluation runs out of stack.
const MAX_DEPTH: usize = 64;

/// What expressions may refer to.
pub(super) const VARIABLES: [&str; 8] =
    ["principal", "address", "method", "server", "tool", "prompt", "resource", "arguments"];
/// Functions besides operators.
const FUNCTIONS: [&str; 11] = [
    "contains",
    "size",
    "max",
    "min",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "double",
    "int",
    "uint",
];
/// All functions, made once.
static FUNCTIONS_IN_CEL: LazyLock<Context<'static>> = LazyLock::new(|| {
    let mut context = Context::default();
    context.add_function("size", size);
    context
});

/// The library counts the bytes of a text, where CEL says code points.
fn size(This(value): This<Value>) -> Result<i64, ExecutionError> {
    let size = match &value {
        Value::String(text) => text.chars().count(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.map.len(),
        _ => return Err(ExecutionError::NoSuchOverload),
    };
    i64::try_from(size).map_err(|_| ExecutionError::NoSuchOverload)
}

/// A checked expression.
#[derive(Clone)]
pub(crate) struct Expression {
    text: Arc<str>,
    program: Arc<Program>,
    /// The variables that it refers to.
    uses: Vec<&'static str>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).map_err(D::Error::custom)
    }
}

impl Expression {
    /// Reads `text`.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("an expression has at most {MAX_BYTES} bytes"));
        }
        if nesting(text) > MAX_DEPTH {
            return Err(too_deep());
        }
        let program = Program::compile(text).map_err(|errors| {
            let first = errors.errors.first();
            let told =
                first.map(|error| format!("line {}, column {}: {}", error.pos.0, error.pos.1 + 1, error.msg));
            format!("it is not a CEL expression: {}", told.unwrap_or_default())
        })?;
        let mut walk = Walk::default();
        walk.expression(program.expression(), 0)?;
        let uses = VARIABLES.into_iter().filter(|name| walk.used.contains(name)).collect();
        Ok(Self { text: text.into(), program: Arc::new(program), uses })
    }

    /// Whether it looks at arguments.
    pub(super) fn uses_arguments(&self) -> bool {
        self.uses.contains(&"arguments")
    }

    /// Whether it holds where the variables are what `value` gives; without one of them it holds or not whatever that is,
    /// or an error tells that it cannot be said.
    pub(super) fn holds(
        &self,
        value: impl Fn(&str) -> Result<Option<Value>, String>,
    ) -> Result<bool, String> {
        let mut scope = FUNCTIONS_IN_CEL.new_inner_scope();
        for name in &self.uses {
            if let Some(value) = value(name)? {
                scope.add_variable_from_value(*name, value);
            }
        }
        match self.program.execute(&scope) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!("it gives {} instead of true or false", other.type_of())),
            // Other errors repeat values, which may be secret.
            Err(ExecutionError::NoSuchKey(key)) => Err(format!("there is no `{key}`")),
            Err(ExecutionError::UndeclaredReference(name)) => Err(format!("there is no `{name}`")),
            Err(_) => Err("its parts do not fit each other, as when a text is compared with a number".into()),
        }
    }
}

/// How deep the brackets of `text` nest; the parser, which recurs, is spared what is too deep.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn too_deep() -> String {
    format!("it is nested more than {MAX_DEPTH} levels deep")
}

/// Walks through an expression.
#[derive(Default)]
struct Walk<'a> {
    used: Vec<&'a str>,
    /// Names that loops bind.
    bound: Vec<&'a str>,
    loops: usize,
}

impl<'a> Walk<'a> {
    fn expression(&mut self, at: &'a IdedExpr, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH * 4 {
            return Err(too_deep());
        }
        let depth = depth + 1;
        match &at.expr {
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => self.expression(&select.operand, depth),
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.expression(element, depth)),
            Expr::Call(call) => {
                known_function(&call.func_name)?;
                let parts = call.target.iter().map(|target| &**target).chain(&call.args);
                parts.into_iter().try_for_each(|part| self.expression(part, depth))
            }
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.expression(&entry.key, depth)?;
                    self.expression(&entry.value, depth)
                }
                EntryExpr::StructField(field) => self.expression(&field.value, depth),
            }),
            Expr::Comprehension(_) => self.comprehension(at, depth),
            Expr::Struct(_) => Err("messages are not made here; use a map, such as {'a': 1}".into()),
            Expr::Literal(_) | Expr::Unspecified => Ok(()),
        }
    }

    fn comprehension(&mut self, at: &'a IdedExpr, depth: usize) -> Result<(), String> {
        let Expr::Comprehension(each) = &at.expr else { return Ok(()) };
        self.expression(&each.iter_range, depth)?;
        if self.loops > 0 {
            return Err("a loop (`all`, `exists`, `map`, …) must not stand within another: its cost would grow with the square of what a caller sends".into());
        }
        let before = self.bound.len();
        self.bound.extend([each.iter_var.as_str(), each.accu_var.as_str()]);
        self.bound.extend(each.iter_var2.as_deref());
        self.loops += 1;
        for part in [&each.accu_init, &each.loop_cond, &each.loop_step, &each.result] {
            self.expression(part, depth)?;
        }
        self.loops -= 1;
        self.bound.truncate(before);
        Ok(())
    }

    fn name(&mut self, name: &'a str) -> Result<(), String> {
        if self.bound.contains(&name) {
            return Ok(());
        }
        if VARIABLES.contains(&name) {
            self.used.push(name);
            return Ok(());
        }
        Err(format!("there is no `{name}`; there are {}", VARIABLES.join(", ")))
    }
}

/// Operators are functions whose names are no names.
fn known_function(name: &str) -> Result<(), String> {
    let is_operator = !name.starts_with(|letter: char| letter.is_ascii_alphabetic());
    if is_operator || FUNCTIONS.contains(&name) {
        return Ok(());
    }
    Err(format!("there is no function `{name}`; there are {}", FUNCTIONS.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::value;
    use super::*;

    fn holds(text: &str, arguments: &str) -> Result<bool, String> {
        let arguments = value::parse(arguments).map_err(|error| error.to_string());
        Expression::read(text)?.holds(|name| match name {
            "arguments" => arguments.clone().map(Some),
            _ => Ok(Some(value::text("x"))),
        })
    }

    #[test]
    fn numbers_texts_and_lists_compare_as_people_expect() {
        for (text, arguments) in [
            ("arguments.amount > 100", r#"{"amount":100.5}"#),
            ("arguments.amount > 100", r#"{"amount":101}"#),
            ("arguments.amount == 5", r#"{"amount":5.0}"#),
            ("arguments.amount > 9223372036854775807u", r#"{"amount":9223372036854775809}"#),
            ("has(arguments.note) && arguments.note.contains('gift')", r#"{"note":"a gift"}"#),
            ("!has(arguments.note)", "{}"),
            ("arguments.items.exists(item, item.price >= 10)", r#"{"items":[{"price":9},{"price":10}]}"#),
            ("arguments.tags.all(tag, tag in ['a', 'b'])", r#"{"tags":["a","b"]}"#),
            ("arguments.mail.matches('^[a-z]+@shop\\\\.example$')", r#"{"mail":"ada@shop.example"}"#),
            ("size(arguments) == 0", "{}"),
            ("principal == 'x' && size(arguments.name) == 4", r#"{"name":"über"}"#),
        ] {
            assert_eq!(holds(text, arguments), Ok(true), "{text} of {arguments}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_an_error_that_repeats_no_value() {
        for (text, arguments, expected) in [
            ("arguments.amount > 100", "{}", "there is no `amount`"),
            ("arguments.amount > 100", r#"{"amount":"secret"}"#, "do not fit"),
            ("arguments.amount", r#"{"amount":"secret"}"#, "it gives string instead of"),
            ("arguments.a > 1", r#"{"a":1,"a":9}"#, "`a` stands twice"),
            ("arguments.b.a > 1", r#"{"b":{"a":1,"\u0061":9}}"#, "`a` stands twice"),
            ("arguments.a > 1", r#"{"a":1e999}"#, "number out of range"),
        ] {
            let error = holds(text, arguments).unwrap_err();
            assert!(error.contains(expected) && !error.contains("secret"), "{text} of {arguments}: {error}");
        }
    }

    #[test]
    fn an_expression_that_could_never_hold_is_refused_when_it_is_read() {
        for (text, expected) in [
            ("amount > 100", "there is no `amount`; there are principal,"),
            ("arguments.amount >", "line 1, column "),
            ("tool.name.lower() == 'a'", "there is no function `lower`"),
            ("arguments.a.exists(x, arguments.b.exists(y, x == y))", "must not stand within another"),
            (&"(".repeat(100), "nested more than 64"),
            (&format!("{}1]", "[".repeat(3000)), "nested more than 64"),
            (&"a".repeat(5000), "at most 4096 bytes"),
            ("Person{name: 'x'} == 1", "use a map"),
        ] {
            let error = Expression::read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        // One loop after another, and one that is walked through by another, cost no square.
        Expression::read("arguments.a.map(x, x + 1).exists(y, y > 3) && arguments.b.all(x, x > 1)").unwrap();
    }

    #[test]
    fn without_a_variable_it_holds_only_where_the_variable_does_not_matter() {
        let read = |text: &str| {
            Expression::read(text).unwrap().holds(|name| Ok((name != "arguments").then(|| value::text(name))))
        };
        assert_eq!(read("method == 'other' && arguments.a > 1"), Ok(false));
        assert_eq!(read("arguments.a > 1 && method == 'other'"), Ok(false));
        assert_eq!(read("method == 'method' || arguments.a > 1"), Ok(true));
        assert!(read("method == 'method' && arguments.a > 1").is_err());
    }
}
