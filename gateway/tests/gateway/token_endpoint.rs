//! The token endpoint of an authorization server, by hand: it can be away, refuse, and tell what it was asked. And the
//! Secrets of a test.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use futures::future::BoxFuture;
use portico_crds::mcp_server::{SecretKeyRef, UpstreamAuth};
use portico_gateway::secret::{Error, SecretString, Secrets};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::raw_server::json_response;

/// What a token request said.
#[derive(Debug, Clone)]
pub struct Asked {
    pub authorization: Option<String>,
    pub form: HashMap<String, String>,
}

impl Asked {
    pub fn field(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }
}

type Log = Arc<Mutex<Vec<Asked>>>;
type Next = Arc<Mutex<Option<(u16, Value)>>>;

pub struct TokenServer {
    pub address: SocketAddr,
    asked: Log,
    refusal: Next,
    life: Arc<Mutex<Value>>,
    serving: AbortHandle,
}

impl TokenServer {
    /// Gives `t-1`, `t-2` and so on to clients, and `for-SUBJECT-1` and so on in exchange.
    pub async fn start() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub fn on(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let (asked, refusal, life) = (Log::default(), Next::default(), Arc::new(Mutex::new(json!(600))));
        let (log, next, lasting) = (Arc::clone(&asked), Arc::clone(&refusal), Arc::clone(&life));
        let serve = move |request: Request| {
            let (log, next, lasting) = (Arc::clone(&log), Arc::clone(&next), Arc::clone(&lasting));
            async move {
                let asked = read(request).await;
                log.lock().unwrap().push(asked.clone());
                let number = log.lock().unwrap().len();
                let refusal = next.lock().unwrap().clone();
                let life = lasting.lock().unwrap().clone();
                answer(&asked, (number, life), refusal)
            }
        };
        let router = Router::new().fallback(serve);
        let serving = tokio::spawn(axum::serve(listener, router).into_future()).abort_handle();
        Self { address, asked, refusal, life, serving }
    }

    pub fn url(&self) -> String {
        format!("http://{}/token", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// From now on it answers this instead of a token.
    pub fn refuse(&self, refusal: Option<(u16, Value)>) {
        *self.refusal.lock().unwrap() = refusal;
    }

    /// How many seconds the tokens live from now on.
    pub fn set_life(&self, seconds: u64) {
        *self.life.lock().unwrap() = json!(seconds);
    }

    /// Goes away.
    pub fn stop(&self) {
        self.serving.abort();
    }
}

impl Drop for TokenServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn read(request: Request) -> Asked {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let form = form_urlencoded::parse(&body).into_owned().collect();
    let header = parts.headers.get("authorization");
    Asked { authorization: header.map(|value| value.to_str().unwrap().to_owned()), form }
}

fn answer(asked: &Asked, (number, life): (usize, Value), refusal: Option<(u16, Value)>) -> Response {
    if let Some((status, body)) = refusal {
        return json_response(status, body.to_string());
    }
    let token = match asked.field("subject_token") {
        "" => format!("t-{number}"),
        subject => format!("for-{}-{number}", &subject[subject.len() - 6..]),
    };
    let given = json!({"access_token": token, "token_type": "Bearer", "expires_in": life,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"});
    json_response(200, given.to_string())
}

/// The Secrets of the namespace `shop`.
#[derive(Debug, Default)]
pub struct TestSecrets(Mutex<HashMap<String, HashMap<String, String>>>);

impl TestSecrets {
    pub fn with(secrets: &[(&str, &[(&str, &str)])]) -> Arc<Self> {
        let all = Arc::new(Self::default());
        for (name, keys) in secrets {
            all.set(name, keys);
        }
        all
    }

    pub fn set(&self, name: &str, keys: &[(&str, &str)]) {
        let keys = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.0.lock().unwrap().insert(name.to_owned(), keys);
    }
}

impl Secrets for TestSecrets {
    fn read<'a>(
        &'a self,
        namespace: &'a str,
        key: &'a SecretKeyRef,
    ) -> BoxFuture<'a, Result<SecretString, Error>> {
        assert_eq!(namespace, "shop");
        let all = self.0.lock().unwrap();
        let value = match all.get(&key.name) {
            None => Err(Error::NoSecret(key.name.clone())),
            Some(keys) => keys
                .get(&key.key)
                .cloned()
                .map(SecretString::from)
                .ok_or_else(|| Error::NoKey { secret: key.name.clone(), key: key.key.clone() }),
        };
        Box::pin(std::future::ready(value))
    }
}

/// `spec.upstreamAuth` as a manifest has it.
pub fn auth(spec: Value) -> UpstreamAuth {
    serde_json::from_value(spec).unwrap()
}

/// A client of `url` whose id and secret stand in the Secret `idp`, and more.
pub fn client(url: &str, more: &Value) -> Value {
    let key = |key: &str| json!({"name": "idp", "key": key});
    let mut client = json!({"tokenUrl": url, "clientIdRef": key("id"), "clientSecretRef": key("secret")});
    client.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client
}
