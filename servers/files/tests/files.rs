//! The server over HTTP, through an MCP client of each era, on directories of its own.

use std::{fs, net::SocketAddr, os::unix::fs::symlink, path::Path};

use futures::future::join_all;
use portico_files::{Config, run_on};
use rmcp::{
    ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient, ServiceError,
    model::{
        CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, Implementation,
        ProtocolVersion, ReadResourceRequestParams, ResourceContents,
    },
    service::RunningService,
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use rstest::rstest;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

mod roots;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Era {
    Legacy,
    Modern,
}

/// An allowed directory and one beside it that is not.
struct World<H: ClientHandler = Plain> {
    allowed: TempDir,
    outside: TempDir,
    client: RunningService<RoleClient, H>,
    _stop: DropGuard,
}

#[derive(Clone)]
struct Plain;

impl ClientHandler for Plain {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(ClientCapabilities::default(), Implementation::new("test", "1"))
    }
}

fn config(dirs: &str, writable: bool, max_bytes: u64) -> Config {
    Config::from_env(&|name| match name {
        "FILES_ALLOWED_DIRS" => Some(dirs.to_owned()),
        "FILES_WRITABLE" => Some(writable.to_string()),
        "FILES_MAX_BYTES" => Some(max_bytes.to_string()),
        _ => None,
    })
    .unwrap()
}

async fn serve(config: Config) -> (SocketAddr, DropGuard) {
    rustls::crypto::ring::default_provider().install_default().ok();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(run_on(listener, config, stop.clone()));
    (address, stop.drop_guard())
}

async fn connect<H: ClientHandler>(
    address: SocketAddr,
    era: Era,
    handler: H,
) -> RunningService<RoleClient, H> {
    let config = StreamableHttpClientTransportConfig::with_uri(format!("http://{address}/mcp"));
    let transport = StreamableHttpClientTransport::with_client(reqwest::Client::new(), config);
    let mode = match era {
        Era::Legacy => ClientLifecycleMode::Initialize,
        Era::Modern => {
            ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
        }
    };
    handler.serve_with_lifecycle(transport, mode).await.unwrap()
}

async fn world(era: Era) -> World {
    world_of(era, true, 64 * 1024).await
}

async fn world_of(era: Era, writable: bool, max_bytes: u64) -> World {
    let (allowed, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("secret.txt"), "secret").unwrap();
    let (address, stop) = serve(config(&allowed.path().display().to_string(), writable, max_bytes)).await;
    World { allowed, outside, client: connect(address, era, Plain).await, _stop: stop }
}

impl<H: ClientHandler> World<H> {
    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.allowed.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    async fn try_call(&self, tool: &str, arguments: Value) -> Result<CallToolResult, ServiceError> {
        let params = CallToolRequestParams::new(tool.to_owned())
            .with_arguments(arguments.as_object().cloned().unwrap());
        self.client.call_tool(params).await
    }

    /// The structured answer, after checking it against the tool's output schema.
    async fn call(&self, tool: &str, arguments: Value) -> Value {
        let result = self.try_call(tool, arguments).await.unwrap();
        assert_ne!(result.is_error, Some(true), "{:?}", result.content);
        let answer = result.structured_content.unwrap();
        let tools = self.client.list_all_tools().await.unwrap();
        let schema = tools.iter().find(|listed| listed.name == tool).unwrap().output_schema.clone().unwrap();
        jsonschema::validate(&Value::Object((*schema).clone()), &answer).unwrap();
        answer
    }

    /// What the tool says in refusing.
    async fn refusal(&self, tool: &str, arguments: Value) -> String {
        let result = self.try_call(tool, arguments).await.unwrap();
        assert_eq!(result.is_error, Some(true), "{result:?}");
        result.content[0].as_text().unwrap().text.clone()
    }
}

