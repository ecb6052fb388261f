//! The workspace's test programs: most run one after another, those that mostly wait beside them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::steps::{cargo, step};

/// Package and name of the programs that mostly wait, for a control plane to say something, and how many of their tests run at once:
/// on the two cores of a small machine libtest would run two, and leave most of both idle.
const WAITING: [(&str, &str, &str); 1] = [("portico-operator", "cluster", "4")];

/// A test program.
struct Suite {
    /// The folder of its package, where cargo would run it.
    folder: PathBuf,
    package: String,
    /// The test target's name.
    name: String,
    program: PathBuf,
}

/// Runs all of them and the examples of the documentation with these variables, whatever fails on the way.
pub fn run(environment: &[(&str, OsString)]) -> Result<(), String> {
    let (waiting, others): (Vec<Suite>, Vec<Suite>) =
        built()?.into_iter().partition(|suite| suite.at_once().is_some());
    let failed = std::thread::scope(|scope| {
        let beside = scope.spawn(|| failures(&waiting, |suite| suite.run_quietly(environment)));
        let mut failed = failures(&others, |suite| suite.run(environment));
        failed.extend(
            beside.join().unwrap_or_else(|_| vec!["the tests beside the others broke off".to_owned()]),
        );
        failed
    });
    let documented =
        step("examples of the documentation", &mut cargo(&["test", "--workspace", "--doc", "--locked"]));
    if failed.is_empty() {
        return documented;
    }
    Err(format!("tests failed in {}", failed.join(", ")))
}

fn failures(suites: &[Suite], run: impl Fn(&Suite) -> bool) -> Vec<String> {
    suites.iter().filter(|suite| !run(suite)).map(Suite::title).collect()
}

/// As cargo has built them, with the features that the whole workspace has together.
fn built() -> Result<Vec<Suite>, String> {
    let mut list = cargo(&["test", "--workspace", "--locked", "--no-run", "--message-format=json"]);
    let listed = list
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    let suites: Vec<Suite> = String::from_utf8_lossy(&listed.stdout).lines().filter_map(read).collect();
    if listed.status.success() && !suites.is_empty() {
        Ok(suites)
    } else {
        Err("cargo lists no tests".to_owned())
    }
}

/// Reads a message of cargo about a test program; its other messages are none.
fn read(message: &str) -> Option<Suite> {
    let (_, profile) = message.split_once("\"profile\":{")?;
    let is_test = profile.split_once('}')?.0.contains("\"test\":true");
    let program = PathBuf::from(text(profile, "executable").filter(|_| is_test)?);
    let folder = Path::new(text(message, "manifest_path")?).parent()?.to_owned();
    // Where the folder has the package's name the id has the version alone.
    let named = text(message, "package_id")?.rsplit_once('#')?.1.split_once('@').map(|(name, _)| name);
    let package = named.or(folder.file_name()?.to_str())?.to_owned();
    let name = text(message.split_once("\"target\":{")?.1, "name")?.to_owned();
    Some(Suite { folder, package, name, program })
}

/// The text of the first member of this name. Paths with characters that JSON escapes are not looked for.
fn text<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    json.split_once(&format!("\"{name}\":\""))?.1.split_once('"').map(|(text, _)| text)
}

impl Suite {
    fn title(&self) -> String {
        format!("{} {}", self.package, self.name)
    }

    /// How many of its tests run at once where it is one that mostly waits.
    fn at_once(&self) -> Option<&'static str> {
        let found = WAITING.iter().find(|(package, name, _)| *package == self.package && *name == self.name);
        found.map(|(_, _, threads)| *threads)
    }

    fn command(&self, environment: &[(&str, OsString)]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).env("CARGO_MANIFEST_DIR", &self.folder);
        command.envs(environment.iter().cloned());
        if let Some(threads) = self.at_once() {
            command.env("RUST_TEST_THREADS", threads);
        }
        command
    }

    /// Whether all its tests passed; what it says is seen while it runs.
    fn run(&self, environment: &[(&str, OsString)]) -> bool {
        eprintln!("==> {}", self.title());
        let status = self.command(environment).status();
        status
            .inspect_err(|error| eprintln!("{}: {error}", self.program.display()))
            .is_ok_and(|status| status.success())
    }

    /// The same for one beside others: what it says is shown at its end, in one piece.
    fn run_quietly(&self, environment: &[(&str, OsString)]) -> bool {
        eprintln!("==> {} beside the others", self.title());
        let begin = Instant::now();
        let ended = self.command(environment).output();
        let Ok(ended) = ended.inspect_err(|error| eprintln!("{}: {error}", self.program.display())) else {
            return false;
        };
        let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        eprintln!(
            "    {} beside the others: {} after {} s\n{out}{err}",
            self.title(),
            ended.status,
            begin.elapsed().as_secs()
        );
        ended.status.success()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(package_id: &str, is_test: bool) -> String {
        format!(
            r#"{{"reason":"compiler-artifact","package_id":"{package_id}","manifest_path":"/src/tests/xtask/Cargo.toml","target":{{"kind":["test"],"name":"cluster","test":true}},"profile":{{"opt_level":"0","test":{is_test}}},"executable":"/target/debug/deps/cluster-1","fresh":true}}"#
        )
    }

    #[test]
    fn a_test_program_is_read_with_its_package_whichever_form_the_id_has() {
        for (id, package) in [
            ("path+file:///src/operator#portico-operator@0.1.0", "portico-operator"),
            ("path+file:///src/tests/xtask#0.1.0", "xtask"),
        ] {
            let suite = read(&message(id, true)).unwrap();
            assert_eq!((suite.package.as_str(), suite.name.as_str()), (package, "cluster"));
            assert_eq!(suite.folder, Path::new("/src/tests/xtask"));
            assert_eq!(suite.program, Path::new("/target/debug/deps/cluster-1"));
            assert_eq!(suite.at_once().is_some(), package == "portico-operator");
        }
    }

    #[test]
    fn what_is_no_test_program_is_left_out() {
        assert!(read(&message("path+file:///src/operator#portico-operator@0.1.0", false)).is_none());
        assert!(read(r#"{"reason":"build-finished","success":true}"#).is_none());
        let without = message("a#b@1", true)
            .replace(r#""executable":"/target/debug/deps/cluster-1""#, r#""executable":null"#);
        assert!(read(&without).is_none());
    }
}
