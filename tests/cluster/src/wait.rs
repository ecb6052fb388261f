//! Waiting for a condition, with a deadline.

use std::future::Future;
use std::time::{Duration, Instant};

use kube::core::object::HasStatus;

use crate::Error;

/// How long to pause between two looks. Short beside what is waited for, long beside one request.
const PAUSE: Duration = Duration::from_millis(40);

/// Looks again and again until `check` finds something, or the deadline passes.
///
/// An error of `check` is not final (an object may not exist yet); the last one is part of the message when the
/// time is up. `what` completes the sentence "… : not within 10s".
pub async fn wait_for<T, E, F, Fut>(what: &str, deadline: Duration, mut check: F) -> Result<T, Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>, E>>,
    E: std::fmt::Display,
{
    let begin = Instant::now();
    let mut last = String::new();
    while begin.elapsed() < deadline {
        let left = deadline.saturating_sub(begin.elapsed());
        match tokio::time::timeout(left, check()).await {
            Ok(Ok(Some(found))) => return Ok(found),
            Ok(Ok(None)) => last.clear(),
            Ok(Err(error)) => last = format!("; the last answer was: {error}"),
            Err(_) if last.is_empty() => last = String::from("; the last look did not end"),
            Err(_) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Error::Late { what: what.to_owned(), deadline, last })
}

/// Looks at the object `name` again and again until it is as `wanted`, or the deadline passes; its status as it was last
/// seen is part of the message then.
pub async fn wait_until<K>(
    api: &kube::Api<K>,
    (name, what): (&str, &str),
    deadline: Duration,
    wanted: impl Fn(&K) -> bool,
) -> Result<K, Error>
where
    K: HasStatus<Status: serde::Serialize> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    wait_for(&format!("{name}: {what}"), deadline, async || {
        let object = api.get(name).await.map_err(|error| error.to_string())?;
        let seen = serde_json::to_string(&object.status()).map_err(|error| error.to_string())?;
        if wanted(&object) { Ok(Some(object)) } else { Err(seen) }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_found_at_the_third_look_is_returned() {
        let mut looks = 0;
        let found = wait_for("three", Duration::from_secs(1), || {
            looks += 1;
            let now = looks;
            async move { Ok::<_, String>((now == 3).then_some(now)) }
        })
        .await;
        assert_eq!(found.unwrap(), 3);
    }

    #[tokio::test]
    async fn being_late_names_the_thing_and_the_last_error() {
        let deadline = Duration::from_millis(60);
        let late = wait_for("the moon", deadline, || async { Err::<Option<()>, _>("no cheese") }).await;
        let message = late.unwrap_err().to_string();
        assert!(message.contains("the moon") && message.contains("no cheese"), "{message}");
    }
}
