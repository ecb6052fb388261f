//! How often somebody may ask.

use std::net::IpAddr;

use http::StatusCode;
use serde_json::json;

use super::door::Door;
use crate::auth::Principal;
use crate::backend::call::Call;
use crate::config::limits::Counts;
use crate::core::Core;
use crate::limits::{Over, Use};
use crate::method::Method;
use crate::rpc::{RpcError, code, shortened};

/// Who could not be told who they are.
const UNKNOWN: &str = "unknown";

/// Counts a request of `principal`, if it was found who that is.
pub(super) async fn request(
    core: &Core,
    principal: Option<&Principal>,
    address: Option<IpAddr>,
) -> Result<(), RpcError> {
    let principal = principal.map_or(UNKNOWN, |principal| &principal.name);
    let used = Use { principal, address, server: None, tool: None };
    core.quotas.load_full().take(Counts::Requests, &used).await.map_err(|over| refusal(&over))
}

/// Counts a call.
pub(super) async fn call(door: &Door, call: &Call<'_>) -> Result<(), RpcError> {
    let tool = (call.method == Method::ToolsCall).then(|| call.route.plain_name());
    let server = Some(call.route.backend.key());
    let used = Use { principal: &door.principal.name, address: door.address, server, tool };
    door.core.quotas.load_full().take(Counts::Calls, &used).await.map_err(|over| refusal(&over))
}

/// Refuses a call whose arguments are larger than the configuration lets through.
pub(super) fn arguments(door: &Door, call: &Call<'_>) -> Result<(), RpcError> {
    let Some(limit) = door.policy.config().limits.argument_bytes else { return Ok(()) };
    match call.params.get("arguments") {
        Some(raw) if raw.len() > limit => Err(RpcError::invalid_params(format!(
            "the arguments of `{}` have {} bytes, and {limit} are allowed; send less",
            shortened(&call.exposed),
            raw.len()
        ))),
        _ => Ok(()),
    }
}

fn refusal(Over { quota, after }: &Over) -> RpcError {
    let seconds = after.as_secs() + 1;
    let message = format!("the quota `{quota}` is used up; try again in {seconds} s");
    RpcError::new(code::RATE_LIMIT, message)
        .status(StatusCode::TOO_MANY_REQUESTS)
        .data(json!({ "quota": quota, "retryAfterSeconds": seconds }))
        .retry_after(*after)
}
