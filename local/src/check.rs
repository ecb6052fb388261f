//! What `portico check` says: of every manifest what the API server would say, and whether its references lead
//! somewhere within the folder.

use std::{io, path::Path};

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        core::v1::{ConfigMap, Secret, Service},
    },
    schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings},
};
use portico_crds::check::{Fault, Strictness, check, check_metadata, check_schema, known_kinds};
use portico_operator::{
    kind::Refusal,
    mcp_server::validate::{Settings, validate},
};
use serde_json::Value;

use crate::manifest::{Document, Objects, Problem, read};

/// What was found of a file or folder.
#[derive(Debug, Default)]
pub struct Report {
    /// What is wrong; nothing of the folder should be applied.
    pub problems: Vec<Problem>,
    /// Every document that was looked at, in order.
    pub documents: Vec<Document>,
    /// The objects, where all of them could be read.
    pub objects: Objects,
    /// References that lead out of the folder: fine where the cluster has the object.
    pub unresolved: Vec<Problem>,
}

/// Checks a file or a folder.
///
/// # Errors
/// When the path cannot be read at all.
pub fn check_path(path: &Path) -> io::Result<Report> {
    let (documents, mut problems) = read(path)?;
    problems.extend(documents.iter().flat_map(faults));
    let mut report = Report { documents, ..Report::default() };
    if problems.is_empty() {
        match Objects::from_documents(&report.documents) {
            Ok(objects) => report.objects = objects,
            Err(twice) => problems.extend(twice),
        }
    }
    for (index, refusal) in refusals(&report.objects, &report.documents) {
        let document = &report.documents[index];
        match refusal {
            // A fine manifest, for another version.
            Refusal::NotIncluded(_) => {}
            Refusal::Invalid(faults) => problems.extend(faults.iter().map(|text| placed(document, text))),
            Refusal::Loop(fault) => problems.push(placed(document, &fault)),
            Refusal::Missing(all) => {
                let said = all.iter().map(|missing| placed(document, &missing.to_string()));
                report.unresolved.extend(said);
            }
        }
    }
    problems.sort();
    report.problems = problems;
    Ok(report)
}

/// What the operator would refuse, each with its document. Of a rendered server its own resource tells.
fn refusals(objects: &Objects, documents: &[Document]) -> Vec<(usize, Refusal)> {
    let own = objects.servers.iter().filter(|(_, (_, index))| documents[*index].kind().1 == "McpServer");
    let of_servers = own.filter_map(|(key, (server, index))| {
        let references = objects.references(key, server);
        Some((*index, validate(server, &references, &Settings::default()).err()?))
    });
    of_servers.chain(objects.refusals()).chain(objects.model_refusals()).collect()
}

/// The operator writes the field's path before a colon.
fn placed(document: &Document, text: &str) -> Problem {
    let (field, message) = text.split_once(": ").unwrap_or(("", text));
    document.problem(field, message)
}

/// What is wrong with one document by itself, whatever it refers to.
pub(crate) fn problems(document: &Document) -> Vec<Problem> {
    let found = faults(document);
    if !found.is_empty() {
        return found;
    }
    let documents = std::slice::from_ref(document);
    let objects = match Objects::from_documents(documents) {
        Ok(objects) => objects,
        Err(problems) => return problems,
    };
    let invalid = refusals(&objects, documents).into_iter().filter_map(|(_, refusal)| match refusal {
        Refusal::Invalid(faults) => Some(faults),
        _ => None,
    });
    invalid.flatten().map(|text| placed(document, &text)).collect()
}

fn faults(document: &Document) -> Vec<Problem> {
    let found = check(&document.value).unwrap_or_else(|| faults_of_other_kinds(document));
    found.into_iter().map(|fault| document.problem(&fault.path, fault.message)).collect()
}

/// Kinds of Kubernetes that a folder for Portico holds are checked by their schema; other kinds by name alone.
fn faults_of_other_kinds(document: &Document) -> Vec<Fault> {
    let (version, kind) = document.kind();
    let fault = |path: &str, message: String| vec![Fault { path: path.into(), message }];
    if !document.value.is_object() {
        return fault("", "is not a manifest: it must be a map with apiVersion, kind and metadata".into());
    }
    match (version, kind) {
        ("", _) => fault("apiVersion", "is required, such as 'portico.dev/v1alpha1'".into()),
        (_, "") => fault("kind", "is required, such as 'McpServer'".into()),
        (version, _) if version.split('/').next() == Some(portico_crds::GROUP) => {
            let known =
                known_kinds().iter().map(|(version, kind)| format!("{kind} ({version})")).collect::<Vec<_>>();
            fault(
                "kind",
                format!(
                    "'{kind}' of '{version}' is unknown; this version of Portico knows {}",
                    known.join(", ")
                ),
            )
        }
        ("apps/v1", "Deployment") => built_in::<Deployment>(&document.value),
        ("v1", "Service") => built_in::<Service>(&document.value),
        ("v1", "Secret") => built_in::<Secret>(&document.value),
        ("v1", "ConfigMap") => built_in::<ConfigMap>(&document.value),
        _ => check_metadata(&document.value),
    }
}

fn built_in<K: JsonSchema>(manifest: &Value) -> Vec<Fault> {
    let schema = SchemaGenerator::new(SchemaSettings::draft07()).into_root_schema_for::<K>();
    let mut faults = check_metadata(manifest);
    faults.extend(check_schema(schema.as_value(), manifest, Strictness::BuiltIn));
    faults
}
