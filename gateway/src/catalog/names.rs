//! The names under which clients see what servers offer.
//!
//! A name stays as the server wrote it, since interface pages and prompts call tools by it. Only where two servers use
//! one name do both get their prefix, unless the configuration wants it always or never.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::catalog::listing::Family;
use crate::config::Prefix;
use crate::source::ServerKey;

/// Between a server's name and its tool's; it cannot occur in a Kubernetes name.
const SEPARATOR: &str = "__";

/// Each server's prefix: its name, or namespace and name where two namespaces have a server of that name.
pub(crate) fn prefixes<'a>(
    keys: impl Iterator<Item = &'a ServerKey> + Clone,
) -> HashMap<&'a ServerKey, String> {
    let mut named: HashMap<&str, usize> = HashMap::new();
    for key in keys.clone() {
        *named.entry(&key.name).or_default() += 1;
    }
    keys.map(|key| {
        let prefix = if named.get(key.name.as_str()) == Some(&1) {
            key.name.clone()
        } else {
            format!("{}_{}", key.namespace, key.name)
        };
        (key, prefix)
    })
    .collect()
}

/// The exposed key of each `(prefix, key)`, in the same order. Prefixes are added until no two are equal; what is still
/// equal then (a server listed one key twice, or prefixes are not wanted) gives the index of the one that has the key.
///
/// URIs get a prefix only on a clash, whatever `wanted` says: clients read them where they were given, and never write them.
pub(crate) fn exposed(
    (family, wanted): (Family, Prefix),
    entries: &[(&str, &str)],
) -> Vec<Result<String, usize>> {
    let is_name = matches!(family, Family::Tools | Family::Prompts);
    let wanted = if is_name { wanted } else { Prefix::OnClash };
    let mut prefixed: HashSet<usize> =
        if wanted == Prefix::Always { (0..entries.len()).collect() } else { HashSet::new() };
    loop {
        let names: Vec<String> = entries
            .iter()
            .enumerate()
            .map(|(index, (prefix, key))| name(family, prefixed.contains(&index), prefix, key))
            .collect();
        let more = match wanted {
            Prefix::Never => Vec::new(),
            Prefix::OnClash | Prefix::Always => clashing(&names, entries, &prefixed),
        };
        if more.is_empty() {
            return first_of_each(names);
        }
        prefixed.extend(more);
    }
}

fn clashing(names: &[String], entries: &[(&str, &str)], prefixed: &HashSet<usize>) -> Vec<usize> {
    let mut users: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
    for (name, (prefix, _)) in names.iter().zip(entries) {
        users.entry(name).or_default().insert(prefix);
    }
    let clashes = |name: &String| users.get(name.as_str()).is_some_and(|servers| servers.len() > 1);
    (0..names.len()).filter(|index| !prefixed.contains(index) && clashes(&names[*index])).collect()
}

fn first_of_each(names: Vec<String>) -> Vec<Result<String, usize>> {
    let mut seen: HashMap<String, usize> = HashMap::with_capacity(names.len());
    let first = |(index, name): (usize, String)| {
        if let Some(first) = seen.get(&name) {
            return Err(*first);
        }
        seen.insert(name.clone(), index);
        Ok(name)
    };
    names.into_iter().enumerate().map(first).collect()
}

fn name(family: Family, prefixed: bool, prefix: &str, key: &str) -> String {
    match family {
        _ if !prefixed => key.to_owned(),
        Family::Tools | Family::Prompts => format!("{prefix}{SEPARATOR}{key}"),
        Family::Resources | Family::Templates => super::uri::wrap(prefix, key),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ON_CLASH: (Family, Prefix) = (Family::Tools, Prefix::OnClash);

    fn tools(entries: &[(&str, &str)]) -> Vec<String> {
        exposed(ON_CLASH, entries).into_iter().map(Result::unwrap_or_default).collect()
    }

    #[test]
    fn prefixes_stand_always_or_never_where_that_is_wanted() {
        let entries = [("a", "x"), ("b", "y"), ("c", "x")];
        let with = |family, wanted| exposed((family, wanted), &entries);
        let all = |names: [&str; 3]| names.map(|name| Ok(name.to_owned()));
        assert_eq!(with(Family::Tools, Prefix::Always), all(["a__x", "b__y", "c__x"]));
        assert_eq!(with(Family::Prompts, Prefix::Never), [Ok("x".into()), Ok("y".into()), Err(0)]);
        let uris = all(["portico+a+x", "y", "portico+c+x"]);
        assert_eq!(with(Family::Resources, Prefix::Never), uris);
        assert_eq!(with(Family::Resources, Prefix::Always), uris);
    }

    #[test]
    fn a_name_used_once_stays_and_one_used_by_two_servers_is_prefixed_in_both() {
        assert_eq!(tools(&[("a", "x"), ("a", "y"), ("b", "x")]), ["a__x", "y", "b__x"]);
    }

    #[test]
    fn a_name_that_looks_prefixed_is_prefixed_too_when_it_clashes() {
        assert_eq!(tools(&[("a", "b__x"), ("b", "x"), ("c", "x")]), ["a__b__x", "b__x", "c__x"]);
    }

    #[test]
    fn a_key_listed_twice_by_one_server_is_shown_once() {
        assert_eq!(exposed(ON_CLASH, &[("a", "x"), ("a", "x")]), [Ok("x".to_owned()), Err(0)]);
    }

    #[test]
    fn servers_of_one_name_are_told_apart_by_namespace() {
        let key = |namespace: &str, name: &str| ServerKey { namespace: namespace.into(), name: name.into() };
        let keys = [key("one", "a"), key("two", "a"), key("two", "b")];
        let prefixes = prefixes(keys.iter());
        assert_eq!(keys.each_ref().map(|key| prefixes[key].as_str()), ["one_a", "two_a", "b"]);
    }

    proptest! {
        #[test]
        fn exposed_names_are_unique_and_order_does_not_matter(
            entries in prop::collection::hash_set(("[ab]{1,2}", "(a__|b__)?[xy]"), 0..12)
        ) {
            let entries: Vec<(&str, &str)> = entries.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            let names = exposed(ON_CLASH, &entries);
            let distinct: HashSet<_> = names.iter().flatten().collect();
            prop_assert_eq!(distinct.len(), names.iter().flatten().count());
            let mut turned = entries.clone();
            turned.reverse();
            let mut again = exposed(ON_CLASH, &turned);
            again.reverse();
            prop_assert_eq!(names.iter().flatten().collect::<HashSet<_>>(), again.iter().flatten().collect::<HashSet<_>>());
        }
    }
}
