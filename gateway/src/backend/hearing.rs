//! What a legacy server says in the session of one client outside of any call: it is read while that client listens, and
//! passed on to its stream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::question::Question;
use super::session::Link;
use crate::core::Core;
use crate::envelope::Message;

/// Wait before a stream that the server ended is opened again.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads what `backend` says over `link`, if the client of `session` listens and nobody reads it yet.
pub(crate) fn start(core: &Arc<Core>, session: u128, (backend, link): (u64, &Link)) {
    let Some(ends) = core.ears.begin(session, (backend, link.endpoint.id)) else { return };
    let (core, link) = (Arc::clone(core), link.clone());
    core.clone().spawn(async move {
        let heard = ends.run_until_cancelled(hear(&core, session, (&link, &ends))).await;
        if let Some(Err(fault)) = heard {
            tracing::debug!(%fault, "what a server says outside of calls is not heard");
        }
        core.ears.end(session, (backend, &ends));
    });
}

async fn hear(
    core: &Arc<Core>,
    session: u128,
    (link, ends): (&Link, &CancellationToken),
) -> Result<(), Fault> {
    loop {
        // A server without such a stream says so, and one that lost the session too.
        let mut events = core.control.http.stream(link).await?;
        // One that breaks off is opened again like one that ends.
        while let Ok(Some(text)) = events.next().await {
            take(core, session, (link, ends), text).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn take(core: &Arc<Core>, session: u128, (link, ends): (&Link, &CancellationToken), text: String) {
    match Message::parse(&text) {
        Ok(Message::Request { .. }) => ask(core, session, (link, ends), text).await,
        Ok(Message::Notification { method, .. }) if is_for_client(&method) => {
            // A client that reads too slowly misses it.
            core.ears.say(session, Bytes::from(text)).ok();
        }
        _ => {}
    }
}

/// Changes of lists and resources are heard once for all clients.
fn is_for_client(method: &str) -> bool {
    matches!(method, "notifications/message" | "notifications/elicitation/complete")
}

async fn ask(core: &Arc<Core>, session: u128, (link, ends): (&Link, &CancellationToken), text: String) {
    let question = Question::new(core, link, text);
    match question.needed() {
        None => core.control.refuse(link, question.silent().as_str()).await,
        Some(needed) if !core.ears.can(session, needed) => question.refuse(),
        Some(_) => {
            let ends = ends.child_token();
            if let Some((_, message)) = question.pass_on(session, ends.clone())
                && core.ears.say(session, message).is_err()
            {
                ends.cancel();
            }
        }
    }
}
