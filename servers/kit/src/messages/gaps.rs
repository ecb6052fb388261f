//! Whether each language says what the others say, with the same arguments.

use std::collections::{BTreeMap, BTreeSet};

use fluent_syntax::ast::{CallArguments, Entry, Expression, InlineExpression, Pattern, PatternElement};

use super::Locale;

/// Ids, and what is put into each.
type Said = BTreeMap<String, BTreeSet<String>>;

/// What is missing or different in some language of `messages`, a sentence each, and mistakes in the files. For tests: a message that
/// is not translated is to fail one.
#[must_use]
pub fn gaps(messages: &[(Locale, &str)]) -> Vec<String> {
    let mut gaps = Vec::new();
    let mut all: BTreeMap<Locale, Said> =
        Locale::ALL.into_iter().map(|locale| (locale, Said::new())).collect();
    for (locale, text) in messages {
        let (resource, mistakes) = match fluent_syntax::parser::parse(*text) {
            Ok(resource) => (resource, Vec::new()),
            // The rest of the file is read all the same.
            Err((resource, mistakes)) => (resource, mistakes),
        };
        gaps.extend(mistakes.iter().map(|mistake| format!("`{locale}` has a mistake: {mistake}")));
        all.entry(*locale).or_default().extend(said(&resource.body));
    }
    let ids: BTreeSet<&String> = all.values().flat_map(Said::keys).collect();
    for id in ids {
        gaps.extend(compare(id, &all));
    }
    gaps
}

fn compare(id: &str, all: &BTreeMap<Locale, Said>) -> Vec<String> {
    let english = all.get(&Locale::En).and_then(|said| said.get(id));
    let gap = |locale: &Locale, said: &Said| match (english, said.get(id)) {
        (_, None) => Some(format!("`{locale}` does not have `{id}`")),
        (Some(english), Some(own)) if english != own => {
            Some(format!("`{id}` is made of {own:?} in `{locale}`, and of {english:?} in `en`"))
        }
        _ => None,
    };
    all.iter().filter_map(|(locale, said)| gap(locale, said)).collect()
}

fn said(entries: &[Entry<&str>]) -> Said {
    let mut said = Said::new();
    for entry in entries {
        let Entry::Message(message) = entry else { continue };
        for attribute in &message.attributes {
            said.insert(format!("{}.{}", message.id.name, attribute.id.name), used(&attribute.value));
        }
        if let Some(value) = &message.value {
            said.insert(message.id.name.to_owned(), used(value));
        }
    }
    said
}

fn used(pattern: &Pattern<&str>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    look(pattern, &mut found);
    found
}

fn look(pattern: &Pattern<&str>, found: &mut BTreeSet<String>) {
    for element in &pattern.elements {
        if let PatternElement::Placeable { expression } = element {
            look_at(expression, found);
        }
    }
}

fn look_at(expression: &Expression<&str>, found: &mut BTreeSet<String>) {
    match expression {
        Expression::Inline(inline) => look_within(inline, found),
        Expression::Select { selector, variants } => {
            look_within(selector, found);
            for variant in variants {
                look(&variant.value, found);
            }
        }
    }
}

fn look_within(inline: &InlineExpression<&str>, found: &mut BTreeSet<String>) {
    match inline {
        InlineExpression::VariableReference { id } => {
            found.insert(format!("${}", id.name));
        }
        InlineExpression::MessageReference { id, .. } => {
            found.insert(id.name.to_owned());
        }
        InlineExpression::Placeable { expression } => look_at(expression, found),
        InlineExpression::FunctionReference { arguments, .. } => look_at_arguments(arguments, found),
        InlineExpression::TermReference { arguments: Some(arguments), .. } => {
            look_at_arguments(arguments, found);
        }
        _ => {}
    }
}

fn look_at_arguments(arguments: &CallArguments<&str>, found: &mut BTreeSet<String>) {
    let named = arguments.named.iter().map(|argument| &argument.value);
    for argument in arguments.positional.iter().chain(named) {
        look_within(argument, found);
    }
}
