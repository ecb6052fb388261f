//! One container's runs: started, probed, ended, started anew.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::board::{Ended, Role, State};
use super::launch::{self, Running};
use super::pod::Context;
use super::{Refusal, probe, status};

/// The pause before a restart doubles up to so many times the first.
const MOST_DOUBLED: u32 = 30;

/// Runs a container until it is not to be started again; its last exit code.
pub(super) async fn run(context: &Context, index: usize, container: &Container, role: Role) -> i32 {
    let runner = Runner { context, index, container, role };
    let mut pause = Pause::new(context.agent.options.restart_backoff);
    let mut code = 0;
    while !runner.ending().is_cancelled() {
        let begin = Instant::now();
        match runner.once().await {
            Ok(ended) if !runner.restarts(ended) || runner.ending().is_cancelled() => return ended,
            Ok(ended) => {
                code = ended;
                let wait = pause.after_run(begin.elapsed());
                runner.back_off(wait).await;
            }
            Err(refusal) => runner.wait_after(&refusal, pause.after_refusal()).await,
        }
    }
    code
}

struct Runner<'a> {
    context: &'a Context,
    index: usize,
    container: &'a Container,
    role: Role,
}

impl Runner<'_> {
    fn ending(&self) -> &CancellationToken {
        match self.role {
            Role::Sidecar => &self.context.sidecars_ending,
            Role::Init | Role::Main => &self.context.ending,
        }
    }

    fn restarts(&self, code: i32) -> bool {
        let spec = self.context.pod.spec.as_ref();
        match (self.role, spec.and_then(|spec| spec.restart_policy.as_deref()).unwrap_or("Always")) {
            (Role::Sidecar, _) | (Role::Main, "Always") => true,
            (_, "Never") => false,
            (Role::Init | Role::Main, _) => code != 0,
        }
    }

    /// One run, from the start to the end.
    async fn once(&self) -> Result<i32, Refusal> {
        let name = &self.container.name;
        let image = launch::image(self.context, self.container)
            .ok_or_else(|| Refusal::Image(self.container.image.clone().unwrap_or_default()))?;
        probe::check(self.container)?;
        let running = launch::start(self.context, self.container, &image).await?;
        let begin = status::now();
        self.context.board.update(self.index, |record| {
            record.restarts += i32::from(record.last.is_some());
            record.state = State::Running { since: begin, pid: running.pid };
        });
        self.context.tell("Started", format!("Container started: {name}"));
        let code = self.supervise(&running).await;
        let ended = Ended { code, begin, end: status::now() };
        self.context.board.update(self.index, |record| {
            (record.started, record.ready) = (false, false);
            record.last = Some(ended.clone());
            record.state = State::Ended(ended);
        });
        Ok(code)
    }

    async fn supervise(&self, running: &Running) -> i32 {
        tokio::select! {
            code = running.wait() => return code,
            why = probe::watch(self.context, self.index, self.container, running) => {
                self.context.tell("Killing", format!("Container {} {why}, will be restarted", self.container.name));
            }
            () = self.ending().cancelled() => {}
        }
        self.end(running).await
    }

    /// Asks first, and kills what has not ended in time.
    async fn end(&self, running: &Running) -> i32 {
        let gracefully = async {
            let hook = self.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
            if let Some(hook) = hook {
                self.pre_stop(running, hook).await;
            }
            running.ask();
            running.wait().await
        };
        let Ok(code) = timeout(self.context.grace(), gracefully).await else {
            running.kill();
            return running.wait().await;
        };
        code
    }

    async fn pre_stop(&self, running: &Running, hook: &LifecycleHandler) {
        if let Some(sleep) = &hook.sleep {
            tokio::time::sleep(Duration::from_secs(sleep.seconds.unsigned_abs())).await;
            return;
        }
        let target = probe::Target { context: self.context, container: self.container, running };
        if let Err(why) = target.handle(hook).await {
            self.context.tell("FailedPreStopHook", why);
        }
    }

    async fn back_off(&self, wait: Duration) {
        if wait.is_zero() {
            return;
        }
        let message = format!("back-off {wait:?} restarting failed container={}", self.container.name);
        self.waits("CrashLoopBackOff", message);
        self.pause(wait).await;
    }

    async fn wait_after(&self, refusal: &Refusal, wait: Duration) {
        self.waits(refusal.reason(), refusal.to_string());
        self.context.tell("Failed", refusal.to_string());
        self.pause(wait).await;
    }

    fn waits(&self, reason: &str, message: String) {
        let state = State::Waiting { reason: reason.to_owned(), message };
        self.context.board.update(self.index, |record| record.state = state);
    }

    async fn pause(&self, wait: Duration) {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.ending().cancelled() => {}
        }
    }
}

/// How long the next start waits.
struct Pause {
    first: Duration,
    next: Duration,
}

impl Pause {
    fn new(first: Duration) -> Self {
        Self { first, next: Duration::ZERO }
    }

    /// The first restart comes at once, the next after the first pause, and so on; a long run forgives all.
    fn after_run(&mut self, took: Duration) -> Duration {
        if took > self.first * MOST_DOUBLED * 2 {
            self.next = Duration::ZERO;
        }
        let wait = self.next;
        self.grow();
        wait
    }

    fn after_refusal(&mut self) -> Duration {
        self.next = self.next.max(self.first);
        let wait = self.next;
        self.grow();
        wait
    }

    fn grow(&mut self) {
        self.next = (self.next * 2).clamp(self.first, self.first * MOST_DOUBLED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_comes_at_once_and_later_pauses_double_up_to_thirty_times_the_first() {
        let first = Duration::from_secs(1);
        let mut pause = Pause::new(first);
        let waits: Vec<u64> = (0..8).map(|_| pause.after_run(Duration::ZERO).as_secs()).collect();
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(pause.after_run(Duration::from_secs(61)), Duration::ZERO);
    }

    #[test]
    fn what_could_not_start_is_never_tried_again_at_once() {
        let mut pause = Pause::new(Duration::from_secs(1));
        assert_eq!([pause.after_refusal(), pause.after_refusal()].map(|wait| wait.as_secs()), [1, 2]);
    }
}
