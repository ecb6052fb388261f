//! The state of a run, and what each event does to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use portico_gateway::{
    ServerReport,
    scaling::{Change, Error},
    source::Servers,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    Options,
    board::Scene,
    fleet::{Fleet, News, Settings},
    keys,
    load::{Folder, Loaded},
    ports::Ports,
    print::Printer,
    replicas::Replicas,
    row::{Rows, State, changes},
    run_directory::RunDirectory,
    scaler::{What, Wish},
    secrets::FolderSecrets,
    watch::Watch,
};
use crate::{
    manifest::{Key, Objects, Problem},
    plan::{Fate, Id, Machine, Plan, Replica, plan, workloads},
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
    lines: mpsc::Receiver<(Replica, String)>,
    wishes: mpsc::Receiver<Wish>,
    ports: Ports,
    replicas: Replicas,
    objects: Objects,
    plan: Plan,
    problems: Vec<Problem>,
    rows: Rows,
    /// Whether the last that was said of the folder is that it cannot be read.
    unreadable: bool,
    empty: bool,
    models: BTreeSet<Key>,
    /// Servers at zero whose tools are not known, and when they are started once more.
    unknown: BTreeMap<Key, std::time::Instant>,
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
        wishes: mpsc::Receiver<Wish>,
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
            replicas: Replicas::default(),
            unknown: BTreeMap::new(),
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
            wishes,
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

    /// The manifests are others than before.
    fn replan(&mut self) {
        let fleet = &self.fleet;
        self.replicas.follow(&self.objects, |replica| fleet.serves(replica));
        let before = std::mem::take(&mut self.plan);
        self.plan = self.planned();
        // What a server at zero can do may be something else now.
        for key in edited(&before, &self.plan) {
            self.replicas.learn(key);
        }
        self.carry_out();
        self.tell_of_folder();
    }

    fn planned(&mut self) -> Plan {
        let replicas = workloads(&self.objects).into_iter().flat_map(|id| {
            // The first has a port in any case: URLs of its Service lead there.
            let numbers = self.replicas.numbers(&id).into_iter().chain([0]);
            numbers.map(|number| Replica { id: id.clone(), number }).collect::<Vec<_>>()
        });
        let machine = Machine {
            portico: &self.options.portico,
            run_directory: &self.run_directory,
            state_directory: &self.options.state_directory,
            ports: self.ports.assign(replicas),
            find_program: &find_program,
        };
        plan(&self.objects, &machine)
    }

    /// Has the processes run that there should be, and tells who wants to know.
    fn carry_out(&mut self) {
        self.fleet.apply(&self.plan, |id| self.replicas.numbers(id));
        let (plan, fleet) = (&self.plan, &self.fleet);
        self.replicas.retain(|key| {
            let id = Id::Server(key.clone());
            match plan.get(&id) {
                Some(Fate::Run(_)) => true,
                Some(Fate::Blocked(_)) => !fleet.seen(&id).is_empty(),
                _ => false,
            }
        });
        self.refresh();
    }

    /// Gives servers another number of processes than before, without a change of manifests.
    fn rescale(&mut self) {
        self.plan = self.planned();
        self.carry_out();
    }

    /// Does what the gateway asks for, and says whether it was done.
    fn fulfil(&mut self, Wish { key, what, answer }: Wish) {
        let done = match what {
            What::Scale(change) => self.scale(&key, change),
            What::Drain { urls, draining } => {
                let numbers = self.fleet.numbers_at(&Id::Server(key.clone()), &urls);
                let done = self.replicas.drain(&key, &numbers, draining);
                self.refresh();
                done
            }
        };
        // Who asked may have gone.
        answer.send(done).ok();
    }

    fn scale(&mut self, key: &Key, change: Change) -> Result<(), Error> {
        let id = Id::Server(key.clone());
        if let (Some(Fate::Blocked(reason)), true) = (self.plan.get(&id), change.to > change.from) {
            return Err(Error::Failed(reason.clone()));
        }
        let fleet = &self.fleet;
        let serves = |number| fleet.serves(&Replica { id: id.clone(), number });
        self.replicas.scale((key, change), serves)?;
        self.rescale();
        Ok(())
    }

    /// Starts servers at zero whose tools are not known, when that is due.
    fn learn(&mut self) {
        let now = std::time::Instant::now();
        for (key, _) in self.unknown.iter().filter(|(_, due)| **due <= now) {
            self.replicas.learn(key);
        }
        self.rescale();
    }

    fn tell_of_folder(&mut self) {
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
            let learning = self.unknown.values().min().map(|due| Instant::from_std(*due));
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
                Some(wish) = self.wishes.recv() => self.fulfil(wish),
                Some((replica, line)) = self.lines.recv() => self.printer.output(&replica, &line),
                () = until(due) => self.summarise(),
                () = until(learning) => self.learn(),
            }
        }
    }

    /// Tells the gateway and the reader what is different.
    fn refresh(&mut self) {
        let reports = Arc::clone(&self.reports.borrow_and_update());
        let scene = Scene {
            objects: &self.objects,
            plan: &self.plan,
            replicas: &self.replicas,
            processes: self.plan.keys().map(|id| (id, self.fleet.seen(id))).collect(),
            reports: &reports,
            now: std::time::Instant::now(),
        };
        let (servers, rows, unknown) = (scene.servers(), self.explained(scene.rows()), scene.unknown());
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
        (self.rows, self.unknown) = (rows, unknown);
        let settled = !self.rows.is_empty() && self.rows.values().all(|row| row.state != State::Starting);
        if self.summary_due.is_some() && settled {
            self.summarise();
        }
    }

    /// `rows`, but as it was what has changed for a reason that is still on its way.
    fn explained(&self, mut rows: Rows) -> Rows {
        for (id, row) in &mut rows {
            let waits = row.scale.as_ref().is_some_and(|scale| scale.is_unexplained);
            if let Some(before) = self.rows.get(id).filter(|_| waits) {
                row.clone_from(before);
            }
        }
        rows
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
        // Nothing is started any more, and nobody waits for an answer.
        drop(self.wishes);
        gateway.await;
        self.fleet.stop_all().await;
        self.printer.stopped();
    }
}

/// Servers whose first command is another one than it was.
fn edited<'a>(before: &Plan, now: &'a Plan) -> Vec<&'a Key> {
    let is_edited = |(id, fate): &(&'a Id, &'a Fate)| match (before.get(id), fate) {
        (Some(Fate::Run(before)), Fate::Run(now)) => before.get(&0) != now.get(&0),
        _ => false,
    };
    now.iter().filter(is_edited).map(|(id, _)| id.key()).collect()
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
