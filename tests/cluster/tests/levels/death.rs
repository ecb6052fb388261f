//! Whoever starts a cluster takes it along, even when he is killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use portico_cluster::{Error, Level, wait_for, wanted};
use rstest::rstest;

use crate::SOON;

/// The processes that have `mark` in their environment: the children of whoever got it, however deep.
fn marked(mark: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let has_mark = |path: &Path| {
        fs::read(path.join("environ")).is_ok_and(|all| String::from_utf8_lossy(&all).contains(mark))
    };
    let marked = processes.filter(|path| has_mark(path));
    marked
        .map(|path| fs::read_to_string(path.join("cmdline")).unwrap_or_default().replace('\0', " "))
        .collect()
}

#[rstest]
#[case::in_the_machines_network(Level::Control)]
#[case::in_a_network_of_its_own(Level::Processes)]
#[tokio::test]
async fn a_killed_starter_leaves_no_process_and_no_folder(#[case] level: Level) {
    if !wanted(Level::Processes) {
        return;
    }
    let mark = format!("PORTICO_MARK_OF_DEATH_{level}");
    let mut starter = Command::new(env!("CARGO_BIN_EXE_cluster"))
        .args(["up", "--level", &level.to_string()])
        .env(&mark, "1")
        // As if started outside: it is to make its own.
        .env_remove("PORTICO_OWN_NETWORK")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut kubeconfig = String::new();
    BufReader::new(starter.stdout.take().unwrap()).read_line(&mut kubeconfig).unwrap();
    let folder = Path::new(kubeconfig.trim()).parent().unwrap();
    assert!(marked(&mark).iter().any(|command| command.contains("kube-apiserver")), "nothing runs");
    starter.kill().unwrap();
    starter.wait().unwrap();
    wait_for("the end of all processes", SOON, async || {
        let left = marked(&mark);
        if left.is_empty() { Ok(Some(())) } else { Err(left.join("\n")) }
    })
    .await
    .unwrap();
    // At level processes the folder was on a file system that has gone with the last process.
    if level == Level::Control {
        wait_for("the end of the folder", SOON, async || Ok::<_, Error>((!folder.exists()).then_some(())))
            .await
            .unwrap();
    }
}
