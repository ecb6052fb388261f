//! Other replicas. What waits for a client waits in the replica that asked; so what a client is given to answer with, the id of a
//! question or a ticket, holds the address of that replica, sealed, and any other one hands the answer on to it.

use axum::body::Body;
use axum::response::Response;
use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};

use super::door::Door;
use crate::core::Core;
use crate::envelope::{quoted, text};
use crate::rpc::{RpcError, code};

/// Says that a replica handed the request on: it is not handed on twice.
const FORWARDED: HeaderName = HeaderName::from_static("portico-forwarded");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Headers that belong to the client's own connection.
const OF_CONNECTION: [HeaderName; 5] =
    [CONNECTION, UPGRADE, CONTENT_LENGTH, TRANSFER_ENCODING, ACCEPT_ENCODING];
/// Binds a sealed text to its use.
const PURPOSE: &[u8] = b"portico question v1";
/// Bytes of a sealed id.
const MAX_ID: usize = 1024;

/// Who waits for an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// This replica, by this number.
    Own(u64),
    /// The replica at this URL.
    Other(String),
}

/// The id, as JSON, under which a client is asked question `number`.
pub(crate) fn id(core: &Core, number: u64) -> String {
    let Some(own) = &core.options.peer_url else { return number.to_string() };
    let plain = [&number.to_be_bytes(), own.as_bytes()].concat();
    core.keyring.seal_for(PURPOSE, &plain).map_or_else(|| number.to_string(), |sealed| quoted(&sealed))
}

/// Who asked the question with the id `raw`, as the client wrote it.
pub(crate) fn asker(core: &Core, raw: &str) -> Option<Asker> {
    if let Ok(number) = raw.parse() {
        return Some(Asker::Own(number));
    }
    let plain = core.keyring.open_for(PURPOSE, &text(raw)?, MAX_ID)?;
    let (number, url) = plain.split_first_chunk::<8>()?;
    let url = std::str::from_utf8(url).ok()?;
    if core.options.peer_url.as_deref() == Some(url) {
        return Some(Asker::Own(u64::from_be_bytes(*number)));
    }
    Some(Asker::Other(url.to_owned()))
}

/// What follows the number in a ticket: where this replica is.
pub(crate) fn own(core: &Core) -> &[u8] {
    core.options.peer_url.as_deref().unwrap_or_default().as_bytes()
}

/// Hands a message on to the replica at `url`, and its answer back.
pub(crate) async fn hand_on(
    door: &Door,
    headers: &HeaderMap,
    (url, text): (&str, &str),
) -> Result<Response, RpcError> {
    if headers.contains_key(&FORWARDED) {
        return Err(gone());
    }
    let mut request = Request::post(format!("{url}{}", door.name.path()));
    if let Some(all) = request.headers_mut() {
        all.extend(headers.clone());
        for header in OF_CONNECTION {
            all.remove(header);
        }
        all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        all.insert(FORWARDED, HeaderValue::from_static("1"));
        let whence = door.address.and_then(|address| HeaderValue::try_from(address.to_string()).ok());
        all.extend(whence.map(|whence| (FORWARDED_FOR, whence)));
    }
    let request = request.body(Body::from(text.to_owned())).map_err(|_| gone())?;
    match door.core.control.http.to_replica(request).await {
        Ok(response) => Ok(response.map(Body::new)),
        Err(error) => {
            tracing::warn!(%url, %error, "a client's answer could not be handed on to the replica that asked");
            Err(gone())
        }
    }
}

fn gone() -> RpcError {
    let message = "the replica of the gateway that asked is gone, and what waited there with it; call again";
    RpcError::new(code::INTERNAL, message).status(StatusCode::SERVICE_UNAVAILABLE)
}
