//! Runs a [`Server`]: MCP and REST over HTTP, or MCP over stdio, until it is told to stop.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::{self, Next},
    response::Response,
};
use http::{Extensions, HeaderMap};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    Cache, ConfigError, Environment, Error, Secret, Serving, Transport,
    audit::Audit,
    caller::{Caller, cookie},
    calls::Calls,
    identity::{IDENTITY, Identities, Refusal},
    limit::Limit,
    mcp::{Mcp, languages},
    messages::Messages,
    report::Reports,
    rest,
    serve::{serve_counted, serve_stdio},
    server::Server,
    tool::ToolError,
    trace::Traces,
};

/// What every server is told by its environment, whatever it serves.
#[derive(Default)]
pub struct Hosting {
    /// Calls a minute and user; `None` for no limit.
    pub per_minute: Option<NonZeroU32>,
    /// Where replicas count the calls of a user together, if it is in Redis; each counts for itself where absent.
    pub shared: Option<Cache>,
    /// Whose word on callers is taken; nobody's where absent.
    pub identities: Option<Identities>,
    /// Where failures are reported to.
    pub reports: Reports,
    /// Where spans are sent to.
    pub traces: Traces,
}

impl Hosting {
    /// Reads `MAX_REQUESTS_PER_MINUTE` (of one user, default 60), `PORTICO_IDENTITY_*`, `SENTRY_DSN` and `OTEL_EXPORTER_OTLP_*`. Needs a
    /// running tokio runtime.
    pub fn from_env(environment: &Environment<'_>, server: &'static str) -> Result<Self, ConfigError> {
        let per_minute = environment.number("MAX_REQUESTS_PER_MINUTE", 1..=1_000_000, 60)?;
        Ok(Self {
            per_minute: u32::try_from(per_minute).ok().and_then(NonZeroU32::new),
            shared: None,
            identities: Identities::from_env(environment)?,
            reports: Reports::from_env(environment, server)?,
            traces: Traces::from_env(environment, server)?,
        })
    }
}

/// Finds out who calls.
pub(crate) struct Callers {
    identities: Option<Identities>,
    cookie: Option<String>,
}

impl Callers {
    /// Who sent a request with these headers. What the gateway is said to assert and does not is refused: nobody may be served in
    /// another's name.
    pub(crate) async fn of(&self, headers: &HeaderMap, address: Option<IpAddr>) -> Result<Caller, Refusal> {
        let mut caller = Caller { address, languages: languages(headers), ..Caller::default() };
        let named = self.cookie.as_deref().and_then(|name| cookie(headers, name));
        caller.session = named.filter(|id| id.len() <= 256).map(|id| Secret::new(id.to_owned()));
        if let (Some(identities), Some(token)) = (&self.identities, headers.get(IDENTITY)) {
            caller.subject = identities.check(token.to_str().map_err(|_| Refusal::Malformed)?).await?;
        }
        Ok(caller)
    }

    /// Where the connection comes from.
    pub(crate) fn address(extensions: &Extensions) -> Option<IpAddr> {
        extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
    }
}

/// Serves until `stop` is cancelled or (stdio) the input ends.
pub async fn host<S: Server>(
    server: Arc<S>,
    transport: Transport,
    hosting: Hosting,
    serving: Serving,
    stop: CancellationToken,
) -> Result<(), Error> {
    match transport {
        Transport::Http(address) => {
            let listener =
                TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
            host_on(listener, server, hosting, serving, stop).await
        }
        Transport::Stdio => {
            let (mcp, _) = assemble(server, hosting, &serving)?;
            serve_stdio(mcp, &serving.metrics, stop).await
        }
    }
}

/// As [`host`] over HTTP, on a listener that is bound already.
pub async fn host_on<S: Server>(
    listener: TcpListener,
    server: Arc<S>,
    hosting: Hosting,
    mut serving: Serving,
    stop: CancellationToken,
) -> Result<(), Error> {
    let address = listener.local_addr().map_err(Error::Http)?;
    let routes = server.routes();
    let (mcp, rest) = assemble(server, hosting, &serving)?;
    let state = (Arc::clone(&mcp.calls), Arc::clone(&mcp.callers));
    let routes = routes.layer(middleware::from_fn_with_state(state, within_limit));
    serving.routes = rest::guarded(rest.merge(routes), address, serving.max_body_bytes);
    serve_counted(listener, mcp, serving, stop).await
}

/// Counts what users do on a server's own paths as calls of theirs, since it is written down. What nobody in particular does is not counted:
/// behind a gateway all have one address, and a limit would let anybody keep everybody from signing in.
async fn within_limit<S: Server>(
    State((calls, callers)): State<(Arc<Calls<S>>, Arc<Callers>)>,
    request: Request,
    next: Next,
) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let address = Callers::address(request.extensions());
    let caller = callers.of(request.headers(), address).await.unwrap_or_default();
    let user = calls.server.identify(&caller).await.ok().flatten();
    if let Some((limit, user)) = calls.limit.as_ref().zip(user)
        && let Err(wait) = limit.take(caller.key(Some(&user))).await
    {
        let error = ToolError::TooOften { per_minute: limit.per_minute().get(), wait };
        return rest::problem::of(&error, &calls.said(&error, caller.languages.as_deref()));
    }
    next.run(request).await
}

fn assemble<S: Server>(
    server: Arc<S>,
    hosting: Hosting,
    serving: &Serving,
) -> Result<(Mcp<S>, axum::Router), Error> {
    let cookie = server.session_cookie().map(str::to_owned);
    let callers = Arc::new(Callers { identities: hosting.identities, cookie });
    let calls = Arc::new(Calls {
        server,
        metrics: Arc::clone(&serving.metrics),
        limit: hosting.per_minute.map(|per_minute| Limit::new(per_minute, hosting.shared)),
        reports: hosting.reports,
        traces: hosting.traces,
        audit: Audit::of_process(),
        messages: Messages::new(&[])?,
    });
    let mcp = Mcp { calls: Arc::clone(&calls), callers: Arc::clone(&callers) };
    Ok((mcp, rest::router(calls, callers)))
}
