//! The command line as a person meets it: help, exit codes, and errors that say how to mend what is wrong.

use std::path::Path;
use std::process::{Command, Output};

fn portico(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portico"));
    command.args(arguments).env_remove("KUBECONFIG").env("HOME", "/nonexistent").env("LOG_LEVEL", "off");
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn workspace(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}

/// What it said on standard error, and its exit code.
fn refused(arguments: &[&str]) -> (String, i32) {
    let output = portico(arguments);
    (text(&output.stderr), output.status.code().unwrap())
}

#[test]
fn every_command_explains_itself_with_an_example() {
    for command in [
        "up",
        "check",
        "crds",
        "rbac",
        "explain",
        "access",
        "operator",
        "gateway",
        "serve",
        "bridge",
        "fetch",
        "standin",
        "completions",
    ] {
        let output = portico(&[command, "--help"]);
        let help = text(&output.stdout);
        assert!(
            output.status.success() && help.contains("Example") && help.contains("portico "),
            "{command}: {help}"
        );
    }
}

#[test]
fn each_shell_gets_its_completion() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = portico(&["completions", shell]);
        assert!(output.status.success() && text(&output.stdout).contains("portico"), "{shell}");
    }
}

#[test]
fn the_printed_definitions_are_those_that_are_committed() {
    let printed = text(&portico(&["crds"]).stdout);
    let folder = std::fs::read_dir(workspace("crds/yaml")).unwrap();
    let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let committed = files.iter().map(|file| format!("---\n{}", std::fs::read_to_string(file).unwrap()));
    assert_eq!(printed, committed.collect::<String>());
}

