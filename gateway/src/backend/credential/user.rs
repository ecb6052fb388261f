//! Tokens of callers who sign in to a server's own authorization server (RFC 6749 section 4.1, RFC 7636).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use form_urlencoded::Serializer;
use http::header::HeaderValue;
use portico_crds::mcp_server::UpstreamUser;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout};

use super::super::client::Http;
use super::super::fault::Fault;
use super::discovery::{self, Found};
use super::endpoint::{Client, ClientId, TokenEndpoint, wanted};
use super::held::Held;
use super::tokens::Tokens;
use crate::auth::Principal;
use crate::source::ServerKey;

/// What was found out about an authorization server is found out anew after this.
const FRESH: Duration = Duration::from_mins(10);
/// Time for finding out.
const WITHIN: Duration = Duration::from_secs(15);
/// Callers of one server who may be signed in; who signed in first gives way.
const MAX_SIGNED_IN: usize = 10_000;

/// What gives a caller the next token.
#[derive(Debug, Clone)]
struct Refresh {
    token: SecretString,
    endpoint: Arc<TokenEndpoint>,
    since: Instant,
}

/// The callers of one server who have signed in.
#[derive(Debug)]
pub(super) struct Users {
    spec: UpstreamUser,
    id: Option<Arc<Held>>,
    secret: Option<Arc<Held>>,
    found: tokio::sync::Mutex<Option<(Instant, String, Arc<Found>)>>,
    tokens: Tokens,
    refresh: Mutex<HashMap<u128, Refresh>>,
    /// Who signed in last: the gateway asks for its lists with that caller's token.
    lender: Mutex<Option<u128>>,
}

/// Where somebody signs in, and what is to be remembered until they come back.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) verifier: String,
    pub(crate) issuer: String,
    /// The address of the authorization server, whose query waits for `state`.
    pub(crate) url: String,
}

/// Somebody who came back.
pub(crate) struct Returned<'a> {
    pub(crate) principal: u128,
    pub(crate) code: &'a str,
    pub(crate) verifier: &'a str,
    /// The issuer that was asked, and the one that the answer names.
    pub(crate) issuer: &'a str,
    pub(crate) named: Option<&'a str>,
}

impl Users {
    pub(super) fn new(server: &ServerKey, spec: &UpstreamUser) -> Arc<Self> {
        let held = |field, key: &Option<_>| key.as_ref().map(|key| Held::new(server, field, key));
        Arc::new(Self {
            id: held("authorizationCode.clientIdRef", &spec.client_id_ref),
            secret: held("authorizationCode.clientSecretRef", &spec.client_secret_ref),
            spec: spec.clone(),
            found: tokio::sync::Mutex::default(),
            tokens: Tokens::new(server),
            refresh: Mutex::default(),
            lender: Mutex::default(),
        })
    }

    /// The token of `caller`, or for what belongs to no caller that of who signed in last, if anybody did.
    pub(super) async fn token(
        self: &Arc<Self>,
        http: &Http,
        caller: Option<&Principal>,
    ) -> Result<Option<HeaderValue>, Fault> {
        match caller {
            Some(caller) if caller.id == 0 => Err(Fault::Nobody),
            Some(caller) => self.of(http, caller.id).await.map(Some),
            None => {
                let Some(lender) = *lock(&self.lender) else { return Ok(None) };
                Ok(self.of(http, lender).await.ok())
            }
        }
    }

    async fn of(self: &Arc<Self>, http: &Http, caller: u128) -> Result<HeaderValue, Fault> {
        let (users, http) = (Arc::clone(self), http.clone());
        let ask =
            move || -> super::tokens::Asked { Box::pin(async move { users.refreshed(&http, caller).await }) };
        self.tokens.get(Some(caller), ask).await
    }

