//! Requests that arrive by the clock, whether or not those before have been answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use reqwest::Client;
use tokio::{sync::mpsc, time::Instant};

use crate::requests::Make;

/// Requests under way at once; one more is an error, since the server is over its limit then.
const MOST: u32 = 4_000;
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// So many requests a second for so long.
#[derive(Clone, Copy)]
pub struct Plan {
    pub rate: u32,
    pub seconds: u32,
}

/// One request: its kind, the time from when it was due to the end of its answer, and what was wrong.
type Taken = (&'static str, Duration, Option<String>);

/// What came of a plan.
pub struct Outcome {
    taken: Vec<(&'static str, Duration)>,
    errors: u64,
    pub problem: Option<String>,
}

impl Outcome {
    pub fn count(&self) -> u64 {
        u64::try_from(self.taken.len()).unwrap()
    }

    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// The time that this share of a hundred stayed below, of one kind or of all.
    pub fn percentile(&self, kind: Option<&str>, share: usize) -> Duration {
        let of_kind = self.taken.iter().filter(|(one, _)| kind.is_none_or(|kind| kind == *one));
        let mut times: Vec<Duration> = of_kind.map(|(_, time)| *time).collect();
        times.sort_unstable();
        times.get(times.len().saturating_sub(1) * share / 100).copied().unwrap_or_default()
    }
}

/// Carries a plan out.
pub async fn run(plan: Plan, make: &Make) -> Outcome {
    let http = Client::builder().pool_max_idle_per_host(512).timeout(PATIENCE).build().unwrap();
    let (told, mut outcomes) = mpsc::unbounded_channel();
    let under_way = Arc::new(AtomicU32::new(0));
    let start = Instant::now() + Duration::from_millis(50);
    for number in 0..plan.rate * plan.seconds {
        let due = start + Duration::from_secs(1) * number / plan.rate;
        tokio::time::sleep_until(due).await;
        let (kind, request) = make(&http);
        if under_way.load(Ordering::Relaxed) >= MOST {
            told.send((kind, due.elapsed(), Some("too many requests under way".to_owned()))).ok();
            continue;
        }
        under_way.fetch_add(1, Ordering::Relaxed);
        let (http, told, under_way) = (http.clone(), told.clone(), Arc::clone(&under_way));
        tokio::spawn(async move {
            let problem = ask(&http, request).await;
            under_way.fetch_sub(1, Ordering::Relaxed);
            told.send((kind, due.elapsed(), problem)).ok();
        });
    }
    drop(told);
    let mut outcome = Outcome { taken: Vec::new(), errors: 0, problem: None };
    while let Some((kind, time, problem)) = outcomes.recv().await as Option<Taken> {
        outcome.taken.push((kind, time));
        outcome.errors += u64::from(problem.is_some());
        outcome.problem = outcome.problem.or(problem);
    }
    outcome
}

/// Sends a request and reads its answer to the end; what was wrong.
async fn ask(http: &Client, request: reqwest::Request) -> Option<String> {
    match http.execute(request).await {
        Err(error) => Some(error.to_string()),
        Ok(answer) => {
            let status = answer.status();
            match answer.bytes().await {
                Ok(_) if status.is_success() => None,
                Ok(body) => Some(format!("{status} {}", String::from_utf8_lossy(&body))),
                Err(error) => Some(error.to_string()),
            }
        }
    }
}
