//! What becomes of a folder's servers on this machine.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::path::{Path, PathBuf};

use k8s_openapi::jiff::Timestamp;
use portico_local::manifest::{Objects, parse};
use portico_local::plan::{Command, Fate, Id, Machine, Plan, Replica, plan, workloads};
use portico_operator::kroger_integration::keyring::Keyring;

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
    planned_objects(&Objects::from_documents(&documents).unwrap())
}

fn planned_objects(objects: &Objects) -> Plan {
    planned_as(objects, 1)
}

/// With ports for so many processes of each workload.
fn planned_as(objects: &Objects, count: u32) -> Plan {
    let replicas = workloads(objects)
        .into_iter()
        .flat_map(|id| (0..count).map(move |number| Replica { id: id.clone(), number }));
    let ports = replicas.zip(4001..).collect();
    let machine = Machine {
        portico: Path::new("/bin/portico"),
        run_directory: Path::new("/run/p"),
        state_directory: Path::new("/state/p"),
        ports: &ports,
        find_program: &|_| None::<PathBuf>,
    };
    plan(objects, &machine)
}

fn command(fates: &Plan) -> &Command {
    let fate = fates.iter().find(|(id, _)| matches!(id, Id::Server(_))).unwrap().1;
    let Fate::Run(commands) = fate else { panic!("it does not run: {fate:?}") };
    &commands[&0]
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

#[test]
fn each_process_of_a_server_has_a_port_and_files_of_its_own_and_they_share_a_claim() {
    let claim = "  volumes:\n    - name: data\n      mountPath: /data\n      claimRef: data\n";
    let variables = "    - name: DATA\n      value: /data\n";
    let (documents, problems) = parse(Path::new("a.yaml"), &format!("{FILES}{variables}{claim}"));
    assert!(problems.is_empty(), "{problems:?}");
    let fates = planned_as(&Objects::from_documents(&documents).unwrap(), 2);
    let Some(Fate::Run(commands)) = fates.into_values().next() else { panic!("it does not run") };
    let [first, second] = [&commands[&0], &commands[&1]];
    assert_eq!((first.port, second.port), (4001, 4002));
    assert_eq!(second.args, ["serve", "files", "--listen", "127.0.0.1:4002"]);
    assert_ne!(first.work_directory, second.work_directory);
    let docs = |command: &Command| command.env["FILES_ALLOWED_DIRS"].clone();
    assert_ne!(docs(first), docs(second));
    assert!(second.files.iter().any(|(path, content)| path.starts_with(docs(second)) && content == b"hello"));
    assert_eq!(
        (&first.env["DATA"], &first.env["DATA"]),
        (&second.env["DATA"], &"/state/p/claims/default/data".to_owned())
    );
}

const INTEGRATION: &str = "\
apiVersion: portico.dev/v1alpha1
kind: KrogerIntegration
metadata:
  name: shop
spec:
  credentials:
    secretRef: kroger
---
apiVersion: v1
kind: Secret
metadata:
  name: kroger
stringData:
  client-id: a
  client-secret: b
";

#[test]
fn an_integration_runs_as_its_server_with_keys_and_a_folder_for_its_volume() {
    let (documents, _) = parse(Path::new("a.yaml"), INTEGRATION);
    let mut objects = Objects::from_documents(&documents).unwrap();
    let key = objects.integrations.keys().next().unwrap().clone();
    objects.add_keys(&key, &Keyring::first(Timestamp::UNIX_EPOCH, &[1; 32]));
    let fates = planned_objects(&objects);
    let command = command(&fates);
    assert_eq!(command.args[..2], ["serve", "kroger"]);
    let keyring = Path::new(&command.env["KROGER_KEYRING_FILE"]);
    assert!(keyring.starts_with("/run/p"), "{}", keyring.display());
    assert!(command.files.iter().any(|(path, content)| path == keyring && Keyring::read(content).is_ok()));
    assert_eq!(command.env["DATABASE_URL"], "sqlite:/state/p/claims/default/shop-kroger-data/kroger.db");
    assert_eq!(command.env["KROGER_CLIENT_SECRET"], "b");
}

#[test]
fn an_integration_whose_secret_is_not_in_the_folder_is_blocked() {
    let fates = planned(INTEGRATION.split("---").next().unwrap());
    let fate = fates.values().next().unwrap();
    assert!(matches!(fate, Fate::Blocked(reason) if reason.contains("Secret 'kroger'")), "{fate:?}");
}

#[test]
fn a_shop_is_skipped_since_this_version_does_not_contain_its_servers() {
    let fates = planned(
        "{apiVersion: portico.dev/v1alpha1, kind: ShopConnector, metadata: {name: a}, spec: {servers: [{name: Admin}],
          platform: {museo: {url: 'http://museo', serviceAccount: {secretRef: museo}}}}}",
    );
    let (id, fate) = fates.iter().next().unwrap();
    assert_eq!(id.to_string(), "a-admin");
    let expected = "this version of Portico does not contain the server 'admin'";
    assert!(matches!(fate, Fate::Skipped(reason) if reason.contains(expected)), "{fate:?}");
}
