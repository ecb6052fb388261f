//! What `check` says of a manifest.

use portico_crds::check::check;
use serde_json::Value;

fn faults(manifest: &Value) -> Vec<String> {
    check(manifest).unwrap().iter().map(ToString::to_string).collect()
}

#[track_caller]
pub fn accepted(manifest: &Value) {
    assert_eq!(faults(manifest), Vec::<String>::new(), "{manifest}");
}

#[track_caller]
pub fn refused(manifest: &Value, expected: &str) {
    let faults = faults(manifest);
    assert!(
        faults.iter().any(|fault| fault.contains(expected)),
        "expected '{expected}' in {faults:?} for {manifest}"
    );
}
