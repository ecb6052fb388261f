//! What a process prints: passed on line by line, and its end kept.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    sync::mpsc,
};

use crate::plan::Replica;

/// Lines that are kept.
const KEPT: usize = 20;
/// Bytes of a line that are kept.
const MAX_LINE: usize = 8 * 1024;

/// The last lines of a process, over all its runs.
#[derive(Clone, Debug)]
pub struct Output {
    last: Arc<Mutex<VecDeque<String>>>,
    lines: Option<(Replica, mpsc::Sender<(Replica, String)>)>,
}

impl Output {
    /// Keeps the last lines, and sends each one with its process to `lines`; who does not keep up misses some.
    #[must_use]
    pub fn new(lines: Option<(Replica, mpsc::Sender<(Replica, String)>)>) -> Self {
        Self { last: Arc::default(), lines }
    }

    /// The last lines, oldest first.
    #[must_use]
    pub fn last(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    /// Forgets what an earlier run printed.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Reads lines until `stream` ends.
    pub(super) async fn read(self, stream: impl AsyncRead + Unpin) {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while let Ok(bytes) = stream.fill_buf().await
            && !bytes.is_empty()
        {
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = &bytes[..end.unwrap_or(bytes.len())];
            line.extend_from_slice(&part[..part.len().min(MAX_LINE - line.len())]);
            let read = part.len() + usize::from(end.is_some());
            stream.consume(read);
            if end.is_some() {
                self.add(&std::mem::take(&mut line));
            }
        }
        self.add(&line);
    }

    fn add(&self, line: &[u8]) {
        let line = readable(line);
        if line.is_empty() {
            return;
        }
        if let Some((replica, lines)) = &self.lines {
            lines.try_send((replica.clone(), line.clone())).ok();
        }
        let mut last = self.lock();
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(line);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without colours and other control sequences, which would steer the terminal that shows the line.
fn readable(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    let mut text = String::with_capacity(line.len());
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            if rest.next_if_eq(&'[').is_some() {
                // A control sequence ends with a letter or one of a few signs.
                while rest.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
            }
        } else if c == '\t' || !c.is_control() {
            text.push(c);
        }
    }
    text.trim_end().to_owned()
}

/// The line that says most about a failure: the last one; of a log record its message.
#[must_use]
pub fn telling(lines: &[String]) -> Option<String> {
    let line = lines.last()?;
    let record = serde_json::from_str::<serde_json::Value>(line).ok();
    let message = record.as_ref().and_then(|record| record.get("message")?.as_str());
    Some(message.unwrap_or(line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_are_taken_out_of_lines() {
        assert_eq!(readable(b"\x1b[31;1mred\x1b[0m\tand\x07 plain \x1b"), "red\tand plain");
        assert_eq!(readable("größer\u{9b}".as_bytes()), "größer");
    }

    #[test]
    fn of_a_log_record_the_message_is_told() {
        let lines = |text: &str| telling(&["before".to_owned(), text.to_owned()]);
        assert_eq!(lines(r#"{"level":"ERROR","message":"no port"}"#).as_deref(), Some("no port"));
        assert_eq!(lines("error: no port").as_deref(), Some("error: no port"));
        assert_eq!(lines(r#"{"a":1}"#).as_deref(), Some(r#"{"a":1}"#));
        assert_eq!(telling(&[]), None);
    }

    #[tokio::test]
    async fn only_the_last_lines_are_kept_and_a_long_one_harms_no_other() {
        let mut text = (0..100).map(|number| number.to_string()).collect::<Vec<_>>().join("\n") + "\n";
        text.push_str(&"x".repeat(3 * MAX_LINE));
        text.push_str("\nthe end");
        let output = Output::new(None);
        output.clone().read(text.as_bytes()).await;
        let last = output.last();
        assert_eq!(last.len(), KEPT);
        assert_eq!(last.last().map(String::as_str), Some("the end"));
        assert!(
            last.iter().all(|line| line.len() <= MAX_LINE) && last.contains(&"99".to_owned()),
            "{last:?}"
        );
    }
}
