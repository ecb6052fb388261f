//! What is written down of calls.

use sha2::{Digest as _, Sha256};

use super::door::Door;
use crate::audit::{Called, Entry, server};
use crate::backend::call::Call;
use crate::method::Method;
use crate::policy::Verdict;

/// A line about a call, if any is written.
pub(super) fn begin(door: &Door, call: &Call<'_>, verdict: Option<Verdict<'_>>) -> Option<Entry> {
    let audit = door.core.audit.load_full()?;
    let name = match call.method {
        Method::ResourcesRead => &call.route.original,
        _ => call.route.plain_name(),
    };
    let called = Called {
        session: (call.client.session != 0).then(|| digest(call.client.session)),
        method: call.method.as_str(),
        server: server(call.route.backend.key()),
        name: name.to_owned(),
        rule: verdict.map_or("default", Verdict::rule).to_owned(),
        decision: verdict.map_or("allow", Verdict::as_str),
        arguments: audit.arguments(call.params.get("arguments")),
    };
    Some(audit.begin((&door.principal.name, door.address), called))
}

fn digest(session: u128) -> String {
    let digest: [u8; 32] = Sha256::digest(session.to_be_bytes()).into();
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
