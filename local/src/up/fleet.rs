//! The processes of a plan. A new plan touches only what it changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    future::Future,
    path::PathBuf,
    pin::Pin,
};

use futures::future::join_all;
use tokio::sync::mpsc;

use super::board::Seen;
use crate::{
    plan::{Command, Fate, Id, Plan, Replica},
    process::{Keeper, Output, Policy, Process, Status, telling},
};

type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a process has to tell.
#[derive(Debug)]
pub struct News {
    replica: Replica,
    generation: u64,
    status: Status,
}

/// How processes are run.
#[derive(Debug)]
pub struct Settings {
    /// How keepers are started.
    pub keeper: Keeper,
    /// Times of every process.
    pub policy: Policy,
    /// Directory of this run.
    pub run_directory: PathBuf,
    /// Where to send what processes print, if anybody wants to see it.
    pub lines: Option<mpsc::Sender<(Replica, String)>>,
}

/// One process of the plan.
#[derive(Debug)]
struct Member {
    command: Command,
    generation: u64,
    process: Process,
    status: Status,
    /// Why it failed last, until it serves.
    trouble: Option<String>,
}

/// The running processes.
pub struct Fleet {
    settings: Settings,
    members: BTreeMap<Replica, Member>,
    leaving: BTreeMap<Replica, End>,
    news: mpsc::UnboundedSender<News>,
    generation: u64,
}

impl Fleet {
    /// No process yet; `news` gets every change.
    pub fn new(settings: Settings, news: mpsc::UnboundedSender<News>) -> Self {
        Self { settings, members: BTreeMap::new(), leaving: BTreeMap::new(), news, generation: 0 }
    }

    /// Starts, replaces and stops processes so that they are those of `plan` with the numbers that are `wanted`.
    pub fn apply(&mut self, plan: &Plan, wanted: impl Fn(&Id) -> BTreeSet<u32>) {
        let numbers: BTreeMap<&Id, BTreeSet<u32>> = plan.keys().map(|id| (id, wanted(id))).collect();
        let is_wanted = |replica: &Replica| {
            numbers.get(&replica.id).is_some_and(|numbers| numbers.contains(&replica.number))
        };
        let goes = |replica: &&Replica| !(stays(plan.get(&replica.id)) && is_wanted(replica));
        let gone: Vec<Replica> = self.members.keys().filter(goes).cloned().collect();
        for replica in gone {
            self.stop(&replica);
        }
        for (id, fate) in plan {
            let Fate::Run(commands) = fate else { continue };
            for (number, command) in commands {
                let replica = Replica { id: id.clone(), number: *number };
                if is_wanted(&replica) {
                    self.run(&replica, command);
                }
            }
        }
    }

    fn run(&mut self, replica: &Replica, command: &Command) {
        if self.members.get(replica).is_some_and(|member| member.command == *command) {
            return;
        }
        self.stop(replica);
        self.generation += 1;
        let (generation, news, of) = (self.generation, self.news.clone(), replica.clone());
        let before: End = self.leaving.remove(replica).unwrap_or_else(|| Box::pin(std::future::ready(())));
        let output = Output::new(self.settings.lines.clone().map(|lines| (replica.clone(), lines)));
        let how = (self.settings.keeper.clone(), self.settings.policy.clone());
        let process = Process::start(command.clone(), how, output, before, move |status| {
            // Nobody listens at the very end.
            news.send(News { replica: of.clone(), generation, status }).ok();
        });
        let (command, status) = (command.clone(), Status::Starting);
        self.members.insert(replica.clone(), Member { command, generation, process, status, trouble: None });
    }

    /// Stops a process, in the background. What it had on disk goes with it, as with a pod.
    fn stop(&mut self, replica: &Replica) {
        let Some(member) = self.members.remove(replica) else { return };
        let directory = replica.directory(&self.settings.run_directory);
        let end = member.process.stop();
        let task = tokio::spawn(async move {
            end.await;
            fs::remove_dir_all(directory).ok();
        });
        self.leaving.insert(replica.clone(), Box::pin(async move { drop(task.await) }));
    }

    /// Takes notice of news; those of a process that was replaced are none.
    pub fn note(&mut self, news: News) {
        let member = self.members.get_mut(&news.replica);
        let Some(member) = member.filter(|member| member.generation == news.generation) else { return };
        match &news.status {
            Status::Failed { reason, .. } => member.trouble = Some(reason.clone()),
            Status::Serving { .. } => member.trouble = None,
            Status::Starting => {}
        }
        member.status = news.status;
    }

    /// What can be seen of a workload's processes, by their numbers.
    pub fn seen(&self, id: &Id) -> Vec<Seen<'_>> {
        let (from, to) =
            (Replica { id: id.clone(), number: 0 }, Replica { id: id.clone(), number: u32::MAX });
        let members = self.members.range(from..=to);
        let seen = members.map(|(replica, member)| Seen {
            number: replica.number,
            status: &member.status,
            trouble: member.trouble.as_deref(),
            port: member.command.port,
            last_words: telling(&member.process.last_lines()),
        });
        seen.collect()
    }

    /// Numbers of a workload's processes that are at `urls`.
    pub fn numbers_at(&self, id: &Id, urls: &[String]) -> Vec<u32> {
        let ports: Vec<Option<u16>> = urls.iter().map(|url| port_of(url)).collect();
        let seen = self.seen(id).into_iter().filter(|process| ports.contains(&Some(process.port)));
        seen.map(|process| process.number).collect()
    }

    /// Whether a process serves.
    pub fn serves(&self, replica: &Replica) -> bool {
        self.members.get(replica).is_some_and(|member| matches!(member.status, Status::Serving { .. }))
    }

    /// The last lines of a workload's process: of the first that has failed, if one has.
    pub fn last_lines(&self, id: &Id) -> Vec<String> {
        let of = |member: &Member| member.process.last_lines();
        let mut members = self.members.iter().filter(|(replica, _)| replica.id == *id);
        let failed = members.clone().find(|(_, member)| member.trouble.is_some());
        failed.or_else(|| members.next()).map(|(_, member)| of(member)).unwrap_or_default()
    }

    /// Stops everything, and waits until nothing is left.
    pub async fn stop_all(&mut self) {
        let all: Vec<Replica> = self.members.keys().cloned().collect();
        for replica in all {
            self.stop(&replica);
        }
        join_all(std::mem::take(&mut self.leaving).into_values()).await;
    }
}

/// A workload that is blocked runs on as it is.
const fn stays(fate: Option<&Fate>) -> bool {
    matches!(fate, Some(Fate::Run(_) | Fate::Blocked(_)))
}

/// The port of a URL of ours, such as `http://127.0.0.1:20000/mcp`.
fn port_of(url: &str) -> Option<u16> {
    let (_, rest) = url.strip_prefix("http://")?.split_once(':')?;
    rest.split('/').next()?.parse().ok()
}
