//! The committed definitions are the generated ones.

use std::{fs, path::Path};

#[test]
fn the_committed_yaml_is_what_the_types_generate() {
    for definition in portico_crds::definitions() {
        let name = definition.metadata.name.clone().unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("yaml/{name}.yaml"));
        let generated = portico_crds::to_yaml(&definition).unwrap();
        if std::env::var_os("PORTICO_GENERATE").is_some() {
            fs::write(&path, &generated).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == generated, "{} is out of date: run `cargo xtask generate`", path.display());
    }
}
