//! The processes of a plan. A new plan touches only what it changes.

use std::{collections::BTreeMap, fs, future::Future, path::PathBuf, pin::Pin};

use futures::future::join_all;
use tokio::sync::mpsc;

use super::board::Seen;
use crate::{
    plan::{Command, Fate, Id, Plan},
    process::{Keeper, Output, Policy, Process, Status, telling},
};

type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a process has to tell.
#[derive(Debug)]
pub struct News {
    id: Id,
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
    pub lines: Option<mpsc::Sender<(Id, String)>>,
}

/// One process of the plan.
#[derive(Debug)]
struct Member {
    command: Command,
    generation: u64,
    process: Process,
    status: Status,
}

/// The running processes.
pub struct Fleet {
    settings: Settings,
    members: BTreeMap<Id, Member>,
    leaving: BTreeMap<Id, End>,
    news: mpsc::UnboundedSender<News>,
    generation: u64,
}

impl Fleet {
    /// No process yet; `news` gets every change.
    pub fn new(settings: Settings, news: mpsc::UnboundedSender<News>) -> Self {
        Self { settings, members: BTreeMap::new(), leaving: BTreeMap::new(), news, generation: 0 }
    }

    /// Starts, replaces and stops processes so that they are those of `plan`.
    pub fn apply(&mut self, plan: &Plan) {
        let gone: Vec<Id> = self.members.keys().filter(|id| !stays(plan.get(id))).cloned().collect();
        for id in gone {
            self.stop(&id);
        }
        for (id, fate) in plan {
            if let Fate::Run(command) = fate {
                self.run(id, command);
            }
        }
    }

    fn run(&mut self, id: &Id, command: &Command) {
        if self.members.get(id).is_some_and(|member| member.command == *command) {
            return;
        }
        self.stop(id);
        self.generation += 1;
        let (generation, news, of) = (self.generation, self.news.clone(), id.clone());
        let before: End = self.leaving.remove(id).unwrap_or_else(|| Box::pin(std::future::ready(())));
        let output = Output::new(self.settings.lines.clone().map(|lines| (id.clone(), lines)));
        let how = (self.settings.keeper.clone(), self.settings.policy.clone());
        let process = Process::start(command.clone(), how, output, before, move |status| {
            // Nobody listens at the very end.
            news.send(News { id: of.clone(), generation, status }).ok();
        });
        let member = Member { command: command.clone(), generation, process, status: Status::Starting };
        self.members.insert(id.clone(), member);
    }

    /// Stops a process, in the background. What it had on disk goes with it, as with a pod.
    fn stop(&mut self, id: &Id) {
        let Some(member) = self.members.remove(id) else { return };
        let directory = id.directory(&self.settings.run_directory);
        let end = member.process.stop();
        let task = tokio::spawn(async move {
            end.await;
            fs::remove_dir_all(directory).ok();
        });
        self.leaving.insert(id.clone(), Box::pin(async move { drop(task.await) }));
    }

    /// Takes notice of news; those of a process that was replaced are none.
    pub fn note(&mut self, news: News) {
        if let Some(member) =
            self.members.get_mut(&news.id).filter(|member| member.generation == news.generation)
        {
            member.status = news.status;
        }
    }

    /// What can be seen of a workload's process, if it has one.
    pub fn seen(&self, id: &Id) -> Option<Seen<'_>> {
        let member = self.members.get(id)?;
        let last_words = telling(&member.process.last_lines());
        Some(Seen { status: &member.status, port: member.command.port, last_words })
    }

    /// The last lines of a workload's process.
    pub fn last_lines(&self, id: &Id) -> Vec<String> {
        self.members.get(id).map(|member| member.process.last_lines()).unwrap_or_default()
    }

    /// Stops everything, and waits until nothing is left.
    pub async fn stop_all(&mut self) {
        let all: Vec<Id> = self.members.keys().cloned().collect();
        for id in all {
            self.stop(&id);
        }
        join_all(std::mem::take(&mut self.leaving).into_values()).await;
    }
}

/// A workload that is blocked runs on as it is.
const fn stays(fate: Option<&Fate>) -> bool {
    matches!(fate, Some(Fate::Run(_) | Fate::Blocked(_)))
}
