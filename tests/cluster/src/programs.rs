//! Finding the programs of Kubernetes, or building them.
//!
//! They are looked for in this order: `$PORTICO_CLUSTER_BIN` (the executable, or a folder of programs), the
//! cache, and for [`Level::Api`] also `$KUBEBUILDER_ASSETS`; else they are built with Go into the cache.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::Level;
use crate::child::tail;

/// The version that the programs call themselves; charts compare with it.
pub const KUBERNETES_VERSION: &str = "v1.36.3";

/// Everything in one executable.
const KUBEBOX: &str = "kubebox";
/// The names under which the one executable is called.
const NAMES: [&str; 8] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kwok",
    "coredns",
    "kubectl",
];
/// What level `Api` needs: no more is in the folder that `setup-envtest` fills.
const API_NAMES: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];
/// Between two lines that tell of a build's progress.
const PROGRESS: Duration = Duration::from_secs(5);

/// Why there are no programs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The variable names something that is not there.
    #[error("PORTICO_CLUSTER_BIN={0}: neither the kubebox executable nor a folder that holds it")]
    NoSuchBin(PathBuf),
    /// Nothing is built, and Go is not there to build it.
    #[error(
        "the test cluster's programs are not built and `go` does not run ({0}): install Go 1.26 or newer, or name \
         built programs by PORTICO_CLUSTER_BIN (level api alone: KUBEBUILDER_ASSETS, as `setup-envtest` fills it)"
    )]
    NoGo(io::Error),
    /// Go could not build them.
    #[error("building the test cluster's programs in {folder} failed; the end of {log}:\n{tail}")]
    Build {
        /// Where it was built.
        folder: PathBuf,
        /// The file with all of Go's words.
        log: PathBuf,
        /// The last of them.
        tail: String,
    },
    /// A file could not be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
}

impl Error {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File(path, source)
    }
}

/// Where the programs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Programs {
    /// All in one executable, chosen by the name it is called by.
    Kubebox(PathBuf),
    /// Each in a file of its own, in this folder.
    Folder(PathBuf),
}

impl Programs {
    /// Finds the programs that `level` needs, and builds them when they are nowhere. Blocks, for minutes when it
    /// builds.
    pub fn find(level: Level) -> Result<Self, Error> {
        if let Some(path) = std::env::var_os("PORTICO_CLUSTER_BIN") {
            return named(Path::new(&path));
        }
        let cached = cached()?;
        if cached.is_file() {
            return Ok(Self::Kubebox(cached));
        }
        match std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) {
            Some(folder) if level == Level::Api && holds(&folder, &API_NAMES) => Ok(Self::Folder(folder)),
            _ => build_into(&cached).map(|()| Self::Kubebox(cached)),
        }
    }

    /// Links every program that there is by its name into `folder`.
    pub fn link_into(&self, folder: &Path) -> Result<(), Error> {
        for name in NAMES {
            let target = match self {
                Self::Kubebox(file) => file.clone(),
                Self::Folder(folder) => folder.join(name),
            };
            let link = folder.join(name);
            symlink(&target, &link).map_err(Error::file(&link))?;
        }
        Ok(())
    }
}

fn holds(folder: &Path, names: &[&str]) -> bool {
    names.iter().all(|name| folder.join(name).is_file())
}

fn named(path: &Path) -> Result<Programs, Error> {
    let absolute = fs::canonicalize(path).map_err(|_| Error::NoSuchBin(path.to_owned()))?;
    if absolute.is_file() {
        Ok(Programs::Kubebox(absolute))
    } else if holds(&absolute, &[KUBEBOX]) {
        Ok(Programs::Kubebox(absolute.join(KUBEBOX)))
    } else if holds(&absolute, &API_NAMES) {
        Ok(Programs::Folder(absolute))
    } else {
        Err(Error::NoSuchBin(path.to_owned()))
    }
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(KUBEBOX)
}

/// Where the executable of exactly these sources lies, or will lie.
pub fn cached() -> Result<PathBuf, Error> {
    Ok(cache_root().join(digest(&source())?).join(KUBEBOX))
}

