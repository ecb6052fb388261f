//! An authorization server at which people sign in, by hand: whoever comes is who `login_hint` says, or Ada.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::raw_server::json_response;

#[derive(Default)]
struct Shared {
    issuer: String,
    /// Who signed in under which code, and what their request said.
    codes: HashMap<String, (String, HashMap<String, String>)>,
    /// Whose each refresh token is.
    refresh: HashMap<String, String>,
    asked: Vec<HashMap<String, String>>,
    given: usize,
    life: u64,
    /// What the answers say instead of the issuer.
    names: Option<String>,
    refuses: bool,
}

type Locked = Arc<Mutex<Shared>>;

pub struct SignInServer {
    shared: Locked,
    address: SocketAddr,
    serving: AbortHandle,
}

impl SignInServer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issuer = format!("http://{address}");
        let shared = Locked::new(Mutex::new(Shared { issuer, life: 600, ..Shared::default() }));
        let router = Router::new()
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(Arc::clone(&shared));
        let serving = tokio::spawn(axum::serve(listener, router).into_future()).abort_handle();
        Self { shared, address, serving }
    }

    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set_life(&self, seconds: u64) {
        self.shared.lock().unwrap().life = seconds;
    }

    /// From now on answers name another issuer.
    pub fn name(&self, issuer: &str) {
        self.shared.lock().unwrap().names = Some(issuer.to_owned());
    }

    /// From now on nobody is let in.
    pub fn refuse(&self) {
        self.shared.lock().unwrap().refuses = true;
    }

    /// What the token endpoint was asked so far.
    pub fn asked(&self) -> Vec<HashMap<String, String>> {
        self.shared.lock().unwrap().asked.clone()
    }

    /// Forgets who has signed in.
    pub fn withdraw(&self) {
        self.shared.lock().unwrap().refresh.clear();
    }
}

impl Drop for SignInServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn metadata(State(shared): State<Locked>) -> Json<Value> {
    let issuer = shared.lock().unwrap().issuer.clone();
    Json(json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"), "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true, "client_id_metadata_document_supported": true,
    }))
}

async fn authorize(State(shared): State<Locked>, Query(query): Query<HashMap<String, String>>) -> Response {
    let mut shared = shared.lock().unwrap();
    let (back, state) = (query["redirect_uri"].clone(), query["state"].clone());
    let location = if shared.refuses {
        format!("{back}?error=access_denied&state={state}")
    } else {
        let code = format!("code-{}", shared.codes.len());
        let user = query.get("login_hint").cloned().unwrap_or_else(|| "ada".into());
        shared.codes.insert(code.clone(), (user, query));
        let issuer = shared.names.clone().unwrap_or_else(|| shared.issuer.clone());
        format!("{back}?code={code}&state={state}&iss={issuer}")
    };
    (StatusCode::SEE_OTHER, [("location", location)]).into_response()
}

async fn token(State(shared): State<Locked>, body: String) -> Response {
    let form: HashMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let mut shared = shared.lock().unwrap();
    shared.asked.push(form.clone());
    let user = match form["grant_type"].as_str() {
        "authorization_code" => shared
            .codes
            .remove(&form["code"])
            .filter(|(_, query)| {
                let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
                let same = |name: &str| query[name] == form[name];
                query["code_challenge"] == challenge
                    && same("redirect_uri")
                    && same("client_id")
                    && same("resource")
            })
            .map(|(user, _)| user),
        _ => shared.refresh.remove(&form["refresh_token"]),
    };
    let Some(user) = user else { return json_response(400, r#"{"error":"invalid_grant"}"#) };
    shared.given += 1;
    let (token, refresh) = (format!("u-{user}-{}", shared.given), format!("r-{}", shared.given));
    shared.refresh.insert(refresh.clone(), user);
    let given = json!({"access_token": token, "token_type": "Bearer", "expires_in": shared.life, "refresh_token": refresh});
    json_response(200, given.to_string())
}

/// A browser that keeps cookies.
pub struct Browser {
    http: reqwest::Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    pub fn new() -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self { http: http.build().unwrap(), cookies: BTreeMap::new() }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> (u16, String, Option<String>) {
        let jar: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = request.header("cookie", jar.join("; ")).send().await.unwrap();
        for cookie in response.headers().get_all("set-cookie") {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), response.text().await.unwrap(), location)
    }

    pub async fn get(&mut self, url: &str) -> (u16, String, Option<String>) {
        let request = self.http.get(url);
        self.send(request).await
    }

    /// Agrees on the page at `url`; gives where it leads.
    pub async fn agree(&mut self, url: &str) -> (u16, String, Option<String>) {
        let (status, page, _) = self.get(url).await;
        assert_eq!(status, 200, "{page}");
        let value = page.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
        let request = self.http.post(url).header("content-type", "application/x-www-form-urlencoded");
        let request = request.body(format!("browser={value}"));
        self.send(request).await
    }

    /// Signs `who` in, from the page at `url` to the page at the end.
    pub async fn sign_in(&mut self, url: &str, who: &str) -> (u16, String) {
        let (status, page, location) = self.agree(url).await;
        assert_eq!(status, 303, "{page}");
        let (_, page, back) = self.get(&format!("{}&login_hint={who}", location.unwrap())).await;
        let back = back.unwrap_or_else(|| panic!("{page}"));
        let (status, page, _) = self.get(&back).await;
        (status, page)
    }
}
