//! The real llama-server, for tests of models: Debian's build of it, unpacked into the cache and run by its own loader.
//!
//! Nothing is installed and nobody need be root. It is newer than what stable releases have, and so are the libraries it wants: they come with it. The archive
//! keeps no old files; when one is gone, take what `apt-cache show NAME` says on Debian's unstable release (`Filename`, `SHA256`) over into the list below.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use portico_cluster::{Level, WANTED_VARIABLE};
use sha2::{Digest, Sha256};

/// Names another llama-server than the pinned one.
pub const SERVER_VARIABLE: &str = "PORTICO_LLAMA_SERVER";

/// Files in the archive, with their SHA-256.
const PACKAGES: [(&str, &str); 10] = [
    (
        "l/llama.cpp/llama.cpp-tools_0.7.0%2bdfsg-2_amd64.deb",
        "3007c170f116891974bd37d5ba802f094c7d020412f2100cc71582fc8530895c",
    ),
    (
        "l/llama.cpp/libllama0_0.7.0%2bdfsg-2_amd64.deb",
        "7d49cde5582ccdc8c454b379ba627eea8c95813b6a9c70628653101f629204d6",
    ),
    (
        "g/ggml/libggml0_0.27.0-1_amd64.deb",
        "f621153d6615a8dd1ac4b14e110cbafca34cc66f551367c5f6326f71fb141b0d",
    ),
    ("g/glibc/libc6_2.43-7_amd64.deb", "5c71715c51103beb4fbba9fe9f8dff604af6610dfa71c70bff342f54a7860803"),
    (
        "g/gcc-16/libgcc-s1_16.2.0-4_amd64.deb",
        "d251ea642c3795e8723ac2b9eeebe511467ca04590ba70f3d555a7616787d7e3",
    ),
    (
        "g/gcc-16/libgomp1_16.2.0-4_amd64.deb",
        "11cb09fd79c2de0acbdc23b0eb350445c563b16a36d879b355dfd45a5d2d6d3e",
    ),
    (
        "g/gcc-16/libstdc%2b%2b6_16.2.0-4_amd64.deb",
        "cef6654bba1daece0bc0dbe0e3f69fa5a26eb6ba139f3536e6f4806bd787f3e7",
    ),
    (
        "o/openssl/libssl3t64_3.6.5-1_amd64.deb",
        "0a0ec84fe860c5c93c74d53cbb071aea0793327a3761b483080e9d7b73c21b37",
    ),
    (
        "libz/libzstd/libzstd1_1.5.7%2bdfsg-4_amd64.deb",
        "93e7930e4c25b918f1dd980cc1c6d4487654a248f5fa71eacb976ed7bbe954bd",
    ),
    (
        "z/zlib/zlib1g_1.3.dfsg%2breally1.3.2-4_amd64.deb",
        "8506ce550a81ac14b047608e0df121037d9cbb10c3cc28446f68cf8c1d9d31ce",
    ),
];

/// The program. Its backend is the one for any processor: the models of tests are small.
const START: &str = r#"#!/bin/sh
root=${0%/*}
libraries=$root/usr/lib/x86_64-linux-gnu
export GGML_BACKEND_PATH="$libraries/ggml/backends0/libggml-cpu-x64.so"
exec "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries:$libraries/llama" "$root/usr/bin/llama-server" "$@"
"#;

/// Whether tests of real models in pods are to run: as [`portico_cluster::wanted`] says of level `processes`. Their network has no way out, so the program is
/// fetched before.
///
/// # Panics
/// As [`server`].
#[must_use]
pub fn wanted() -> bool {
    if std::env::var_os(WANTED_VARIABLE).is_some_and(|value| !value.is_empty() && value != "0") {
        drop(server());
    }
    portico_cluster::wanted(Level::Processes)
}

/// The program: the one that [`SERVER_VARIABLE`] names, or the pinned one, which is fetched once.
///
/// # Panics
/// When there is none, with what to do.
#[must_use]
pub fn server() -> PathBuf {
    static SERVER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = SERVER.get_or_init(|| match std::env::var_os(SERVER_VARIABLE).map(PathBuf::from) {
        Some(named) if named.is_file() => Ok(named),
        Some(named) => Err(format!("{SERVER_VARIABLE} names {}, which is no file", named.display())),
        None => pinned(),
    });
    let failed = found.as_ref().err();
    assert!(failed.is_none(), "the llama-server of the tests: {}", failed.map_or("", String::as_str));
    found.clone().unwrap_or_default()
}

/// The pinned program, from the cache or the archive.
fn pinned() -> Result<PathBuf, String> {
    let text = |error: std::io::Error| error.to_string();
    let cache = cache();
    fs::create_dir_all(&cache).map_err(text)?;
    let folder = cache.join(key());
    let program = folder.join("llama-server");
    // Tests are several processes.
    let lock = File::create(cache.join("lock")).map_err(text)?;
    lock.lock().map_err(text)?;
    if !program.is_file() {
        let fresh = tempfile::tempdir_in(&cache).map_err(text)?;
        unpack(fresh.path())?;
        fs::remove_dir_all(&folder).ok();
        fs::rename(fresh.keep(), &folder).map_err(text)?;
    }
    Ok(program)
}

fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/tmp".into())).join(".cache");
    std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("portico/llama")
}

/// Other packages, or another way to start them, have another place in the cache.
fn key() -> String {
    let mut hash = Sha256::new();
    for (path, sum) in PACKAGES {
        hash.update(format!("{path} {sum}\n"));
    }
    hash.update(START);
    hash.finalize().iter().take(16).fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}

fn unpack(folder: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let text = |error: std::io::Error| error.to_string();
    let archive = archive()?;
    for (path, sum) in PACKAGES {
        let package = folder.join("package.deb");
        let mut fetch = Command::new("/usr/lib/apt/apt-helper");
        fetch.args(["-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=2", "download-file"]);
        fetch.arg(format!("{archive}/pool/main/{path}")).arg(&package).arg(format!("SHA256:{sum}"));
        run(&mut fetch).map_err(|error| {
            format!(
                "{path} could not be fetched; if the archive has it no more, pin the newer packages in tests/e2e/src/llama.rs, or name another llama-server by {SERVER_VARIABLE}: {error}"
            )
        })?;
        run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(folder))?;
        fs::remove_file(package).map_err(text)?;
    }
    let program = folder.join("llama-server");
    fs::write(&program, START).map_err(text)?;
    for path in [folder, &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(text)?;
    }
    Ok(())
}

/// The archive that this machine installs from.
fn archive() -> Result<String, String> {
    let of = "a llama-server is fetched by the apt of a Debian on x86-64; elsewhere name one by PORTICO_LLAMA_SERVER";
    if !cfg!(target_arch = "x86_64") {
        return Err(of.to_owned());
    }
    let mut list = Command::new("apt-get");
    list.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]);
    let list = run(&mut list).map_err(|error| format!("{of}: {error}"))?;
    let bare = list.lines().map(|line| line.trim_end_matches('/'));
    let mut archives = bare.filter(|line| line.ends_with("/debian"));
    archives.next().map(str::to_owned).ok_or_else(|| of.to_owned())
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&said)))
}
