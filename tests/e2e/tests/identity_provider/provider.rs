//! A real identity provider: oidc-provider, as `tests/e2e/node` pins it.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

const CALLBACK: &str = "http://127.0.0.1:9/callback";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const PATIENCE: Duration = Duration::from_mins(1);

pub struct Provider {
    pub port: u16,
    pub http: reqwest::Client,
    child: Child,
    clients: String,
}

impl Provider {
    pub async fn start() -> Self {
        Self::start_with("http://127.0.0.1:9/unused").await
    }

    /// It knows besides a client `gateway` that comes back at `redirect`.
    pub async fn start_with(redirect: &str) -> Self {
        let clients = format!(
            r#"[["app",null,"{CALLBACK}"],["portico","s3cr3t",null],["gateway","gateway-s3cr3t","{redirect}"]]"#
        );
        // The port is free again as soon as it is known.
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let child = run(port, 0, &clients).await;
        Self { port, http: http.build().unwrap(), child, clients }
    }

    /// It is started again at its place, with other keys, and a clock that is `behind` by so many seconds.
    pub async fn restart(&mut self, behind: u32) {
        self.child.kill().await.unwrap();
        self.child = run(self.port, behind, &self.clients).await;
    }

    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn token_url(&self) -> String {
        format!("{}/token", self.issuer())
    }

    /// The access token for `resource` of somebody who signs in: authorization code with PKCE (RFC 6749, RFC 7636).
    pub async fn sign_in(&self, who: &str, resource: &str) -> String {
        let query = [
            ("client_id", "app"),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid tools"),
            ("resource", resource),
            ("login_hint", who),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let query: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let at = format!("{}/auth?{}", self.issuer(), query.join("&"));
        let at = self.browse(&at, CALLBACK).await;
        let code =
            at.split(['?', '&']).find_map(|part| part.strip_prefix("code=")).expect("a code").to_owned();
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "app"),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("resource", resource),
            ("code", &code),
        ];
        self.token(&form).await
    }

    /// Where a browser comes to that begins at `at` and follows the provider, at a page below `end`.
    pub async fn browse(&self, at: &str, end: &str) -> String {
        let (mut at, mut cookies) = (at.to_owned(), BTreeMap::new());
        while !at.starts_with(end) {
            let jar: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let response = self.http.get(&at).header("cookie", jar.join("; ")).send().await.unwrap();
            for cookie in response.headers().get_all("set-cookie") {
                let (name, value) =
                    cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
                cookies.insert(name.to_owned(), value.to_owned());
            }
            assert!(response.status().is_redirection(), "{at}: {}", response.text().await.unwrap());
            let next = response.headers()["location"].to_str().unwrap();
            at = if next.starts_with('/') { format!("{}{next}", self.issuer()) } else { next.to_owned() };
        }
        at
    }

    async fn token(&self, form: &[(&str, &str)]) -> String {
        let form: Vec<String> =
            form.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let request =
            self.http.post(self.token_url()).header("content-type", "application/x-www-form-urlencoded");
        let text = request.body(form.join("&")).send().await.unwrap().text().await.unwrap();
        let given: Value = serde_json::from_str(&text).unwrap();
        given["access_token"].as_str().unwrap_or_else(|| panic!("{given}")).to_owned()
    }
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

async fn run(port: u16, behind: u32, clients: &str) -> Child {
    let (port, behind) = (port.to_string(), behind.to_string());
    let variables = [("PORT", port.as_str()), ("BEHIND", &behind), ("CLIENTS", clients)];
    let text = include_str!("../../node/issuer.mjs");
    let command = tokio::task::block_in_place(|| {
        portico_e2e::node::script(env!("CARGO_TARGET_TMPDIR"), text, &variables)
    });
    let mut command = Command::from(command);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("the provider starts in time");
    assert_eq!(first.unwrap().as_deref(), Some("listening"));
    // What it says further is of no interest, but must go somewhere.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    child
}
