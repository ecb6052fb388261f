//! Tasks (extension `io.modelcontextprotocol/tasks`, SEP-2663) between clients and servers without sessions: a server may answer
//! a call with a task, about which the client asks later. The task's id is sealed with the name of its server and of whoever may
//! ask, so that any replica finds the server, and nobody else's id is of use.

use crate::core::Core;
use crate::envelope::{Edits, Object, quoted};
use crate::source::ServerKey;

/// Binds a sealed text to its use, before the principal that it is for.
const PURPOSE: &[u8] = b"portico task v1";
/// Bytes of a server's id, and of what it becomes.
const MAX_ID: usize = 1024;
const MAX_SEALED: usize = 4096;

/// The id that a client gets of the task that `server` calls `id`.
pub(crate) fn seal(core: &Core, principal: u128, server: &ServerKey, id: &str) -> Option<String> {
    if id.len() > MAX_ID {
        return None;
    }
    core.keyring.seal_for(&purpose(principal), format!("{server}/{id}").as_bytes())
}

/// The server of the task, and what it calls it; none if it is none of this principal's.
pub(crate) fn open(core: &Core, principal: u128, sealed: &str) -> Option<(ServerKey, String)> {
    let plain = core.keyring.open_for(&purpose(principal), sealed, MAX_SEALED)?;
    let plain = String::from_utf8(plain).ok()?;
    let mut parts = plain.splitn(3, '/').map(str::to_owned);
    let (namespace, name, id) = (parts.next()?, parts.next()?, parts.next()?);
    Some((ServerKey { namespace, name }, id))
}

fn purpose(principal: u128) -> Vec<u8> {
    [PURPOSE, &principal.to_be_bytes()].concat()
}

/// Gives the task of a result the id that its client knows, or is to know; whether it could.
pub(crate) fn rename(
    edits: &mut Edits<'_>,
    result: &Object<'_>,
    exposed: impl Fn(&str) -> Option<String>,
) -> bool {
    let Some((raw, id)) = result.get("taskId").zip(result.string("taskId")) else { return true };
    match exposed(&id) {
        Some(id) => {
            edits.replace(raw, quoted(&id));
            true
        }
        None => false,
    }
}
