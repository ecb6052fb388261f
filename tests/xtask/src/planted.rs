//! `cargo xtask planted`: bugs put into the operator and the scaling decision on purpose, to see that their tests catch
//! them.
//!
//! Each lies as a patch in the crate's `tests/planted`; its first line says what it breaks and which test must fall. The
//! patches are applied to a copy of the workspace, one after another. While one is built, the tests of those before it
//! run: most of that time they wait.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::clusters::Clusters;
use crate::steps::{cargo, root, step, target};
use crate::test::{CLUSTER_TESTS, JOIN};
use crate::{mirror, system};

/// Within a crate.
const PATCHES: &str = "tests/planted";
/// The crates with planted bugs.
const CRATES: [Home; 2] = [
    Home { folder: "operator", package: "portico-operator", on_cluster: true },
    Home { folder: "scaling", package: "portico-scaling", on_cluster: false },
];
/// What those are built with, out of the copy as well.
const BUILT_WITH: [&str; 2] = ["portico-crds", "portico-cluster"];
/// Nothing that is caught takes so long.
const LIMIT: Duration = Duration::from_mins(5);

/// A crate, and whether its tests want the cluster.
#[derive(PartialEq)]
struct Home {
    folder: &'static str,
    package: &'static str,
    on_cluster: bool,
}

/// A bug, and the tests that must catch it.
#[derive(Clone)]
struct Planted {
    home: &'static Home,
    name: String,
    what: String,
    /// `lib`, or the name of a test target.
    target: String,
    filters: Vec<String>,
    patch: Option<PathBuf>,
}

/// What came of a bug.
struct Outcome {
    planted: Planted,
    built_in: Duration,
    tested_in: Duration,
    /// The tests that failed.
    fallen: Vec<String>,
    /// Whether it is as it should be: red, or green where nothing is planted.
    as_wanted: bool,
}

/// Plants the bugs of these names, or all; fails when one is not caught.
pub fn run(names: &[String]) -> Result<(), String> {
    let mut all = read()?;
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|planted| planted.name != **name)) {
        return Err(format!("there is no {unknown}.patch in a {PATCHES}"));
    }
    all.retain(|planted| names.is_empty() || names.contains(&planted.name));
    let done = plant_all(&all);
    forget().and(done)
}

fn plant_all(all: &[Planted]) -> Result<(), String> {
    let began = Instant::now();
    let clusters = all.iter().any(|planted| planted.home.on_cluster).then(start).transpose()?;
    let all: Vec<Planted> = sound(all).into_iter().chain(all.iter().cloned()).collect();
    // Each is waited for in a thread of its own, while the next is built.
    let mut running = Vec::new();
    for planted in all {
        let (built_in, child) = plant(&planted, clusters.as_ref())?;
        running.push(std::thread::spawn(move || end(planted, built_in, child)));
    }
    let outcomes = running
        .into_iter()
        .map(|thread| thread.join().map_err(|_| "a thread failed")?)
        .collect::<Result<Vec<_>, String>>()?;
    print(&outcomes, began.elapsed());
    let missed: Vec<&str> = outcomes
        .iter()
        .filter(|outcome| !outcome.as_wanted)
        .map(|outcome| outcome.planted.name.as_str())
        .collect();
    let logs = folder().display().to_string();
    missed
        .is_empty()
        .then_some(())
        .ok_or(format!("not as it should be: {}; see the logs in {logs}", missed.join(", ")))
}

/// Removes what was built out of the copy: cargo takes it for what the workspace would build, also after an edit here.
fn forget() -> Result<(), String> {
    let mut clean = cargo(&["clean", "--quiet"]);
    for package in CRATES.iter().map(|home| home.package).chain(BUILT_WITH) {
        clean.args(["--package", package]);
    }
    step("remove what was built of planted bugs", &mut clean)
}

/// The clusters that tests of the operator join.
fn start() -> Result<Clusters, String> {
    system::prepare()?;
    step(
        "the test cluster's program",
        &mut cargo(&["build", "--locked", "--package", "portico-cluster", "--bins"]),
    )?;
    Clusters::start()
}

/// Whether every patch still applies; built and run they are by `cargo xtask planted` alone.
pub fn check() -> Result<(), String> {
    let all = read()?;
    let patches = all.iter().filter_map(|planted| planted.patch.as_ref());
    step(
        "planted bugs apply",
        Command::new("git").current_dir(root()).args(["apply", "--check", "--"]).args(patches),
    )
    .or_else(|_| all.iter().try_for_each(applies))
}

/// Two patches may touch one line; alone each must apply.
fn applies(planted: &Planted) -> Result<(), String> {
    let mut git = Command::new("git");
    git.current_dir(root()).args(["apply", "--check", "--"]).args(&planted.patch);
    step(&planted.name, &mut git)
}

/// The patches by crate and name.
fn read() -> Result<Vec<Planted>, String> {
    let mut all = Vec::new();
    for home in &CRATES {
        let folder = root().join(home.folder).join(PATCHES);
        let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut patches: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "patch"))
            .collect();
        patches.sort();
        for path in patches {
            all.push(parse(home, &path)?);
        }
    }
    Ok(all)
}

