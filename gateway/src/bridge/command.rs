//! Finds programs as the shell would.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Whether `program` is an executable file, or the name of one in PATH.
pub(super) fn exists(program: &str) -> bool {
    if program.contains('/') {
        return is_executable(Path::new(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| is_executable(&directory.join(program)))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::exists;

    #[test]
    fn a_program_is_found_by_path_and_by_name_if_it_is_executable() {
        assert!(exists("sh") && exists("/bin/sh"));
        assert!(!exists("no-such-program") && !exists("/etc/passwd") && !exists("/tmp") && !exists(""));
    }
}