    async fn refreshed(&self, http: &Http, caller: u128) -> Result<super::tokens::Token, Fault> {
        let known = lock(&self.refresh).get(&caller).cloned().ok_or(Fault::SignIn)?;
        let grant = [("grant_type", "refresh_token"), ("refresh_token", known.token.expose_secret())];
        let granted = known.endpoint.granted(http, &grant).await;
        let mut refresh = lock(&self.refresh);
        match granted {
            Ok(granted) => {
                // A server may give another each time (OAuth 2.1 section 4.3).
                let token = granted.refresh.unwrap_or(known.token);
                refresh.insert(caller, Refresh { token, ..known });
                Ok(granted.token)
            }
            // It was withdrawn, or has been used: only the caller can help.
            Err(Fault::Credential(reason)) if reason.contains("(invalid_grant)") => {
                refresh.remove(&caller);
                Err(Fault::SignIn)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Forgets the token `value`, which the server refuses.
    pub(super) fn reject(&self, caller: Option<&Principal>, value: &HeaderValue) {
        let of = caller.map(|caller| caller.id).or(*lock(&self.lender));
        self.tokens.reject(of, value);
    }

    async fn found(&self, http: &Http, server: &str) -> Result<Arc<Found>, Fault> {
        let mut found = self.found.lock().await;
        if let Some((at, of, known)) = &*found
            && at.elapsed() < FRESH
            && of == server
        {
            return Ok(Arc::clone(known));
        }
        let wanted = (self.spec.issuer.as_deref(), self.spec.resource.as_deref());
        let fault =
            |reason: &str| Fault::Credential(format!("spec.upstreamAuth.authorizationCode: {reason}"));
        let asked = timeout(WITHIN, discovery::find(http, server, wanted)).await;
        let asked = asked.map_err(|_| fault("the authorization server does not answer in time"))?;
        let known = Arc::new(asked.map_err(|reason| fault(&reason))?);
        *found = Some((Instant::now(), server.to_owned(), Arc::clone(&known)));
        Ok(known)
    }

    fn client(&self, found: &Found, public_url: &str) -> Result<Client, Fault> {
        let id = match &self.id {
            Some(held) => ClientId::Held(Arc::clone(held)),
            None if found.takes_documents => ClientId::Document(document_url(public_url)),
            None => {
                let reason =
                    "the authorization server takes no client that describes itself; give `clientIdRef`";
                return Err(Fault::Credential(format!("spec.upstreamAuth.authorizationCode: {reason}")));
            }
        };
        Ok(Client { id, secret: self.secret.clone(), method: self.spec.auth_method })
    }

    /// Begins to sign somebody in to the server at `server`.
    pub(super) async fn begin(&self, http: &Http, server: &str, public_url: &str) -> Result<Begun, Fault> {
        let found = self.found(http, server).await?;
        let id = self.client(&found, public_url)?.id.text(http).await?;
        let verifier = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let mut query = Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &id)
            .append_pair("redirect_uri", &redirect(public_url))
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .extend_pairs(wanted(&self.spec.scopes, Some(&found.resource), None));
        let mark = if found.authorization.contains('?') { '&' } else { '?' };
        let url = format!("{}{mark}{}", found.authorization, query.finish());
        Ok(Begun { verifier, issuer: found.issuer.clone(), url })
    }

    /// Takes up whoever has signed in and came back.
    pub(super) async fn finish(
        &self,
        http: &Http,
        (server, public_url): (&str, &str),
        returned: &Returned<'_>,
    ) -> Result<(), Fault> {
        let found = self.found(http, server).await?;
        let is_named = returned.named.map_or(!found.names_itself, |named| named == found.issuer);
        if found.issuer != returned.issuer || !is_named {
            let reason = "the answer is of another authorization server than the one that was asked";
            return Err(Fault::Credential(format!("spec.upstreamAuth.authorizationCode: {reason}")));
        }
        let client = self.client(&found, public_url)?;
        let resource = wanted(&[], Some(&found.resource), None);
        let endpoint = TokenEndpoint::of_user(found.token.clone(), client, resource);
        let redirect = redirect(public_url);
        let grant = [
            ("grant_type", "authorization_code"),
            ("code", returned.code),
            ("redirect_uri", redirect.as_str()),
            ("code_verifier", returned.verifier),
        ];
        let granted = endpoint.granted(http, &grant).await?;
        self.tokens.put(Some(returned.principal), granted.token);
        let mut refresh = lock(&self.refresh);
        refresh.remove(&returned.principal);
        if let Some(token) = granted.refresh {
            make_room(&mut refresh);
            refresh.insert(returned.principal, Refresh { token, endpoint, since: Instant::now() });
        }
        *lock(&self.lender) = Some(returned.principal);
        Ok(())
    }
}

fn make_room(refresh: &mut HashMap<u128, Refresh>) {
    if refresh.len() >= MAX_SIGNED_IN {
        let oldest = refresh.iter().min_by_key(|(_, refresh)| refresh.since).map(|(caller, _)| *caller);
        oldest.and_then(|caller| refresh.remove(&caller));
    }
}

/// Where browsers come back to.
pub(crate) fn redirect(public_url: &str) -> String {
    format!("{}/connect/callback", public_url.trim_end_matches('/'))
}

/// Where the gateway describes itself as a client.
pub(crate) fn document_url(public_url: &str) -> String {
    format!("{}/connect/client.json", public_url.trim_end_matches('/'))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
