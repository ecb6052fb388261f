//! From a loose spec and what it refers to, to a shop that can be rendered. Pure.

use std::collections::BTreeSet;

use portico_crds::{
    ShopConnector, ShopConnectorSpec,
    shop_connector::{FeatureFlag, ShopServer},
};

use super::{COMPONENT, config, render};
use crate::{
    composite::{Owner, faults as server_faults},
    kind::Refusal,
    reference::References,
};

/// Longest text of an `McpServer`'s config file, in characters.
const LONGEST_FILE: usize = 65_536;

/// A shop whose spec is valid and whose references exist.
#[derive(Clone, Debug)]
pub struct ValidatedShop {
    /// What its children belong to.
    pub owner: Owner,
    /// The spec.
    pub spec: ShopConnectorSpec,
    /// The file that its servers read.
    pub file: String,
}

impl ValidatedShop {
    /// The servers, in an order that does not depend on how the spec is written.
    #[must_use]
    pub fn servers(&self) -> Vec<&ShopServer> {
        let mut all: Vec<&ShopServer> = self.spec.servers.iter().collect();
        all.sort_by_key(|server| server.name);
        all
    }
}

/// Checks a shop.
///
/// # Errors
/// [`Refusal::Invalid`] lists every fault of the spec with its field; [`Refusal::Missing`] every reference that leads
/// nowhere, with the field that makes it.
pub fn validate(shop: &ShopConnector, references: &References) -> Result<ValidatedShop, Refusal> {
    let spec = shop.spec.clone();
    let valid = ValidatedShop { owner: Owner::of(shop, COMPONENT), file: config::file(&spec), spec };
    let faults = faults(&valid);
    if !faults.is_empty() {
        return Err(Refusal::Invalid(faults));
    }
    if !references.missing.is_empty() {
        return Err(Refusal::Missing(references.missing.clone()));
    }
    Ok(valid)
}

fn faults(shop: &ValidatedShop) -> Vec<String> {
    let spec = &shop.spec;
    let mut faults = unknown_roles(spec);
    faults.extend(twice("spec.featureFlags", spec.feature_flags.iter().map(|flag| flag.name.as_str())));
    faults.extend(twice("spec.roles", spec.roles.iter().map(|role| role.name.as_str())));
    let names = spec.servers.iter().map(|server| server.name.builtin().as_str());
    faults.extend(twice("spec.servers", names));
    faults.extend(missing_currency(spec));
    if shop.file.chars().count() > LONGEST_FILE {
        faults.push(format!(
            "spec.featureFlags: flags, roles and mapping together make a file of more than {LONGEST_FILE} characters; \
             name roles instead of users"
        ));
    }
    for (i, server) in spec.servers.iter().enumerate() {
        let field = format!("spec.servers[{i}]");
        faults.extend(server_faults(&field, &render::server_spec(shop, server), &server.overrides));
    }
    faults
}

/// A flag for a role that does not exist holds for nobody, which nobody means.
fn unknown_roles(spec: &ShopConnectorSpec) -> Vec<String> {
    let known: BTreeSet<&str> = spec.roles.iter().map(|role| role.name.as_str()).collect();
    let of_flag = |(i, flag): (usize, &FeatureFlag)| {
        let unknown = flag.roles.iter().enumerate().filter(|(_, role)| !known.contains(role.as_str()));
        let said = unknown.map(|(j, role)| {
            format!(
                "spec.featureFlags[{i}].roles[{j}]: `spec.roles` has no role '{role}'; add it or name another"
            )
        });
        said.collect::<Vec<_>>()
    };
    spec.feature_flags.iter().enumerate().flat_map(of_flag).collect()
}

fn twice<'a>(field: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let repeated = names.enumerate().filter(|(_, name)| !seen.insert(*name));
    repeated
        .map(|(i, name)| format!("{field}[{i}].name: '{name}' is given twice; remove or rename one"))
        .collect()
}

/// A price is nothing without its currency, and a REST API of its own need not name one.
fn missing_currency(spec: &ShopConnectorSpec) -> Option<String> {
    let mapping = &spec.platform.custom.as_ref()?.mapping;
    let products = &mapping.products.fields;
    let priced = products.price.is_some() || products.cost.is_some();
    let unclear = priced && products.currency.is_none();
    let totalled = mapping
        .orders
        .as_ref()
        .is_some_and(|orders| orders.fields.total.is_some() && orders.fields.currency.is_none());
    (spec.currency.is_none() && (unclear || totalled)).then(|| {
        "spec.currency: must be given, since the mapping has amounts of money and no `currency` beside them".to_owned()
    })
}
