//! What the guides show must be true.

use std::path::{Path, PathBuf};
use std::process::Command;

fn guides() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut guides = vec![root.join("README.md")];
    for folder in ["docs", "docs/servers"] {
        let entries = std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        guides.extend(entries.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    }
    guides
}

fn manifests(guide: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(guide).unwrap();
    let blocks = text.split("```yaml\n").skip(1);
    blocks.filter_map(|block| block.split_once("\n```").map(|(yaml, _)| yaml.to_owned())).collect()
}

#[test]
fn every_manifest_in_the_guides_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let mut checked = 0;
    for guide in guides() {
        for manifest in manifests(&guide) {
            let file = folder.path().join("manifest.yaml");
            std::fs::write(&file, &manifest).unwrap();
            let output = Command::new(portico_e2e::program()).arg("check").arg(&file).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{}: {said}\n{manifest}", guide.display());
            checked += 1;
        }
    }
    assert!(checked >= 6, "only {checked} manifests were found");
}

#[test]
fn every_link_of_the_guides_leads_to_a_file() {
    for guide in guides() {
        let text = std::fs::read_to_string(&guide).unwrap();
        for target in
            text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
        {
            let is_file = !target.starts_with("http") && !target.starts_with('#');
            let path = guide.parent().unwrap().join(target.split('#').next().unwrap());
            assert!(!is_file || path.exists(), "{}: {target}", guide.display());
        }
    }
}