fn cache_root() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/tmp".into())).join(".cache");
    let base = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    base.join("portico/cluster")
}

/// SHA-256 over the names and contents of the Go files and the two module files, in order of name.
fn digest(folder: &Path) -> Result<String, Error> {
    let entries = fs::read_dir(folder).map_err(Error::file(folder))?;
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| counts(path)).collect();
    files.sort();
    let mut hash = Sha256::new();
    for path in files {
        let content = fs::read(&path).map_err(Error::file(&path))?;
        hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        hash.update([0]);
        hash.update(Sha256::digest(&content));
    }
    Ok(hash.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}

fn counts(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("go" | "mod" | "sum"))
}

/// Builds the executable at `target`, unless another process does so meanwhile.
fn build_into(target: &Path) -> Result<(), Error> {
    let folder = target.parent().unwrap_or(target);
    fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let lock_path = folder.join("lock");
    let lock = File::create(&lock_path).map_err(Error::file(&lock_path))?;
    lock.lock().map_err(Error::file(&lock_path))?;
    if target.is_file() {
        return Ok(());
    }
    let fresh = folder.join(format!("{KUBEBOX}.new"));
    let log = folder.join("build.log");
    let child = go_build(&fresh, &log)?;
    watch_build(child, &log)?;
    fs::rename(&fresh, target).map_err(Error::file(target))
}

fn go_build(target: &Path, log: &Path) -> Result<Child, Error> {
    let output = File::create(log).map_err(Error::file(log))?;
    let errors = output.try_clone().map_err(Error::file(log))?;
    Command::new("go")
        .args(["build", "-trimpath", "-ldflags", &linker_flags(), "-o"])
        .arg(target)
        .arg(".")
        .current_dir(source())
        .env("CGO_ENABLED", "0")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(Error::NoGo)
}

fn linker_flags() -> String {
    let base = "k8s.io/component-base/version";
    let (major, rest) = KUBERNETES_VERSION.trim_start_matches('v').split_once('.').unwrap_or(("", ""));
    let minor = rest.split('.').next().unwrap_or_default();
    format!(
        "-s -w -X {base}.gitVersion={KUBERNETES_VERSION} -X {base}.gitMajor={major} -X {base}.gitMinor={minor} \
         -X {base}.gitTreeState=clean -X k8s.io/client-go/pkg/version.gitVersion={KUBERNETES_VERSION}"
    )
}

fn watch_build(mut child: Child, log: &Path) -> Result<(), Error> {
    let begin = Instant::now();
    let mut told = begin;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(Error::file(log))? {
            break status;
        }
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            eprintln!(
                "building the test cluster's programs, once: {} s so far, 5 to 12 minutes in all",
                begin.elapsed().as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    if status.success() {
        return Ok(());
    }
    Err(Error::Build { folder: source(), log: log.to_owned(), tail: tail(log) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamped_version_is_split_into_its_parts() {
        let flags = linker_flags();
        assert!(flags.contains("gitVersion=v1.36.3") && flags.contains("gitMajor=1 "), "{flags}");
        assert!(flags.contains("gitMinor=36 "), "{flags}");
    }

    #[test]
    fn a_changed_source_has_another_place_in_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("main.go"), "one").unwrap();
        let first = digest(folder.path()).unwrap();
        fs::write(folder.path().join("README.md"), "does not count").unwrap();
        assert_eq!(digest(folder.path()).unwrap(), first);
        fs::write(folder.path().join("main.go"), "two").unwrap();
        assert_ne!(digest(folder.path()).unwrap(), first);
    }

    #[test]
    fn a_named_folder_without_programs_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = named(folder.path()).unwrap_err().to_string();
        assert!(error.contains("PORTICO_CLUSTER_BIN="), "{error}");
    }

    #[test]
    fn a_named_folder_of_single_programs_is_linked_name_by_name() {
        let (programs, links) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in API_NAMES {
            fs::write(programs.path().join(name), name).unwrap();
        }
        named(programs.path()).unwrap().link_into(links.path()).unwrap();
        assert_eq!(fs::read_to_string(links.path().join("etcd")).unwrap(), "etcd");
    }
}
