//! Who sits before a browser: asked of the issuer by which the gateway knows its callers (`OpenID` Connect Core 1.0,
//! authorization code flow with PKCE).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use form_urlencoded::{Serializer, byte_serialize};
use http::{HeaderValue, Uri};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::Authenticator;
use super::issuer::Issuer;
use crate::config::auth::BrowserClient;

/// Where a browser is asked, and what is to be remembered until it comes back.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Its query waits for `state`.
    pub(crate) url: String,
    pub(crate) verifier: String,
    pub(crate) nonce: String,
}

/// What a browser brought back.
pub(crate) struct Brought<'a> {
    pub(crate) code: &'a str,
    pub(crate) verifier: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) redirect: &'a str,
}

#[derive(Deserialize)]
struct Given {
    id_token: String,
}

impl Authenticator {
    /// The issuer that can tell whether a browser is that of the caller `name`.
    pub(crate) fn browser_issuer(&self, name: &str) -> Option<&str> {
        let of = |issuer: &&crate::config::auth::Issuer| {
            let rest = name.strip_prefix(&issuer.issuer);
            issuer.browser.is_some() && rest.is_some_and(|rest| rest.starts_with('#'))
        };
        self.oauth()?.issuers.iter().find(of).map(|issuer| issuer.issuer.as_str())
    }

    fn client(&self, issuer: &str) -> Result<(&BrowserClient, &Arc<Issuer>), String> {
        let configured = self.oauth().and_then(|oauth| oauth.issuers.iter().find(|one| one.issuer == issuer));
        let client = configured.and_then(|issuer| issuer.browser.as_ref());
        let known = self.tokens.as_ref().and_then(|tokens| tokens.issuer(issuer));
        client.zip(known).ok_or_else(|| "the issuer is not configured any more".to_owned())
    }

    /// Where a browser is asked that is to come back to `redirect`.
    pub(crate) async fn ask_browser(&self, issuer: &str, redirect: &str) -> Result<Asked, String> {
        let (client, issuer) = self.client(issuer)?;
        let (authorization, _) = issuer.endpoints().await?;
        let secret = || URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let (verifier, nonce) = (secret(), secret());
        let mut query = Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("scope", "openid")
            .append_pair("client_id", &client.client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier)))
            .append_pair("code_challenge_method", "S256");
        let mark = if authorization.contains('?') { '&' } else { '?' };
        Ok(Asked { url: format!("{authorization}{mark}{}", query.finish()), verifier, nonce })
    }

    /// The name, as of a caller, of whoever sits before the browser.
    pub(crate) async fn browser_is(&self, issuer: &str, brought: &Brought<'_>) -> Result<String, String> {
        let (client, known) = self.client(issuer)?;
        let (_, token) = known.endpoints().await?;
        let uri: Uri = token.parse().map_err(|_| "its token endpoint is no URL")?;
        let secret = client.secret()?;
        let form = form(brought, secret.is_none().then_some(&client.client_id));
        let basic = secret.and_then(|secret| basic(&client.client_id, &secret));
        let body = known.form(&uri, basic, form).await?;
        let given: Given = serde_json::from_slice(&body).map_err(|_| "it gives no ID token")?;
        let tokens = self.tokens.as_ref().ok_or("no tokens are taken")?;
        let who = tokens.identity(&given.id_token, (issuer, &client.client_id), brought.nonce).await;
        who.map_err(|denied| denied.to_string())
    }
}

fn form(brought: &Brought<'_>, client: Option<&String>) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", brought.code)
        .append_pair("redirect_uri", brought.redirect)
        .append_pair("code_verifier", brought.verifier);
    form.extend_pairs(client.map(|client| ("client_id", client)));
    form.finish()
}

/// RFC 6749 section 2.3.1.
fn basic(id: &str, secret: &str) -> Option<HeaderValue> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)));
    let mut value = HeaderValue::try_from(format!("Basic {pair}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}
