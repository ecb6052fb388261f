//! Which local program an image name stands for. One small file an image, so that every process that shares the
//! cluster can add some.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::pki::put;

/// Makes `name` stand for `command`, at once and for all.
pub(crate) fn add(folder: &Path, name: &str, command: &[String]) -> Result<(), Error> {
    let path = file(folder, name);
    let text =
        serde_json::to_string(command).map_err(|source| Error::Malformed { path: path.clone(), source })?;
    // Written aside and renamed: the node may read at any time.
    let aside = path.with_extension(format!("{:016x}", rand::random::<u64>()));
    put(&aside, &text)?;
    std::fs::rename(&aside, &path).map_err(Error::file("writing", &path))
}

/// The command that a pod's `image` stands for: looked up by its repository, then by the last part of that.
pub(crate) fn find(folder: &Path, image: &str) -> Option<Vec<String>> {
    let repository = repository(image);
    let last = repository.rsplit('/').next().unwrap_or(repository);
    [repository, last].into_iter().find_map(|name| {
        let text = std::fs::read_to_string(file(folder, name)).ok()?;
        serde_json::from_str(&text).ok()
    })
}

/// The image's name without tag and digest.
fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    // A colon before the last slash is a port.
    match image.rfind(':') {
        Some(colon) if !image[colon..].contains('/') => &image[..colon],
        _ => image,
    }
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{}.json", name.replace('%', "%25").replace('/', "%2F")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_digests_and_ports_are_told_apart() {
        assert_eq!(repository("localhost:5000/portico"), "localhost:5000/portico");
        assert_eq!(repository("localhost:5000/portico:1.2"), "localhost:5000/portico");
        assert_eq!(repository("ghcr.io/x/y:1@sha256:abc"), "ghcr.io/x/y");
        assert_eq!(repository("python"), "python");
    }

    #[test]
    fn an_image_is_found_by_its_whole_name_before_its_last_part() {
        let folder = tempfile::tempdir().unwrap();
        let command = |word: &str| vec![word.to_owned()];
        add(folder.path(), "python", &command("any")).unwrap();
        assert_eq!(find(folder.path(), "docker.io/library/python:3"), Some(command("any")));
        add(folder.path(), "docker.io/library/python", &command("exact")).unwrap();
        assert_eq!(find(folder.path(), "docker.io/library/python:3"), Some(command("exact")));
        assert_eq!(find(folder.path(), "unknown:1"), None);
    }
}