#[rstest]
#[tokio::test]
async fn a_file_is_read_listed_found_and_described(#[values(Era::Legacy, Era::Modern)] era: Era) {
    let world = world(era).await;
    let path = world.put("docs/grüße.md", "# Grüße\n世界\n");
    let read = world.call("read_file", json!({"path": path})).await;
    assert_eq!(
        (read["text"].as_str(), read["media_type"].as_str()),
        (Some("# Grüße\n世界\n"), Some("text/markdown"))
    );
    let listed = world.call("list_directory", json!({"path": "docs"})).await;
    assert_eq!((&listed["entries"][0]["name"], &listed["total"]), (&json!("grüße.md"), &json!(1)));
    let found = world.call("search_files", json!({"name": "*.md", "content": "世"})).await;
    assert_eq!((&found["matches"][0]["line"], &found["matches"][0]["text"]), (&json!(2), &json!("世界")));
    let info = world.call("file_info", json!({"path": path})).await;
    assert_eq!((&info["kind"], &info["size"]), (&json!("file"), &json!(17)));
    let allowed = world.call("list_allowed_directories", json!({})).await;
    assert_eq!(
        allowed["directories"][0],
        json!(world.allowed.path().canonicalize().unwrap().display().to_string())
    );
}

#[rstest]
#[case::absolute_outside("{outside}/secret.txt", "outside the allowed directories")]
#[case::system("/etc/passwd", "outside the allowed directories")]
#[case::sibling_prefix("{allowed}-not/x", "outside the allowed directories")]
#[case::parent("../secret.txt", "must not contain `..`")]
#[case::parent_inside("{allowed}/a/../../secret.txt", "must not contain `..`")]
#[case::nul("a\0b", "NUL")]
#[case::empty("", "is empty")]
#[case::link_out("link-out", "leads outside")]
#[case::link_to_directory_out("dir-out/secret.txt", "leads outside")]
#[case::relative_link_out("relative-out", "leads outside")]
#[case::pipe("pipe", "is a pipe")]
#[case::socket("socket", "is a socket")]
#[case::directory("dir", "is a directory")]
#[case::missing("missing.txt", "does not exist")]
#[case::through_a_file("file/x", "is not a directory")]
#[case::loop_of_links("loop", "cannot read")]
#[tokio::test]
async fn a_path_that_leads_astray_is_refused_with_its_reason(#[case] path: &str, #[case] reason: &str) {
    let world = world(Era::Modern).await;
    let (allowed, outside) = (world.allowed.path(), world.outside.path());
    symlink(outside.join("secret.txt"), allowed.join("link-out")).unwrap();
    symlink(outside, allowed.join("dir-out")).unwrap();
    let outside_name = outside.file_name().unwrap();
    symlink(Path::new("..").join(outside_name).join("secret.txt"), allowed.join("relative-out")).unwrap();
    symlink("loop", allowed.join("loop")).unwrap();
    nix::unistd::mkfifo(&allowed.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(allowed.join("socket")).unwrap();
    fs::create_dir(allowed.join("dir")).unwrap();
    world.put("file", "x");
    let path = path
        .replace("{allowed}", &allowed.display().to_string())
        .replace("{outside}", &outside.display().to_string());
    let said = world.refusal("read_file", json!({"path": path})).await;
    assert!(said.contains(reason), "{said}");
    for (tool, arguments) in [
        ("write_file", json!({"path": path, "content": "owned"})),
        ("edit_file", json!({"path": path, "edits": [{"old_text": "secret", "new_text": "owned"}]})),
    ] {
        // A missing file may be written; everything else must not be.
        if !(tool == "write_file" && path == "missing.txt") {
            world.refusal(tool, arguments).await;
        }
    }
    assert_eq!(fs::read_to_string(outside.join("secret.txt")).unwrap(), "secret");
}

#[tokio::test]
async fn very_long_names_and_paths_are_refused() {
    let world = world(Era::Modern).await;
    let said = world.refusal("read_file", json!({"path": "n".repeat(256)})).await;
    assert!(said.contains("255 bytes"), "{said}");
    let said = world.refusal("read_file", json!({"path": "d/".repeat(2100)})).await;
    assert!(said.contains("4096 bytes"), "{said}");
}

#[tokio::test]
async fn a_link_that_stays_inside_may_be_read() {
    let world = world(Era::Modern).await;
    world.put("real.txt", "inside");
    symlink("real.txt", world.allowed.path().join("link.txt")).unwrap();
    assert_eq!(world.call("read_file", json!({"path": "link.txt"})).await["text"], "inside");
}

#[tokio::test]
async fn a_file_over_the_limit_is_read_in_parts_that_join_to_the_whole() {
    let world = world_of(Era::Modern, false, 1000).await;
    let whole: String = (0..700).map(|n| format!("zeile {n} ü\n")).collect();
    let path = world.put("big.txt", &whole);
    let said = world.refusal("read_file", json!({"path": path})).await;
    assert!(said.contains("offset and length"), "{said}");
    let (mut offset, mut joined) = (0, String::new());
    loop {
        let part = world.call("read_file", json!({"path": path, "offset": offset, "length": 999})).await;
        joined.push_str(part["text"].as_str().unwrap());
        offset = part["offset"].as_u64().unwrap() + part["length"].as_u64().unwrap();
        if part["more"] == false {
            break;
        }
    }
    assert_eq!(joined, whole);
}

#[rstest]
#[case(json!({"start_line": 2, "end_line": 3}), "two\nthree\n", 2, 3, true)]
#[case(json!({"start_line": 4}), "four", 4, 4, false)]
#[case(json!({"end_line": 1}), "one\n", 1, 1, true)]
#[tokio::test]
async fn a_range_of_lines_says_which_lines_it_gave(
    #[case] mut range: Value,
    #[case] text: &str,
    #[case] first: u64,
    #[case] last: u64,
    #[case] more: bool,
) {
    let world = world(Era::Modern).await;
    range["path"] = json!(world.put("lines.txt", "one\ntwo\nthree\nfour"));
    let part = world.call("read_file", range).await;
    assert_eq!(
        (&part["text"], &part["start_line"], &part["end_line"]),
        (&json!(text), &json!(first), &json!(last))
    );
    assert_eq!(part["more"], more);
}

#[rstest]
#[case(json!({"start_line": 9}), "start_line")]
#[case(json!({"start_line": 3, "end_line": 2}), "start_line")]
#[case(json!({"start_line": 1, "offset": 1}), "start_line")]
#[case(json!({"offset": 999}), "offset")]
#[case(json!({"length": 0}), "length")]
#[tokio::test]
async fn a_range_that_makes_no_sense_names_its_argument(#[case] mut range: Value, #[case] field: &str) {
    let world = world(Era::Modern).await;
    range["path"] = json!(world.put("lines.txt", "one\ntwo"));
    assert!(world.refusal("read_file", range).await.starts_with(&format!("{field}: ")));
}

#[tokio::test]
async fn what_is_not_text_comes_as_a_base64_resource() {
    let world = world(Era::Modern).await;
    let path = world.put("pixel.png", [0x89, b'P', b'N', b'G', 0, 0xFF]);
    let result = world.try_call("read_file", json!({"path": path})).await.unwrap();
    assert_eq!(result.structured_content.unwrap()["encoding"], "base64");
    let resource = &result.content[1].as_resource().unwrap().resource;
    let ResourceContents::BlobResourceContents { blob, mime_type, .. } = resource else {
        panic!("{resource:?}")
    };
    assert_eq!((blob.as_str(), mime_type.as_deref()), ("iVBORwD/", Some("image/png")));
}

#[tokio::test]
async fn writing_tools_are_missing_where_nothing_may_be_written() {
    let world = world_of(Era::Modern, false, 1000).await;
    let names: Vec<String> =
        world.client.list_all_tools().await.unwrap().iter().map(|tool| tool.name.to_string()).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    let error = world.try_call("write_file", json!({"path": "x", "content": ""})).await.unwrap_err();
    assert!(matches!(error, ServiceError::McpError(error) if error.code.0 == -32602));
    assert!(!world.allowed.path().join("x").exists());
}

#[tokio::test]
async fn annotations_tell_readers_from_writers() {
    let world = world(Era::Modern).await;
    for tool in world.client.list_all_tools().await.unwrap() {
        let annotations = tool.annotations.unwrap();
        let writes = matches!(tool.name.as_ref(), "write_file" | "edit_file");
        assert_eq!(annotations.read_only_hint, Some(!writes), "{}", tool.name);
        assert_eq!(annotations.destructive_hint.unwrap_or(false), writes);
        assert_eq!(annotations.open_world_hint, Some(false));
    }
}

#[tokio::test]
async fn a_write_creates_replaces_keeps_permissions_and_leaves_no_temporary_file() {
    use std::os::unix::fs::PermissionsExt;
    let world = world(Era::Modern).await;
    let said = world.refusal("write_file", json!({"path": "a/b.txt", "content": "1"})).await;
    assert!(said.contains("does not exist"), "{said}");
    let written = world
        .call("write_file", json!({"path": "a/b.txt", "content": "1", "create_directories": true}))
        .await;
    assert_eq!((&written["created"], &written["size"]), (&json!(true), &json!(1)));
    let path = world.allowed.path().join("a/b.txt");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let written =
        world.call("write_file", json!({"path": "a/b.txt", "content": "AP8=", "encoding": "base64"})).await;
    assert_eq!(written["created"], false);
    assert_eq!(fs::read(&path).unwrap(), [0, 0xFF]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    let said =
        world.refusal("write_file", json!({"path": "a/b.txt", "content": "2", "overwrite": false})).await;
    assert!(said.contains("exists"), "{said}");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    let said = world.refusal("write_file", json!({"path": "c", "content": "x".repeat(64 * 1024 + 1)})).await;
    assert!(said.starts_with("content: ") && said.contains("limit"), "{said}");
}

#[tokio::test]
async fn an_edit_replaces_exactly_and_a_dry_run_only_shows_the_diff() {
    let world = world(Era::Modern).await;
    let path = world.put("a.txt", "one\ntwo\nthree\n");
    let edits = json!([{"old_text": "two", "new_text": "2"}, {"old_text": "2\nthree", "new_text": "2\n3"}]);
    let shown = world.call("edit_file", json!({"path": path, "edits": edits, "dry_run": true})).await;
    assert_eq!((&shown["written"], &shown["replacements"]), (&json!(false), &json!(2)));
    assert!(shown["diff"].as_str().unwrap().contains("-two\n-three\n+2\n+3\n"), "{shown}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
    world.call("edit_file", json!({"path": path, "edits": edits})).await;
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\n2\n3\n");
}

#[rstest]
#[case(json!([{"old_text": "x", "new_text": ""}]), "edits[0].old_text: does not occur")]
#[case(json!([{"old_text": "a", "new_text": "b"}]), "edits[0].old_text: occurs 2 times")]
#[case(json!([{"old_text": "a a", "new_text": "b"}, {"old_text": "a a", "new_text": "c"}]), "edits[1].old_text: does not occur")]
#[case(json!([{"old_text": "", "new_text": "b"}]), "edits[0].old_text: is empty")]
#[case(json!([]), "edits: must have")]
#[case(json!([{"old_text": 1, "new_text": "b"}]), "edits[0].old_text: invalid type")]
#[tokio::test]
async fn an_edit_that_does_not_fit_changes_nothing(#[case] edits: Value, #[case] expected: &str) {
    let world = world(Era::Modern).await;
    let path = world.put("a.txt", "a a");
    let said = world.refusal("edit_file", json!({"path": path, "edits": edits})).await;
    assert!(said.starts_with(expected), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "a a");
}

#[tokio::test]
async fn no_edit_is_lost_among_many_at_once_and_no_reader_sees_half_a_file() {
    let world = world(Era::Modern).await;
    let path = world.put("counter.txt", "end");
    let edit = |n: usize| {
        let edits = json!([{"old_text": "end", "new_text": format!("{n}\nend")}]);
        world.try_call("edit_file", json!({"path": path, "edits": edits}))
    };
    let read = || world.try_call("read_file", json!({"path": path}));
    let edits = join_all((0..24).map(edit));
    let reads = join_all((0..24).map(|_| read()));
    let (edits, reads) = tokio::join!(edits, reads);
    assert!(edits.iter().all(|result| result.as_ref().unwrap().is_error != Some(true)));
    for result in reads {
        let text = result.unwrap().structured_content.unwrap()["text"].as_str().unwrap().to_owned();
        assert!(text.ends_with("end"), "{text:?}");
    }
    let lines = fs::read_to_string(&path).unwrap();
    let mut numbers: Vec<usize> = lines.lines().filter_map(|line| line.parse().ok()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..24).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_search_is_bounded_and_says_so_and_skips_what_is_not_text() {
    let world = world(Era::Modern).await;
    for n in 0..20 {
        world.put(&format!("many/{n:02}.txt"), "needle\n");
    }
    world.put("many/binary.bin", b"needle\0");
    let found =
        world.call("search_files", json!({"path": "many", "content": "needle", "max_results": 5})).await;
    assert_eq!(found["matches"].as_array().unwrap().len(), 5);
    assert_eq!(found["stopped_by"], "results");
    let found = world.call("search_files", json!({"content": "NEEDLE", "ignore_case": true})).await;
    assert_eq!((found["matches"].as_array().unwrap().len(), &found["files_skipped"]), (20, &json!(1)));
    assert_eq!(found["stopped_by"], Value::Null);
    let found = world.call("search_files", json!({"name": "many/*.bin"})).await;
    assert_eq!(found["matches"].as_array().unwrap().len(), 1);
    for (arguments, field) in
        [(json!({"content": "("}), "content"), (json!({"name": "[" }), "name"), (json!({}), "name")]
    {
        assert!(world.refusal("search_files", arguments).await.starts_with(&format!("{field}: ")));
    }
}

#[tokio::test]
async fn a_search_does_not_follow_links_out() {
    let world = world(Era::Modern).await;
    symlink(world.outside.path(), world.allowed.path().join("out")).unwrap();
    let found = world.call("search_files", json!({"content": "secret"})).await;
    assert_eq!(found["matches"], json!([]));
}

#[tokio::test]
async fn a_long_directory_is_listed_in_parts_by_name() {
    let world = world(Era::Modern).await;
    for name in ["c", "a", "b"] {
        world.put(name, "");
    }
    let first = world.call("list_directory", json!({"path": ".", "limit": 2})).await;
    assert_eq!((&first["entries"][0]["name"], &first["next_offset"]), (&json!("a"), &json!(2)));
    let rest = world.call("list_directory", json!({"path": ".", "offset": 2})).await;
    assert_eq!((&rest["entries"][0]["name"], &rest["next_offset"]), (&json!("c"), &Value::Null));
}

#[rstest]
#[tokio::test]
async fn files_are_resources_too(#[values(Era::Legacy, Era::Modern)] era: Era) {
    let world = world(era).await;
    world.put("a b.txt", "spaced");
    let listed = world.client.list_all_resources().await.unwrap();
    assert!(listed[0].uri.ends_with("/a%20b.txt"), "{}", listed[0].uri);
    let read =
        world.client.read_resource(ReadResourceRequestParams::new(listed[0].uri.clone())).await.unwrap();
    assert!(
        matches!(&read.contents[0], ResourceContents::TextResourceContents { text, .. } if text == "spaced")
    );
    let secret = format!("file://{}/secret.txt", world.outside.path().display());
    for uri in [secret.as_str(), "file:///etc/passwd", "https://example.com/", "nonsense"] {
        assert!(world.client.read_resource(ReadResourceRequestParams::new(uri)).await.is_err(), "{uri}");
    }
}

#[rstest]
#[case::nothing(&[], "FILES_ALLOWED_DIRS")]
#[case::missing(&[("FILES_ALLOWED_DIRS", "/no/such/directory")], "FILES_ALLOWED_DIRS")]
#[case::relative(&[("FILES_ALLOWED_DIRS", "here")], "FILES_ALLOWED_DIRS")]
#[case::file(&[("FILES_ALLOWED_DIRS", "/etc/hostname")], "FILES_ALLOWED_DIRS")]
#[case::flag(&[("FILES_ALLOWED_DIRS", "/"), ("FILES_WRITABLE", "maybe")], "FILES_WRITABLE")]
#[case::size(&[("FILES_ALLOWED_DIRS", "/"), ("FILES_MAX_BYTES", "0")], "FILES_MAX_BYTES")]
fn a_wrong_setting_names_its_variable(#[case] set: &[(&str, &str)], #[case] variable: &str) {
    let lookup =
        |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let error = Config::from_env(&lookup).unwrap_err();
    assert_eq!(error.variable, variable);
    assert!(!error.mend.is_empty());
}
