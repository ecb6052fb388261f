//! Many small look-ups as few large ones.

use std::{
    collections::HashMap,
    hash::Hash,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt};
use tokio::sync::{Semaphore, oneshot};

use super::error::{Class, Error};
use crate::trace::within_call;

/// What a look-up of many keys comes to: a value for each key that exists.
type Found<K, V> = Pin<Box<dyn Future<Output = Result<HashMap<K, V>, Error>> + Send>>;

/// Bounds of a [`Batch`].
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How long the first key of a look-up waits for others.
    pub wait: Duration,
    /// Keys in one look-up.
    pub keys: usize,
    /// Callers that may wait at once; one more is refused.
    pub callers: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { wait: Duration::from_millis(5), keys: 50, callers: 1_000 }
    }
}

/// Callers that wait for one key.
type Waiting<V> = Vec<oneshot::Sender<Result<Option<V>, Error>>>;

struct Queue<K, V> {
    keys: Vec<(K, Waiting<V>)>,
    /// Tells the look-up being gathered from those before it.
    number: u64,
}

struct Shared<K, V> {
    api: &'static str,
    bounds: Bounds,
    fetch: Box<dyn Fn(Vec<K>) -> Found<K, V> + Send + Sync>,
    queue: Mutex<Queue<K, V>>,
    callers: Semaphore,
}

/// Collects the keys that are asked for within a few milliseconds into one look-up.
pub struct Batch<K, V>(Arc<Shared<K, V>>);

impl<K, V> Clone for Batch<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Batch<K, V>
where
    K: Eq + Hash + Send + Sync + Clone + 'static,
    V: Clone + Send + 'static,
{
    /// Look-ups of `api` by `fetch`, which gets each key once and leaves out of its answer what does not exist.
    pub fn new(
        api: &'static str,
        bounds: Bounds,
        fetch: impl Fn(Vec<K>) -> Found<K, V> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            api,
            bounds,
            fetch: Box::new(fetch),
            queue: Mutex::new(Queue { keys: Vec::new(), number: 0 }),
            callers: Semaphore::new(bounds.callers),
        }))
    }

    /// The value of `key`; `None` where there is none. A caller that goes away ends nothing for the others.
    pub async fn get(&self, key: K) -> Result<Option<V>, Error> {
        let shared = &self.0;
        let Ok(_place) = shared.callers.try_acquire() else {
            return Err(Error::new(shared.api, Class::RateLimited, "too many look-ups wait already")
                .retry_after(Some(Duration::from_secs(1))));
        };
        let (answer, answered) = oneshot::channel();
        self.join(key, answer);
        answered
            .await
            .unwrap_or_else(|_| Err(Error::new(shared.api, Class::Server, "the look-up came to no end")))
    }

    fn join(&self, key: K, answer: oneshot::Sender<Result<Option<V>, Error>>) {
        let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, waiting)) = queue.keys.iter_mut().find(|(known, _)| *known == key) {
            waiting.push(answer);
            return;
        }
        queue.keys.push((key, vec![answer]));
        if queue.keys.len() >= self.0.bounds.keys {
            let full = queue.take();
            tokio::spawn(within_call(look_up(Arc::clone(&self.0), full)));
        } else if queue.keys.len() == 1 {
            tokio::spawn(within_call(wait_and_look_up(Arc::clone(&self.0), queue.number)));
        }
    }
}

impl<K, V> Queue<K, V> {
    fn take(&mut self) -> Vec<(K, Waiting<V>)> {
        self.number += 1;
        std::mem::take(&mut self.keys)
    }
}

async fn wait_and_look_up<K: Eq + Hash + Clone, V: Clone>(shared: Arc<Shared<K, V>>, number: u64) {
    tokio::time::sleep(shared.bounds.wait).await;
    let gathered = {
        let mut queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        // It was full before its time.
        if queue.number != number {
            return;
        }
        queue.take()
    };
    look_up(shared, gathered).await;
}

async fn look_up<K: Eq + Hash + Clone, V: Clone>(
    shared: Arc<Shared<K, V>>,
    mut gathered: Vec<(K, Waiting<V>)>,
) {
    // Whom nobody waits for any more is not asked for.
    gathered.retain(|(_, waiting)| waiting.iter().any(|answer| !answer.is_closed()));
    if gathered.is_empty() {
        return;
    }
    let found = (shared.fetch)(gathered.iter().map(|(key, _)| key.clone()).collect()).await;
    for (key, waiting) in gathered {
        let answer = found.as_ref().map(|found| found.get(&key).cloned()).map_err(Clone::clone);
        for caller in waiting {
            // A caller that has gone away needs no answer.
            let _ = caller.send(answer.clone());
        }
    }
}

