//! `check` says of models what the operator would say.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use portico_local::check::{Report, check_path};

fn checked(manifests: &str) -> Report {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), manifests).unwrap();
    check_path(folder.path()).unwrap()
}

fn model(name: &str, rest: &str) -> String {
    let head = format!(
        "---\napiVersion: portico.dev/v1alpha1\nkind: InferenceModel\nmetadata: {{name: {name}}}\nspec:\n"
    );
    format!("{head}  engine: {{external: {{url: 'https://api.example.com/v1', model: x}}}}\n{rest}")
}

fn backed(name: &str, by: &str) -> String {
    model(name, &format!("  fallbacks: [{{modelRef: {by}}}]\n"))
}

#[test]
fn models_that_fit_together_pass_and_a_fallback_out_of_the_folder_is_named() {
    let report = checked(&(backed("a", "b") + &model("b", "")));
    assert!(report.problems.is_empty() && report.unresolved.is_empty(), "{report:?}");
    let report = checked(&backed("a", "elsewhere"));
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(report.unresolved[0].field, "spec.fallbacks[0].modelRef");
}

#[test]
fn fallbacks_that_lead_back_are_wrong_at_every_model_of_the_chain() {
    let report = checked(&(backed("a", "b") + &backed("b", "a")));
    let said: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("spec.fallbacks") && said[0].contains("a -> b -> a"), "{said:?}");
}

#[test]
fn what_only_the_operator_knows_to_be_wrong_has_its_line() {
    let manifest = "apiVersion: portico.dev/v1alpha1\nkind: InferenceModel\nmetadata: {name: a}\nspec:\n  engine:\n    ollama: {model: x}\n  env:\n    - name: OLLAMA_HOST\n      value: x\n";
    let report = checked(manifest);
    assert_eq!((report.problems[0].line, report.problems[0].field.as_str()), (8, "spec.env[0].name"));
}
