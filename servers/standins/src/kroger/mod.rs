//! A stand-in for the Kroger API: sign-in and tokens, products, locations, chains, departments, carts and the customer's
//! id; and, for a partner's application, carts that can be read and coupons.
//!
//! Products and prices are invented. What the public documentation and live answers disagree about
//! follows the live answers. The paths under `/_standin/` steer it.

mod authorize;
mod cart;
mod catalogue;
mod control;
mod coupons;
mod departments;
mod faults;
mod locations;
mod oauth;
mod partner;
mod products;
mod reply;
mod settings;
mod tokens;

use std::{io, net::SocketAddr, pin::Pin, sync::Arc};

use axum::{
    Router, middleware,
    routing::{get, post, put},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use cart::Carts;
use catalogue::Catalogue;
use control::Control;
use coupons::Coupons;
use tokens::Tokens;

/// Why the stand-in could not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address could not be listened on.
    #[error("cannot listen on {address}: {source}; free the port or choose another address")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The HTTP server failed.
    #[error("the stand-in stopped: {0}")]
    Http(#[source] io::Error),
    /// The data built into the program cannot be read.
    #[error("the built-in data file {file} is broken: {source}; build the program again")]
    Data {
        /// Which file.
        file: &'static str,
        /// What is wrong in it.
        source: serde_json::Error,
    },
}

/// The client that the token endpoint accepts.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Client id.
    pub id: String,
    /// Client secret; a made-up one, so it may be printed.
    pub secret: String,
}

impl Credentials {
    /// `STANDIN_CLIENT_ID` and `STANDIN_CLIENT_SECRET`, or `standin-client` and `standin-secret`.
    #[must_use]
    pub fn from_env(lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let read = |name: &str, default: &str| {
            lookup(name).filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
        };
        Self {
            id: read("STANDIN_CLIENT_ID", "standin-client"),
            secret: read("STANDIN_CLIENT_SECRET", "standin-secret"),
        }
    }
}

pub(crate) struct Standin {
    credentials: Credentials,
    catalogue: Catalogue,
    tokens: Tokens,
    control: Control,
    carts: Carts,
    coupons: Coupons,
}

pub(crate) type Shared = Arc<Standin>;

/// Serves the stand-in with the credentials of the environment until `stop` is cancelled.
///
/// The future is boxed, so that it is compiled here once and not in every program that awaits it.
#[must_use]
pub fn run(
    listen: SocketAddr,
    stop: CancellationToken,
) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> {
    Box::pin(listen_and_run(listen, stop))
}

async fn listen_and_run(listen: SocketAddr, stop: CancellationToken) -> Result<(), Error> {
    let listener =
        TcpListener::bind(listen).await.map_err(|source| Error::Listen { address: listen, source })?;
    let credentials = Credentials::from_env(&|name| std::env::var(name).ok());
    run_on(listener, credentials, stop).await
}

/// As [`run`], on a listener that is bound already.
pub async fn run_on(
    listener: TcpListener,
    credentials: Credentials,
    stop: CancellationToken,
) -> Result<(), Error> {
    let app = router(credentials)?;
    tracing::info!(address = ?listener.local_addr().ok(), "serving the Kroger stand-in");
    axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await.map_err(Error::Http)
}

/// All routes, with state of their own.
pub fn router(credentials: Credentials) -> Result<Router, Error> {
    let standin = Arc::new(Standin {
        credentials,
        catalogue: Catalogue::load()?,
        tokens: Tokens::default(),
        control: Control::default(),
        carts: Carts::default(),
        coupons: Coupons::default(),
    });
    Ok(Router::new()
        .merge(api(&standin))
        .merge(control::routes())
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(middleware::from_fn_with_state(Arc::clone(&standin), reply::mark))
        .with_state(standin))
}

fn api(standin: &Shared) -> Router<Shared> {
    Router::new()
        .route("/v1/connect/oauth2/authorize", get(authorize::authorize))
        .route("/v1/connect/oauth2/token", post(oauth::token))
        .merge(application(standin))
        .merge(customer(standin))
        .merge(partner(standin))
        .route_layer(middleware::from_fn_with_state(Arc::clone(standin), faults::intervene))
}

/// What any token opens.
fn application(standin: &Shared) -> Router<Shared> {
    let layer = |scope| middleware::from_fn_with_state((Arc::clone(standin), scope), oauth::require_token);
    let products = Router::new()
        .route("/v1/products", get(products::search))
        .route("/v1/products/{id}", get(products::detail))
        .route_layer(layer("product.compact"));
    Router::new()
        .route("/v1/locations", get(locations::search))
        .route("/v1/locations/{id}", get(locations::detail).head(locations::exists))
        .route("/v1/chains", get(departments::chains))
        .route("/v1/chains/{name}", get(departments::chain).head(departments::chain_exists))
        .route("/v1/departments", get(departments::list))
        .route("/v1/departments/{id}", get(departments::detail).head(departments::exists))
        .route_layer(layer(""))
        .merge(products)
}

/// Lets customers in whose tokens have the scope.
fn of_customer(routes: Router<Shared>, standin: &Shared, scope: &'static str) -> Router<Shared> {
    routes.route_layer(middleware::from_fn_with_state((Arc::clone(standin), scope), oauth::require_customer))
}

/// What a customer's token opens.
fn customer(standin: &Shared) -> Router<Shared> {
    let cart = Router::new().route("/v1/cart/add", put(cart::put));
    let identity = Router::new().route("/v1/identity/profile", get(cart::profile));
    of_customer(cart, standin, "cart.basic:write").merge(of_customer(identity, standin, "profile.compact"))
}

/// What a customer's token opens for a partner's application.
fn partner(standin: &Shared) -> Router<Shared> {
    let read =
        Router::new().route("/v1/carts", get(partner::list)).route("/v1/carts/{id}", get(partner::detail));
    let write = Router::new()
        .route("/v1/carts", post(partner::create))
        .route("/v1/carts/{id}", put(partner::update))
        .route("/v1/carts/{id}/items", post(partner::add_items))
        .route("/v1/carts/{id}/items/{upc}", put(partner::update_item).delete(partner::remove_item));
    let coupons = Router::new()
        .route("/v1/coupons", get(coupons::list))
        .route("/v1/coupons/{id}/clip", post(coupons::clip));
    of_customer(read, standin, "cart.basic")
        .merge(of_customer(write, standin, "cart.basic:rw"))
        .merge(of_customer(coupons, standin, "coupon.basic"))
        .route_layer(middleware::from_fn_with_state(Arc::clone(standin), oauth::require_partner))
}
