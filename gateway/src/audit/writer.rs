//! Writes lines beside the calls, to a file that may be moved away while it is written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::metrics::Metrics;

/// Lines that wait to be written. Beyond them lines are lost and counted: a slow disk must not hold up calls.
const MAX_WAITING: usize = 8192;
/// How long lines are gathered: each is written a little later, and the thread is not woken for each.
const GATHER: Duration = Duration::from_millis(5);
/// How often it is looked whether the file is still where it was.
const LOOK: Duration = Duration::from_millis(500);

enum Job {
    Line(String),
    Flush(oneshot::Sender<()>),
}

/// Hands lines to a thread that writes them; it ends when this is dropped and all is written.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: SyncSender<Job>,
    metrics: Arc<Metrics>,
}

impl Writer {
    /// Writes to the file at `path`; `-` is standard output.
    pub(super) fn start(path: &Path, metrics: Arc<Metrics>) -> Self {
        let (jobs, waiting) = sync_channel(MAX_WAITING);
        let (path, counted) = (path.to_owned(), Arc::clone(&metrics));
        let thread = std::thread::Builder::new().name("audit".into());
        let started = thread.spawn(move || Sink::new(path, counted).run(&waiting));
        if let Err(error) = started {
            tracing::error!(%error, "no thread can be started for the audit log, which stays empty");
        }
        Self { jobs, metrics }
    }

    pub(super) fn write(&self, line: String) {
        let lost = self.jobs.try_send(Job::Line(line)).is_err();
        self.metrics.audit.line(!lost);
    }

    pub(super) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.jobs.try_send(Job::Flush(done)).is_ok() {
            // The thread may have ended.
            written.await.ok();
        }
    }
}

/// Where lines go.
struct Sink {
    path: PathBuf,
    file: Option<File>,
    looked: Instant,
    failing: bool,
    metrics: Arc<Metrics>,
}

impl Sink {
    fn new(path: PathBuf, metrics: Arc<Metrics>) -> Self {
        let mut sink = Self { path, file: None, looked: Instant::now(), failing: false, metrics };
        // So that a path that cannot be written to is told at once.
        if !sink.is_standard_output() {
            let opened = sink.open().map(drop);
            sink.note(opened, 0);
        }
        sink
    }

    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            match jobs.recv_timeout(LOOK) {
                Ok(Job::Line(line)) => self.write(line, jobs),
                Ok(Job::Flush(done)) => {
                    done.send(()).ok();
                }
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Writes a line, and with it those that wait already.
    fn write(&mut self, mut text: String, jobs: &Receiver<Job>) {
        std::thread::sleep(GATHER);
        let (mut lines, mut flushed) = (1_u64, Vec::new());
        text.push('\n');
        while lines < MAX_WAITING as u64 {
            match jobs.try_recv() {
                Ok(Job::Line(line)) => {
                    text.push_str(&line);
                    text.push('\n');
                    lines += 1;
                }
                Ok(Job::Flush(done)) => flushed.push(done),
                Err(_) => break,
            }
        }
        if self.looked.elapsed() >= LOOK {
            self.look();
        }
        let written = self.put(text.as_bytes());
        self.note(written, lines);
        for done in flushed {
            // Whoever waited may have given up.
            done.send(()).ok();
        }
    }

    fn put(&mut self, text: &[u8]) -> io::Result<()> {
        if self.is_standard_output() {
            return io::stdout().lock().write_all(text);
        }
        let file = self.open()?;
        let before = file.metadata()?.len();
        // A disk that is full takes a part of the text: what is cut off would spoil the line after it.
        let mut file: &File = file;
        file.write_all(text).inspect_err(|_| drop(file.set_len(before)))
    }

    fn is_standard_output(&self) -> bool {
        self.path.as_os_str() == "-"
    }

    fn open(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            // It says who did what.
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
            return Ok(self.file.insert(file));
        }
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Lets go of a file that is not at its path any more.
    fn look(&mut self) {
        self.looked = Instant::now();
        let Some(file) = &self.file else { return };
        let same = |open: std::fs::Metadata, there: std::fs::Metadata| {
            (open.dev(), open.ino()) == (there.dev(), there.ino())
        };
        let stays = match (file.metadata(), std::fs::metadata(&self.path)) {
            (Ok(open), Ok(there)) => same(open, there),
            _ => false,
        };
        if !stays {
            self.file = None;
        }
    }

    /// Says once that lines are lost, and once that they are not any more.
    fn note(&mut self, written: io::Result<()>, lines: u64) {
        match written {
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::info!(path = %self.path.display(), "the audit log is written again");
            }
            Ok(()) => {}
            Err(error) => {
                self.file = None;
                self.metrics.audit.unwritten(lines);
                if !self.failing {
                    tracing::error!(path = %self.path.display(), %error, "the audit log cannot be written; lines are lost");
                }
                self.failing = true;
            }
        }
    }
}
