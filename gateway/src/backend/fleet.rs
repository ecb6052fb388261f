//! Keeps one supervisor for each server that the source names.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Backend;
use super::supervise::{self, ServerState};
use crate::core::Core;
use crate::source::{Kind, Server, ServerKey};

/// The servers that are supervised, and the models.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    members: HashMap<ServerKey, (Arc<Backend>, CancellationToken)>,
    models: HashMap<ServerKey, Arc<Backend>>,
}

impl Fleet {
    /// Starts, updates and stops supervisors so that they are those of `servers`. A model needs none: it has no lists.
    pub(crate) fn apply(&mut self, core: &Arc<Core>, servers: &[Server]) {
        let (models, servers): (Vec<&Server>, Vec<&Server>) =
            servers.iter().partition(|server| server.kind() == Kind::Model);
        self.apply_models(core, &models);
        let named: HashSet<&ServerKey> = servers.iter().map(|server| &server.key).collect();
        self.members.retain(|key, (backend, gone)| {
            let stays = named.contains(key);
            if !stays {
                gone.cancel();
                core.catalog.remove(key);
                core.forget_report(key);
                core.metrics.forget(key, &ServerState::NAMES);
                core.end_sessions(core.sessions.end_backend(backend.id()));
            }
            stays
        });
        for server in servers {
            match self.members.get(&server.key) {
                Some((backend, _)) => {
                    backend.update(server);
                    core.catalog.rebuild();
                }
                None => self.start(core, server),
            }
        }
        let backends = self.members.iter().map(|(key, (backend, _))| (key.clone(), Arc::clone(backend)));
        core.backends.store(Arc::new(backends.collect()));
    }

    fn apply_models(&mut self, core: &Core, models: &[&Server]) {
        let named: HashSet<&ServerKey> = models.iter().map(|model| &model.key).collect();
        self.models.retain(|key, _| {
            let stays = named.contains(key);
            if !stays {
                core.metrics.scaling.forget_model(key);
            }
            stays
        });
        for model in models {
            let known = self.models.entry(model.key.clone());
            known.or_insert_with(|| Arc::new(Backend::new(model))).update(model);
        }
        core.models.store(Arc::new(self.models.clone()));
        core.publish_models();
    }

    fn start(&mut self, core: &Arc<Core>, server: &Server) {
        let backend = Arc::new(Backend::new(server));
        let gone = core.shutdown.child_token();
        self.members.insert(server.key.clone(), (Arc::clone(&backend), gone.clone()));
        core.recall(&backend);
        core.report(&backend, ServerState::Waiting);
        let core_of_task = Arc::clone(core);
        core.spawn(async move {
            gone.run_until_cancelled(supervise::run(&core_of_task, &backend)).await;
        });
    }
}