/// Runs the calls side by side, `at_most` at once (at least one); their results in their order.
pub async fn fetch_all<T>(
    calls: impl IntoIterator<Item = impl Future<Output = Result<T, Error>>>,
    at_most: usize,
) -> Vec<Result<T, Error>> {
    in_order(futures::stream::iter(calls), at_most).collect().await
}

fn in_order<T>(calls: impl Stream<Item = impl Future<Output = T>>, at_most: usize) -> impl Stream<Item = T> {
    calls.buffered(at_most.max(1))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::{FutureExt, future::join_all};

    use super::*;

    /// The keys of each look-up.
    type Asked = Arc<Mutex<Vec<Vec<u32>>>>;

    /// Answers the even numbers with their double, and notes what it was asked.
    fn doubled(bounds: Bounds) -> (Batch<u32, u32>, Asked) {
        let asked = Asked::default();
        let note = Arc::clone(&asked);
        let batch = Batch::new("Shop", bounds, move |keys: Vec<u32>| {
            note.lock().unwrap().push(keys.clone());
            let even = keys.into_iter().filter(|key| key % 2 == 0);
            let found = even.map(|key| (key, key * 2)).collect();
            async move { Ok(found) }.boxed()
        });
        (batch, asked)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_together_is_one_call_and_each_key_is_in_it_once() {
        let (batch, asked) = doubled(Bounds::default());
        let found = join_all([2, 3, 2, 4].map(|key| batch.get(key))).await;
        assert_eq!(found, [Ok(Some(4)), Ok(None), Ok(Some(4)), Ok(Some(8))]);
        assert_eq!(*asked.lock().unwrap(), [[2, 3, 4]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_is_made_under_the_id_of_who_asks_first() {
        use crate::caller::Correlation;
        for keys in [1, 10] {
            let batch = Batch::new("Shop", Bounds { keys, ..Bounds::default() }, |keys: Vec<u32>| {
                let id = Correlation::current().map(|id| id.to_string());
                async move { Ok(keys.into_iter().zip(id).collect()) }.boxed()
            });
            let id = Correlation::new();
            assert_eq!(id.clone().scope(batch.get(1)).await.unwrap(), Some(id.to_string()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_call_goes_at_once_and_the_rest_in_its_own_time() {
        let (batch, asked) = doubled(Bounds { keys: 2, wait: Duration::from_hours(1), ..Bounds::default() });
        let begun = tokio::time::Instant::now();
        join_all([2, 4].map(|key| batch.get(key))).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        tokio::time::advance(Duration::from_mins(30)).await;
        batch.get(6).await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 90 * 60);
        assert_eq!(*asked.lock().unwrap(), [vec![2, 4], vec![6]]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_caller_too_many_is_refused_and_none_is_forgotten() {
        let (batch, _) = doubled(Bounds { callers: 2, ..Bounds::default() });
        let found = join_all([2, 4, 6].map(|key| batch.get(key))).await;
        assert_eq!((&found[0], &found[1]), (&Ok(Some(4)), &Ok(Some(8))));
        assert_eq!(found[2].as_ref().unwrap_err().class(), Class::RateLimited);
        assert_eq!(batch.get(8).await, Ok(Some(16)));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_goes_away_is_not_asked_for_and_takes_nobody_along() {
        let (batch, asked) = doubled(Bounds::default());
        {
            let mut gone = std::pin::pin!(batch.get(2));
            assert!(gone.as_mut().now_or_never().is_none());
        }
        assert_eq!(batch.get(4).await, Ok(Some(8)));
        assert_eq!(*asked.lock().unwrap(), [[4]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_reaches_every_caller() {
        let fetch = |_: Vec<u32>| async { Err(Error::new("Shop", Class::Server, "down")) }.boxed();
        let batch: Batch<u32, u32> = Batch::new("Shop", Bounds::default(), fetch);
        let found = join_all([1, 2].map(|key| batch.get(key))).await;
        assert!(found.iter().all(|found| found.as_ref().is_err_and(|error| error.reason() == "down")));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_side_by_side_are_bounded_and_keep_their_order() {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (running, most) = (&running, &most);
        let calls = (0..20u64).map(|n| async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // The later, the sooner done.
            tokio::time::sleep(Duration::from_millis(100 - n)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(n)
        });
        let found: Vec<u64> = fetch_all(calls, 4).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(found, (0..20).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 4);
    }
}
