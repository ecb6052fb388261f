//! The state of a run, and what each event does to it.

use std::{
    collections::BTreeSet,
    future::Future,
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use portico_gateway::{ServerReport, source::Servers};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    Options,
    board::{Rows, Scene, State, changes},
    fleet::{Fleet, News, Settings},
    keys,
    load::{Folder, Loaded},
    ports::Ports,
    print::Printer,
    run_directory::RunDirectory,
    secrets::FolderSecrets,
    watch::Watch,
};
use crate::{
    manifest::{Key, Objects, Problem},
    plan::{Machine, Plan, plan, workloads},
    process::{Keeper, Policy},
};

/// When all servers are shown at the latest; those that are still starting are shown as such.
const SUMMARY_WITHIN: Duration = Duration::from_secs(5);
/// Lines of output that wait to be shown.
const LINES: usize = 1024;

type Reports = watch::Receiver<Arc<Vec<ServerReport>>>;

/// Everything of a run but the gateway.
pub struct System {
    options: Options,
    url: String,
    folder: Folder,
    printer: Printer,
    run_directory: PathBuf,
    secrets: Arc<FolderSecrets>,
    servers: watch::Sender<Servers>,
    reports: Reports,
    fleet: Fleet,
    news: mpsc::UnboundedReceiver<News>,
    lines: mpsc::Receiver<(crate::plan::Id, String)>,
    ports: Ports,
    objects: Objects,
    plan: Plan,
    problems: Vec<Problem>,
    rows: Rows,
    /// Whether the last that was said of the folder is that it cannot be read.
    unreadable: bool,
    empty: bool,
    models: BTreeSet<Key>,
    summary_due: Option<Instant>,
}

impl System {
    /// Nothing runs yet.
    pub fn new(
        (options, url): (Options, String),
        folder: Folder,
        printer: Printer,
        (run_directory, secrets, servers, reports): (
            &RunDirectory,
            Arc<FolderSecrets>,
            watch::Sender<Servers>,
            Reports,
        ),
    ) -> Self {
        let (news_sender, news) = mpsc::unbounded_channel();
        let (line_sender, lines) = mpsc::channel(LINES);
        let policy = Policy::default();
        let settings = Settings {
            keeper: keeper(&options.portico, policy.grace),
            policy,
            run_directory: run_directory.path().to_owned(),
            lines: options.verbose.then_some(line_sender),
        };
        Self {
            summary_due: (!printer.is_json()).then(|| Instant::now() + SUMMARY_WITHIN),
            fleet: Fleet::new(settings, news_sender),
            run_directory: run_directory.path().to_owned(),
            ports: Ports::default(),
            objects: Objects::default(),
            plan: Plan::new(),
            problems: Vec::new(),
            rows: Rows::new(),
            unreadable: false,
            empty: false,
            models: BTreeSet::new(),
            options,
            url,
            folder,
            printer,
            secrets,
            servers,
            reports,
            news,
            lines,
        }
    }

    /// Takes over what the folder says now.
    pub fn load(&mut self, loaded: io::Result<Loaded>) {
        let Loaded { objects, problems } = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                if !std::mem::replace(&mut self.unreadable, true) {
                    self.printer.unreadable(&self.options.path, &error);
                }
                return;
            }
        };
        let readable_again = std::mem::take(&mut self.unreadable) && problems.is_empty();
        if problems != self.problems || readable_again {
            self.printer.problems(&problems);
            self.problems = problems;
        }
        if let Some(mut objects) = objects {
            keys::add(&mut objects, &self.options.state_directory);
            self.secrets.set(&objects.secrets);
            self.objects = objects;
            self.replan();
        }
    }

    fn replan(&mut self) {
        let machine = Machine {
            portico: &self.options.portico,
            run_directory: &self.run_directory,
            state_directory: &self.options.state_directory,
            ports: self.ports.assign(&workloads(&self.objects)),
            find_program: &find_program,
        };
        self.plan = plan(&self.objects, &machine);
        self.fleet.apply(&self.plan);
        self.refresh();
        let empty = self.objects.servers.is_empty();
        if empty && !self.empty {
            self.printer.empty(&self.options.path);
        }
        self.empty = empty;
        let models: BTreeSet<Key> = self.objects.models_for_clusters().cloned().collect();
        for model in models.difference(&self.models) {
            self.printer.not_run(model);
        }
        self.models = models;
    }

    /// Does what each event asks for, for ever.
    pub async fn follow(&mut self, mut watch: Watch) {
        loop {
            let due = self.summary_due;
            tokio::select! {
                () = watch.changed() => {
                    let loaded = self.folder.load();
                    self.load(loaded);
                }
                Some(news) = self.news.recv() => {
                    self.fleet.note(news);
                    self.refresh();
                }
                Ok(()) = self.reports.changed() => self.refresh(),
                Some((id, line)) = self.lines.recv() => self.printer.output(&id, &line),
                () = until(due) => self.summarise(),
            }
        }
    }

    /// Tells the gateway and the reader what is different.
    fn refresh(&mut self) {
        let reports = Arc::clone(&self.reports.borrow_and_update());
        let process = |id| Some((id, self.fleet.seen(id)?));
        let scene = Scene {
            objects: &self.objects,
            plan: &self.plan,
            processes: self.plan.keys().filter_map(process).collect(),
            reports: &reports,
        };
        let (servers, rows) = (scene.servers(), scene.rows());
        self.servers.send_if_modified(|known| {
            let differs = **known != servers;
            if differs {
                *known = Arc::new(servers);
            }
            differs
        });
        if self.summary_due.is_none() {
            self.tell(&rows);
        }
        self.rows = rows;
        let settled = !self.rows.is_empty() && self.rows.values().all(|row| row.state != State::Starting);
        if self.summary_due.is_some() && settled {
            self.summarise();
        }
    }

    fn tell(&mut self, rows: &Rows) {
        for (id, row) in changes(&self.rows, rows) {
            // With --verbose they were shown as they came.
            let last_lines = if self.options.verbose { Vec::new() } else { self.fleet.last_lines(id) };
            self.printer.change(id, row, &last_lines);
        }
    }

    fn summarise(&mut self) {
        self.summary_due = None;
        self.printer.summary(&self.rows, &self.url, &self.options.path);
    }

    /// Ends everything, after the gateway.
    pub async fn stop(mut self, gateway: impl Future<Output = ()>) {
        self.printer.stopping();
        gateway.await;
        self.fleet.stop_all().await;
        self.printer.stopped();
    }
}

fn keeper(portico: &Path, grace: Duration) -> Keeper {
    let grace = grace.as_millis().to_string();
    let args = ["keep", "--grace", &grace, "--"].map(str::to_owned).to_vec();
    Keeper { program: portico.to_owned(), args }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// As the shell would find it.
fn find_program(name: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(is_program);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(is_program)
}
