//! The files of a folder, as `kubectl apply -f FOLDER` takes them: not those of folders below it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Document, Problem, parse};

/// Largest file that is read, in bytes; etcd takes no object above 1.5 MiB.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Every document of a file or of a folder's `.yaml`, `.yml` and `.json` files, in the order of their names.
///
/// # Errors
/// When the path does not exist or cannot be listed.
pub fn read(path: &Path) -> io::Result<(Vec<Document>, Vec<Problem>)> {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    for file in files(path)? {
        match text(&file) {
            Ok(text) => {
                let (found, wrong) = parse(&file, &text);
                documents.extend(found);
                problems.extend(wrong);
            }
            Err(message) => problems.push(Problem { file, line: 0, field: String::new(), message }),
        }
    }
    Ok((documents, problems))
}

/// The manifests of a folder, by name; of a file that file.
pub(crate) fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        if is_manifest(&file) && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn is_manifest(file: &Path) -> bool {
    let hidden = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    !hidden
        && file.extension().is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|known| ending == *known))
}

fn text(file: &Path) -> Result<String, String> {
    let size = fs::metadata(file).map_err(|error| format!("cannot be read: {error}"))?.len();
    if size > MAX_BYTES {
        return Err(format!("has {size} bytes; at most {MAX_BYTES} are read"));
    }
    let bytes = fs::read(file).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes)
        .map_err(|error| format!("is not UTF-8 text from byte {} on", error.utf8_error().valid_up_to()))
}
