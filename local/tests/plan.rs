//! What becomes of a folder's servers on this machine.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::path::{Path, PathBuf};

use portico_local::manifest::{Objects, parse};
use portico_local::plan::{Command, Fate, Id, Machine, Plan, plan, workloads};

const FILES: &str = "\
apiVersion: portico.dev/v1alpha1
kind: McpServer
metadata:
  name: files
spec:
  source:
    builtin:
      name: files
  configFiles:
    - path: /docs/a.md
      content: hello
  env:
    - name: FILES_ALLOWED_DIRS
      value: /docs
";

/// The plan for manifests on a machine without Node.js, whose free ports begin at 4001.
fn planned(manifests: &str) -> Plan {
    let (documents, problems) = parse(Path::new("a.yaml"), manifests);
    assert!(problems.is_empty(), "{problems:?}");
    let objects = Objects::from_documents(&documents).unwrap();
    let ports = workloads(&objects).into_iter().zip(4001..).collect();
    let machine = Machine {
        portico: Path::new("/bin/portico"),
        run_directory: Path::new("/run/p"),
        state_directory: Path::new("/state/p"),
        ports: &ports,
        find_program: &|_| None::<PathBuf>,
    };
    plan(&objects, &machine)
}

fn command(fates: &Plan) -> &Command {
    let fate = fates.iter().find(|(id, _)| matches!(id, Id::Server(_))).unwrap().1;
    let Fate::Run(command) = fate else { panic!("it does not run: {fate:?}") };
    command
}

#[test]
fn a_shipped_server_listens_on_loopback_at_a_port_of_its_own() {
    let fates = planned(FILES);
    let command = command(&fates);
    assert_eq!(command.program, Path::new("/bin/portico"));
    assert_eq!(command.args, ["serve", "files", "--listen", "127.0.0.1:4001"]);
}

#[test]
fn paths_of_the_pod_lead_into_the_runs_own_folder() {
    let fates = planned(FILES);
    let command = command(&fates);
    let served = Path::new(&command.env["FILES_ALLOWED_DIRS"]);
    assert!(served.starts_with("/run/p"), "{}", served.display());
    assert!(command.files.iter().any(|(_, content)| content == b"hello"));
}

#[test]
fn an_image_of_somebody_else_is_skipped_with_the_reason() {
    let image = FILES.replace("builtin:\n      name: files", "image:\n      name: example.com/other:1");
    let fates = planned(&image);
    let fate = fates.values().next().unwrap();
    assert!(matches!(fate, Fate::Skipped(reason) if reason.contains("example.com/other:1")), "{fate:?}");
}
