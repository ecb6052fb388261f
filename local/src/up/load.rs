//! The last good state of a folder: of a file that is broken now, what it was before.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use crate::{
    check::problems,
    manifest::{Document, Objects, Problem, read},
};

/// A folder, with the last good content of each file.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    good: BTreeMap<PathBuf, Vec<Document>>,
}

/// What a folder says now.
#[derive(Debug)]
pub struct Loaded {
    /// The objects of all good files, and of the others as they were; `None` where they do not fit together.
    pub objects: Option<Objects>,
    /// What is wrong now.
    pub problems: Vec<Problem>,
}

impl Folder {
    /// A folder, or one file.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), good: BTreeMap::new() }
    }

    /// Reads the files.
    ///
    /// # Errors
    /// When the path cannot be read at all.
    pub fn load(&mut self) -> io::Result<Loaded> {
        let (documents, mut problems_now) = read(&self.path)?;
        problems_now.extend(documents.iter().flat_map(problems));
        let broken: BTreeSet<PathBuf> = problems_now.iter().map(|problem| problem.file.clone()).collect();
        let mut good: BTreeMap<PathBuf, Vec<Document>> = BTreeMap::new();
        for document in documents.into_iter().filter(|document| !broken.contains(&document.file)) {
            good.entry(document.file.clone()).or_default().push(document);
        }
        let before = |file: PathBuf| Some((file.clone(), self.good.get(&file)?.clone()));
        good.extend(broken.into_iter().filter_map(before));
        let all: Vec<Document> = good.values().flatten().cloned().collect();
        let objects = match Objects::from_documents(&all) {
            Ok(objects) => {
                self.good = good;
                Some(objects)
            }
            Err(clashes) => {
                problems_now.extend(clashes);
                None
            }
        };
        problems_now.sort();
        Ok(Loaded { objects, problems: problems_now })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn server(name: &str, builtin: &str) -> String {
        format!(
            "apiVersion: portico.dev/v1alpha1\nkind: McpServer\nmetadata:\n  name: {name}\nspec:\n  source:\n    builtin:\n      name: {builtin}\n"
        )
    }

    fn names(loaded: &Loaded) -> Vec<&str> {
        loaded
            .objects
            .iter()
            .flat_map(|objects| objects.servers.keys())
            .map(|key| key.name.as_str())
            .collect()
    }

    #[test]
    fn a_broken_file_keeps_its_last_good_content_and_holds_up_no_other() {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(root.path().join(file), text).unwrap();
        let mut folder = Folder::new(root.path());
        write("a.yaml", &server("a", "files"));
        assert_eq!(names(&folder.load().unwrap()), ["a"]);
        write("a.yaml", &server("a", "fils"));
        write("b.yaml", &server("b", "files"));
        for _ in 0..2 {
            let loaded = folder.load().unwrap();
            assert_eq!(names(&loaded), ["a", "b"]);
            assert_eq!(loaded.problems.len(), 1, "{:?}", loaded.problems);
            assert_eq!(
                (loaded.problems[0].line, loaded.problems[0].field.as_str()),
                (8, "spec.source.builtin.name")
            );
        }
        fs::remove_file(root.path().join("a.yaml")).unwrap();
        let loaded = folder.load().unwrap();
        assert_eq!((names(&loaded), loaded.problems.len()), (vec!["b"], 0));
    }

    #[test]
    fn a_name_that_is_given_twice_is_refused_as_a_whole() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a.yaml"), server("a", "files")).unwrap();
        let mut folder = Folder::new(root.path());
        folder.load().unwrap();
        fs::write(root.path().join("b.yaml"), server("a", "kroger")).unwrap();
        let loaded = folder.load().unwrap();
        assert!(loaded.objects.is_none());
        assert!(loaded.problems[0].message.contains("twice"), "{:?}", loaded.problems);
        fs::write(root.path().join("b.yaml"), server("b", "kroger")).unwrap();
        assert_eq!(names(&folder.load().unwrap()), ["a", "b"]);
    }

    #[test]
    fn a_rule_of_the_operator_counts_like_one_of_the_schema() {
        let root = tempfile::tempdir().unwrap();
        let text = server("a", "files") + "  env:\n    - name: PORT\n      value: '1'\n";
        fs::write(root.path().join("a.yaml"), text).unwrap();
        let loaded = Folder::new(root.path()).load().unwrap();
        assert_eq!(names(&loaded), Vec::<&str>::new());
        assert_eq!((loaded.problems[0].line, loaded.problems[0].field.as_str()), (10, "spec.env[0].name"));
    }
}
