//! `portico fetch` as a pod runs it: a process of its own, with exit code and last words.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

/// SHA-256 of 'small'.
const SUM: &str = "81db8ebbbbc69c6c6ad4a6aa92b76e0c08af547da236b9e2c9dbe1d8285a8130";

/// Answers each connection with one of `answers`, and gives back what was asked.
fn server(answers: Vec<&'static str>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/small.gguf", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let answer = |answer: &str| {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let length = connection.read(&mut request).unwrap();
            connection.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        };
        answers.into_iter().map(answer).collect()
    });
    (url, asked)
}

fn fetch(folder: &Path, arguments: &[&str]) -> (Output, String) {
    let last_words = folder.join("last-words");
    let output = Command::new(env!("CARGO_BIN_EXE_portico"))
        .arg("fetch")
        .args(arguments)
        .args(["--into".as_ref(), folder.join("small.gguf").as_os_str()])
        .env("PORTICO_TERMINATION_LOG", &last_words)
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    (output, std::fs::read_to_string(last_words).unwrap_or_default())
}

#[test]
fn a_file_and_last_words_are_left_and_the_token_is_read_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();
    let (url, asked) = server(vec!["HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nsmall"]);
    let token = token.display().to_string();
    let (output, words) = fetch(folder.path(), &["--url", &url, "--sha256", SUM, "--token-file", &token]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(words, format!("Downloaded: 5 bytes with the SHA-256 that was asked for, {SUM}"));
    assert_eq!(std::fs::read_to_string(folder.path().join("small.gguf")).unwrap(), "small");
    assert!(asked.join().unwrap()[0].contains("authorization: Bearer s3cret"));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("s3cret"));
}

#[test]
fn the_exit_code_and_the_last_words_say_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let (url, _) = server(vec!["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"]);
    let (output, words) = fetch(folder.path(), &["--url", &url, "--sha256", SUM]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert_eq!(words, format!("NotFound: {url} does not exist (HTTP status 404): check spec.source.url"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error: http"), "{output:?}");
}

#[test]
fn a_file_of_a_url_needs_a_checksum_and_one_of_a_hub_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, missing) in [
        (vec!["--url", "https://a.example/x"], "--sha256"),
        (vec!["--hugging-face", "a/b"], "--file"),
        (vec!["--url", "https://a.example/x", "--sha256", "abc"], "64 hexadecimal digits"),
        (vec!["--sha256", SUM], "--url"),
    ] {
        let (output, words) = fetch(folder.path(), &arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(missing) && words.is_empty(), "{said}");
    }
}
