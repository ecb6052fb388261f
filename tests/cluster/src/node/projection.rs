//! Files of a volume that come from objects, replaced all at once when an object changes.
//!
//! As on a real node every file is a link through `..data`, itself a link to a folder of one version: one rename
//! changes all files, and programs that watch `..data` see it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use super::Refusal;
use crate::Error;

const DATA: &str = "..data";

/// Relative path to content and mode.
pub(super) type Files = BTreeMap<String, (Vec<u8>, u32)>;

/// Makes the volume in `folder` hold exactly `files`. Does nothing when it does already.
pub(super) fn write(folder: &Path, files: &Files) -> Result<(), Refusal> {
    let current = fs::read_link(folder.join(DATA)).ok().map(|version| folder.join(version));
    if current.as_deref().is_some_and(|version| equals(version, files)) {
        return Ok(());
    }
    let name = format!("..{:016x}", rand::random::<u64>());
    let version = folder.join(&name);
    make(&version)?;
    for (path, (content, mode)) in files {
        file(&version, path, content, *mode)?;
    }
    switch(folder, &name)?;
    for top in tops(files) {
        let link = folder.join(&top);
        symlink(Path::new(DATA).join(&top), link).ok();
    }
    prune(folder, files);
    current.map(fs::remove_dir_all);
    Ok(())
}

fn make(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::file("making", folder))
}

fn file(version: &Path, path: &str, content: &[u8], mode: u32) -> Result<(), Refusal> {
    let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if !inside {
        return Err(Refusal::Config(format!("a volume's file may not be at {path}")));
    }
    let target = version.join(path);
    make(target.parent().unwrap_or(version))?;
    fs::write(&target, content).map_err(Error::file("writing", &target))?;
    let permissions = fs::Permissions::from_mode(mode & 0o777);
    fs::set_permissions(&target, permissions).map_err(Error::file("setting the mode of", &target))?;
    Ok(())
}

fn switch(folder: &Path, name: &str) -> Result<(), Error> {
    let fresh = folder.join("..data_new");
    fs::remove_file(&fresh).ok();
    symlink(name, &fresh).map_err(Error::file("linking", &fresh))?;
    fs::rename(&fresh, folder.join(DATA)).map_err(Error::file("renaming", &fresh))
}

fn tops(files: &Files) -> Vec<PathBuf> {
    files
        .keys()
        .filter_map(|path| Path::new(path).components().next().map(|top| PathBuf::from(top.as_os_str())))
        .collect()
}

fn prune(folder: &Path, files: &Files) {
    let tops = tops(files);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = PathBuf::from(entry.file_name());
        if !name.as_os_str().as_encoded_bytes().starts_with(b"..") && !tops.contains(&name) {
            fs::remove_file(entry.path()).ok();
        }
    }
}

fn equals(version: &Path, files: &Files) -> bool {
    let same = |(path, (content, _)): (&String, &(Vec<u8>, u32))| {
        fs::read(version.join(path)).is_ok_and(|present| present == *content)
    };
    files.iter().all(same) && count(version) == files.len()
}

fn count(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { count(&entry.path()) } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        list.iter().map(|(path, text)| ((*path).to_owned(), (text.as_bytes().to_vec(), 0o644))).collect()
    }

    #[test]
    fn a_change_replaces_all_files_by_one_rename_and_removes_what_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let read = |path: &str| fs::read_to_string(folder.path().join(path)).ok();
        write(folder.path(), &files(&[("a", "1"), ("deep/b", "2")])).unwrap();
        assert_eq!((read("a").as_deref(), read("deep/b").as_deref()), (Some("1"), Some("2")));
        let version = fs::read_link(folder.path().join(DATA)).unwrap();
        write(folder.path(), &files(&[("a", "1"), ("deep/b", "2")])).unwrap();
        assert_eq!(fs::read_link(folder.path().join(DATA)).unwrap(), version, "nothing has changed");
        write(folder.path(), &files(&[("a", "3")])).unwrap();
        assert_eq!((read("a").as_deref(), read("deep/b")), (Some("3"), None));
        assert!(!folder.path().join(version).exists());
    }

    #[test]
    fn a_path_that_leads_out_of_the_volume_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(folder.path(), &files(&[("../x", "1")])).unwrap_err();
        assert!(error.to_string().contains("../x"));
    }
}