fn parse(home: &'static Home, path: &Path) -> Result<Planted, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let first = text.lines().next().unwrap_or_default().strip_prefix("# ").unwrap_or_default();
    let wrong =
        || format!("{}: the first line must be '# what it breaks; caught by: TARGET TEST …'", path.display());
    let (what, tests) = first.split_once("; caught by: ").ok_or_else(wrong)?;
    let mut words = tests.split_whitespace().map(ToOwned::to_owned);
    let (target, filters) = (words.next().ok_or_else(wrong)?, words.collect::<Vec<_>>());
    if filters.is_empty() {
        return Err(wrong());
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Planted { home, name, what: what.to_owned(), target, filters, patch: Some(path.to_owned()) })
}

/// The same tests with nothing planted, which must pass: else their fall proves nothing.
fn sound(all: &[Planted]) -> Vec<Planted> {
    let mut sound: Vec<Planted> = Vec::new();
    for planted in all {
        let same = |other: &&mut Planted| other.home == planted.home && other.target == planted.target;
        match sound.iter_mut().find(same) {
            Some(other) => other.filters.extend(planted.filters.clone()),
            None => sound.push(Planted {
                name: format!("nothing-{}-{}", planted.home.folder, planted.target),
                what: "Nothing".to_owned(),
                patch: None,
                ..planted.clone()
            }),
        }
    }
    sound
}

fn folder() -> PathBuf {
    root().join(target()).join("planted")
}

/// Builds the copy with the bug in it, and starts the tests that must catch it.
fn plant(planted: &Planted, clusters: Option<&Clusters>) -> Result<(Duration, Child), String> {
    let tree = folder().join("tree");
    mirror::bring(&root(), &tree)?;
    if let Some(patch) = &planted.patch {
        // The copy may lie within the repository, and is none itself.
        let mut git = Command::new("git");
        git.current_dir(&tree).env("GIT_CEILING_DIRECTORIES", folder()).args(["apply", "--"]).arg(patch);
        step(&format!("plant {}", planted.name), &mut git)?;
    }
    let began = Instant::now();
    let built = build(&tree, planted)?;
    let built_in = began.elapsed();
    eprintln!("    {}: built in {} s", planted.name, built_in.as_secs());
    let failed = |error: std::io::Error| format!("{}: {error}", planted.name);
    let log = File::create(log(planted)).map_err(failed)?;
    let child = Command::new(built)
        .args(&planted.filters)
        .current_dir(tree.join(planted.home.folder))
        .env(CLUSTER_TESTS, "1")
        .envs(clusters.map(|clusters| (JOIN, clusters.folders())))
        .stdin(Stdio::null())
        .stderr(log.try_clone().map_err(failed)?)
        .stdout(log)
        .spawn()
        .map_err(failed)?;
    Ok((built_in, child))
}

fn program(planted: &Planted) -> PathBuf {
    folder().join(format!("{}.test", planted.name))
}

fn log(planted: &Planted) -> PathBuf {
    folder().join(format!("{}.log", planted.name))
}

/// Builds the test target; answers a copy of its program, which the next build leaves alone.
fn build(tree: &Path, planted: &Planted) -> Result<PathBuf, String> {
    let mut command = cargo(&["test", "--locked", "--no-run", "--package", planted.home.package]);
    match planted.target.as_str() {
        "lib" => command.arg("--lib"),
        name => command.args(["--test", name]),
    };
    let output = command
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", root().join(target()))
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.trim_start().starts_with("Executable"));
    let path = line.and_then(|line| line.split_once('(')).map(|(_, path)| path.trim_end_matches(')'));
    let path = path
        .filter(|_| output.status.success())
        .ok_or_else(|| format!("{}: does not build:\n{said}", planted.name))?;
    let copy = program(planted);
    std::fs::copy(tree.join(path), &copy).map_err(|error| format!("{path}: {error}"))?;
    Ok(copy)
}

/// Waits for the tests of one bug.
fn end(planted: Planted, built_in: Duration, mut child: Child) -> Result<Outcome, String> {
    let began = Instant::now();
    let passed = passes(&mut child).map_err(|error| format!("{}: {error}", planted.name))?;
    let tested_in = began.elapsed();
    let fallen = fallen(&std::fs::read_to_string(log(&planted)).unwrap_or_default());
    std::fs::remove_file(program(&planted)).ok();
    let as_wanted = match planted.patch {
        None => passed,
        Some(_) => !passed && !fallen.is_empty(),
    };
    Ok(Outcome { planted, built_in, tested_in, fallen, as_wanted })
}

/// Whether a program ends well, and in time.
fn passes(child: &mut Child) -> std::io::Result<bool> {
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill()?;
    child.wait().map(|_| false)
}

/// The tests that a test program says have failed.
fn fallen(log: &str) -> Vec<String> {
    let names = log.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    names.map(|name| name.rsplit("::").next().unwrap_or(name).to_owned()).collect()
}

fn print(outcomes: &[Outcome], took: Duration) {
    println!("| planted | what it breaks | | caught by | build, s | tests, s |\n|---|---|---|---|---|---|");
    for Outcome { planted, built_in, tested_in, fallen, as_wanted } in outcomes {
        let colour = match (fallen.is_empty(), as_wanted) {
            (true, true) => "green",
            (false, true) => "red",
            (true, false) => "GREEN",
            (false, false) => "RED",
        };
        let (built, tested, tests) = (built_in.as_secs(), tested_in.as_secs(), fallen.join(", "));
        println!("| {} | {} | {colour} | {tests} | {built} | {tested} |", planted.name, planted.what);
    }
    println!("\n{} s", took.as_secs());
}
