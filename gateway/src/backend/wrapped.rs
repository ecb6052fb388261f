//! The `requestState` of a server whose call a person approved: sealed with the approval, so that the client need not ask that
//! person again when it goes on with the call, and cannot go on with another one.

use crate::core::Core;

/// Binds a sealed text to its use.
const PURPOSE: &[u8] = b"portico approved call v1";
/// Bytes of a sealed state as text; longer ones are not looked at.
const MAX_SEALED: usize = 256 * 1024;

/// `state`, which a server wrote as a JSON string if at all, with the digest of the approved call.
pub(crate) fn seal(core: &Core, call: u128, state: Option<&str>) -> Option<String> {
    let plain = [&call.to_be_bytes(), state.unwrap_or_default().as_bytes()].concat();
    core.keyring.seal_for(PURPOSE, &plain)
}

/// The server's state in `text`, as it wrote it, if the same call was approved; empty where it wrote none.
pub(crate) fn open(core: &Core, text: &str, call: u128) -> Option<String> {
    let plain = core.keyring.open_for(PURPOSE, text, MAX_SEALED)?;
    let (of, state) = plain.split_first_chunk::<16>()?;
    let state = String::from_utf8(state.to_vec()).ok()?;
    (u128::from_be_bytes(*of) == call).then_some(state)
}
