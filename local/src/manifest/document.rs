//! One file of YAML documents: their values, and the line of every field.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value;
use serde_yaml::granit_parser::{Event, Parser};

use super::Problem;

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file.
    pub file: PathBuf,
    /// Line of the document's first field, from 1.
    pub line: usize,
    /// Its content.
    pub value: Value,
    lines: BTreeMap<String, usize>,
}

impl Document {
    /// Line of a field, or of the nearest one around it that is written down.
    #[must_use]
    pub fn line_of(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return *line;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return self.line,
            }
        }
    }

    /// A problem with one of the document's fields.
    #[must_use]
    pub fn problem(&self, field: &str, message: impl Into<String>) -> Problem {
        Problem {
            file: self.file.clone(),
            line: self.line_of(field),
            field: field.to_owned(),
            message: message.into(),
        }
    }

    /// `apiVersion` and `kind`.
    #[must_use]
    pub fn kind(&self) -> (&str, &str) {
        let text = |field| self.value.get(field).and_then(Value::as_str).unwrap_or_default();
        (text("apiVersion"), text("kind"))
    }
}

/// The documents of a file, and what could not be read of it.
#[must_use]
pub fn parse(file: &Path, text: &str) -> (Vec<Document>, Vec<Problem>) {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    for (first_line, part) in split(text) {
        match document(file, first_line, &part) {
            Ok(found) => documents.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    (documents, problems)
}

/// Parts between lines that begin with `---`, each with the number of lines before it.
fn split(text: &str) -> Vec<(usize, String)> {
    let mut parts = vec![(0, String::new())];
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let marker =
            line.strip_prefix("---").filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if marker.is_some() {
            parts.push((number, line.replacen("---", "   ", 1)));
        } else if let Some((_, part)) = parts.last_mut() {
            part.push_str(line);
        }
    }
    parts
}

fn document(file: &Path, before: usize, text: &str) -> Result<Option<Document>, Problem> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(None);
    }
    let value: Value = serde_yaml::from_str(text).map_err(|error| unreadable(file, before, &error))?;
    if value.is_null() {
        return Ok(None);
    }
    let mut lines = lines(text);
    for line in lines.values_mut() {
        *line += before;
    }
    let line = lines.values().min().copied().unwrap_or(before + 1);
    Ok(Some(Document { file: file.to_owned(), line, value, lines }))
}

fn unreadable(file: &Path, before: usize, error: &serde_yaml::Error) -> Problem {
    let line = error.location().and_then(|location| usize::try_from(location.line()).ok()).unwrap_or(1);
    let text = error.without_snippet().to_string();
    let message = text.lines().next().unwrap_or_default();
    Problem {
        file: file.to_owned(),
        line: before + line,
        field: String::new(),
        message: format!("is not readable as YAML: {message}"),
    }
}

/// Where the walk through the events stands.
enum Level {
    Map { path: String, key: Option<String> },
    List { path: String, next: usize },
}

/// Line of each field of one document, by path.
fn lines(text: &str) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    let mut levels: Vec<Level> = Vec::new();
    let mut parser = Parser::new_from_str(text);
    while let Some(Ok((event, span))) = parser.next_event() {
        match event {
            Event::MappingEnd | Event::SequenceEnd => {
                levels.pop();
            }
            Event::Scalar(name, ..) if expects_key(&levels) => {
                if let Some(Level::Map { path, key }) = levels.last_mut() {
                    lines.insert(join(path, &name), span.start.line());
                    *key = Some(name.into_owned());
                }
            }
            Event::MappingStart(..) => {
                let path = enter(&mut levels, &mut lines, span.start.line());
                levels.push(Level::Map { path, key: None });
            }
            Event::SequenceStart(..) => {
                let path = enter(&mut levels, &mut lines, span.start.line());
                levels.push(Level::List { path, next: 0 });
            }
            Event::Scalar(..) | Event::Alias(..) => {
                enter(&mut levels, &mut lines, span.start.line());
            }
            _ => {}
        }
    }
    lines
}

fn expects_key(levels: &[Level]) -> bool {
    matches!(levels.last(), Some(Level::Map { key: None, .. }))
}

/// Path of the value that begins now.
fn enter(levels: &mut [Level], lines: &mut BTreeMap<String, usize>, line: usize) -> String {
    match levels.last_mut() {
        Some(Level::Map { path, key }) => join(path, &key.take().unwrap_or_default()),
        Some(Level::List { path, next }) => {
            let item = format!("{path}[{next}]");
            *next += 1;
            lines.insert(item.clone(), line);
            item
        }
        None => String::new(),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "# first\napiVersion: v1\nkind: Secret\n---\nkind: McpServer\nspec:\n  env:\n    - name: A\n      value: |\n        ---x\n    - name: B\n";

    #[test]
    fn every_field_of_every_document_has_its_line() {
        let (documents, problems) = parse(Path::new("a.yaml"), TWO);
        assert_eq!(problems, []);
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0].line_of("kind"), 3);
        assert_eq!(documents[1].line, 5);
        assert_eq!(documents[1].line_of("spec.env[0].value"), 9);
        assert_eq!(documents[1].line_of("spec.env[1].name"), 11);
        assert_eq!(documents[1].line_of("spec.env[1].value"), 11, "the item around a field that is absent");
        assert_eq!(documents[1].line_of("spec.gpu.count"), 6);
        assert_eq!(documents[1].line_of("metadata.name"), 5);
    }

    #[test]
    fn a_broken_document_names_its_line_and_spares_the_others() {
        let (documents, problems) = parse(Path::new("a.yaml"), "a: 1\n---\nb: [1\nc: 2\n---\nd: 4\n");
        assert_eq!(documents.len(), 2);
        assert_eq!(problems.len(), 1);
        assert!((3..=5).contains(&problems[0].line), "{problems:?}");
        assert!(problems[0].message.contains("YAML"), "{problems:?}");
    }

    #[test]
    fn empty_documents_and_comments_are_nothing() {
        let (documents, problems) = parse(Path::new("a.yaml"), "# only\n---\n\n---\n# a comment\n");
        assert!(documents.is_empty() && problems.is_empty(), "{documents:?} {problems:?}");
    }
}