#[test]
fn every_reason_is_explained_and_a_mistyped_one_is_put_right() {
    let all = text(&portico(&["explain"]).stdout);
    let reasons: Vec<&str> = all.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(reasons.len() > 40, "{all}");
    let page = std::fs::read_to_string(workspace("docs/reasons.md")).unwrap();
    for reason in &reasons {
        let output = portico(&["explain", reason]);
        assert!(output.status.success() && text(&output.stdout).lines().count() == 3, "{reason}");
        assert!(page.contains(&format!("| `{reason}` |")), "{reason} is not in the reference");
    }
    let json = text(&portico(&["explain", "--json", "Unschedulable"]).stdout);
    assert!(json.contains(r#""remedy":"The message is the scheduler's"#), "{json}");
    let (said, code) = refused(&["explain", "ReferenceNotFuond"]);
    assert!(said.contains("did you mean 'ReferenceNotFound'?") && code == 1, "{code}: {said}");
}

#[test]
fn roles_of_single_namespaces_need_no_right_over_the_cluster() {
    let printed = text(&portico(&["rbac", "--namespace", "shop", "--namespace", "kitchen"]).stdout);
    assert!(!printed.contains("ClusterRole"), "{printed}");
    assert_eq!(
        printed.matches("kind: RoleBinding").count(),
        7,
        "three roles in two namespaces, and the Lease's"
    );
    let whole = text(&portico(&["rbac"]).stdout);
    assert_eq!(whole, std::fs::read_to_string(workspace("operator/rbac.yaml")).unwrap());
    let (said, code) = refused(&["rbac", "--namespace", "shop", "--account", "nobody"]);
    assert!(said.contains("--account nobody: write NAMESPACE/NAME") && code == 1, "{code}: {said}");
}

#[test]
fn check_says_what_is_wrong_where_and_with_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.yaml");
    let manifest = "apiVersion: portico.dev/v1alpha1\nkind: McpServer\nmetadata:\n  name: a\nspec:\n  source:\n    builtin:\n      name: filez\n";
    std::fs::write(&file, manifest).unwrap();
    let path = file.display().to_string();
    let output = portico(&["check", &path]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(
        said.contains(&format!("{path}:8: spec.source.builtin.name:"))
            && said.contains("did you mean 'files'"),
        "{said}"
    );
    let json = text(&portico(&["check", "--json", &path]).stdout);
    let finding: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!((finding["line"].as_i64(), finding["severity"].as_str()), (Some(8), Some("error")));
    assert_eq!(portico(&["check", &workspace("examples/quickstart")]).status.code(), Some(0));
    assert_eq!(portico(&["check", &workspace("examples/models")]).status.code(), Some(0));
    assert_eq!(portico(&["check", "--strict", &workspace("examples/scaling")]).status.code(), Some(0));
}

#[test]
fn a_reference_that_leads_out_of_the_folder_is_a_warning_unless_strict() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.yaml");
    let manifest = "apiVersion: portico.dev/v1alpha1\nkind: McpServer\nmetadata:\n  name: a\nspec:\n  source:\n    builtin:\n      name: files\n  envFrom:\n    - secretRef: elsewhere\n";
    std::fs::write(&file, manifest).unwrap();
    let path = file.display().to_string();
    let lenient = portico(&["check", &path]);
    let said = text(&lenient.stdout);
    assert!(lenient.status.success() && said.contains("warning:") && said.contains("elsewhere"), "{said}");
    assert_eq!(portico(&["check", "--strict", &path]).status.code(), Some(1));
}

#[test]
fn wrong_usage_has_the_exit_code_2_and_failures_have_1() {
    assert_eq!(refused(&["up"]).1, 2);
    assert_eq!(refused(&["serve", "nothing"]).1, 2);
    assert_eq!(refused(&["check", "/nonexistent/file"]).1, 1);
}

#[test]
fn a_setting_that_is_missing_is_named_with_what_to_set() {
    for (arguments, expected) in [
        (&["serve", "files"][..], "FILES_ALLOWED_DIRS"),
        (&["serve", "kroger"][..], "KROGER_CLIENT_ID"),
        (&["gateway", "--listen", "127.0.0.1:0"][..], "set KUBECONFIG"),
        (
            &["gateway", "--config", "/nonexistent", "--listen", "127.0.0.1:0"][..],
            "/nonexistent: it cannot be read",
        ),
        (&["gateway", "--config", &workspace("Cargo.toml"), "--listen", "127.0.0.1:0"][..], "it is not YAML"),
        (&["operator", "--listen", "127.0.0.1:0"][..], "set KUBECONFIG"),
        (&["bridge", "--", "no-such-program"][..], "`no-such-program`"),
    ] {
        let (said, code) = refused(arguments);
        assert!(code == 1 && said.starts_with("error: ") && said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn a_busy_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (said, code) = refused(&["standin", "kroger", "--listen", &address]);
    assert!(code == 1 && said.contains(&address), "{said}");
}

#[test]
fn the_bridge_installs_itself_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("bin");
    assert!(portico(&["bridge", "--install", &target.display().to_string()]).status.success());
    let names: Vec<_> = std::fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["portico"]);
    assert!(Command::new(target.join("portico")).arg("--version").output().unwrap().status.success());
}

#[test]
fn access_says_which_rule_decides_and_why_the_others_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gateway.yaml");
    let rules = "auth: {apiKeys: {folder: /nowhere}}
access:
  rules:
    - {name: admins, principals: ['key:admin'], effect: Allow}
    - {name: large, tools: [refund], when: 'arguments.amount > 100', effect: Approve}
    - {name: team, when: \"!('tills' in principal.claims.groups)\", effect: Deny}
";
    std::fs::write(&config, rules).unwrap();
    let config = config.display().to_string();
    let ask = |more: &[&str]| {
        let output = portico(&[&["access", "--config", &config, "shop/pos", "refund"], more].concat());
        (text(&output.stdout), output.status.code().unwrap())
    };
    let (said, code) = ask(&["--as", "key:till", "--arguments", r#"{"amount": 120}"#]);
    assert_eq!(code, 3, "{said}");
    for line in [
        "admins (Allow): `principals` does not hold",
        "large (Approve): holds",
        "team (Deny): `when` cannot be judged: there is no `groups`",
        "decision: approve by large",
        "listed: yes",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    let (said, code) = ask(&["--as", "key:admin", "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["decision"], &said["rule"]), (0, &"allow".into(), &"admins".into()));
    let claims = folder.path().join("claims.json");
    std::fs::write(&claims, r#"{"iss":"https://id.example.com","sub":"ada","groups":["tills"]}"#).unwrap();
    assert_eq!(ask(&["--claims", &claims.display().to_string(), "--arguments", r#"{"amount": 1}"#]).1, 0);
    assert!(refused(&["access", "--config", &config, "pos", "refund"]).0.contains("must be NAMESPACE/NAME"));
    assert!(
        refused(&["access", "--config", &config, "a/b", "c", "--arguments", "7"])
            .0
            .contains("--arguments: must be")
    );
}
