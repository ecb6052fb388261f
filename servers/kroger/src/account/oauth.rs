//! The two calls of the token endpoint that concern a customer.

use portico_kit::{
    Secret, Url,
    upstream::{Body, Call, Error, Method},
};
use serde::Deserialize;

use super::{Accounts, Settings, secrets};

/// Longest life that is believed, in seconds.
const MAX_LIFE: u64 = 7 * 24 * 3_600;
/// A token is renewed this long before it ends, or after half of its life if that is shorter, in milliseconds.
const EARLY: i64 = 60_000;

/// What Kroger gave.
pub(super) struct Granted {
    pub(super) access: Secret,
    /// Absent where the old one stays good.
    pub(super) refresh: Option<Secret>,
    /// In milliseconds.
    life: i64,
}

impl Granted {
    /// When to renew the access token and when it ends, for one that came at `now` (milliseconds since 1970).
    pub(super) fn times(&self, now: i64) -> (i64, i64) {
        let ends = now.saturating_add(self.life);
        (ends.saturating_sub(EARLY.min(self.life / 2)), ends)
    }
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: u64,
}

impl Accounts {
    /// Where the customer consents.
    pub(super) fn authorize_url(settings: &Settings, state: &str, verifier: &str) -> Url {
        let mut url = settings.authorize.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &settings.client_id)
            .append_pair("redirect_uri", settings.redirect.as_str())
            .append_pair("scope", &settings.scopes)
            .append_pair("state", state)
            .append_pair("code_challenge", &secrets::challenge(verifier))
            .append_pair("code_challenge_method", "S256");
        url
    }

    /// Tokens for a code. Codes work once, so this is sent once.
    pub(super) async fn exchange(
        &self,
        settings: &Settings,
        code: &str,
        verifier: &str,
    ) -> Result<Granted, Error> {
        let form = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", settings.redirect.to_string()),
            ("code_verifier", verifier.to_owned()),
        ];
        self.ask(settings, form).await
    }

    /// Tokens for a refresh token. It works once, so this is sent once.
    pub(super) async fn refresh(&self, settings: &Settings, refresh: &Secret) -> Result<Granted, Error> {
        let refresh = refresh.expose().to_owned();
        let form = vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", refresh)];
        self.ask(settings, form).await
    }

    async fn ask(&self, settings: &Settings, form: Vec<(&'static str, String)>) -> Result<Granted, Error> {
        let call = Call::new(Method::POST, "/v1/connect/oauth2/token")
            .group("sign_in")
            .basic(&settings.client_id, settings.client_secret.current())
            .body(Body::Form(form));
        let body: Tokens = self.client.send(&call).await?.json()?;
        let life = body.expires_in.min(MAX_LIFE).saturating_mul(1_000);
        Ok(Granted {
            access: Secret::new(body.access_token),
            refresh: body.refresh_token.map(Secret::new),
            life: i64::try_from(life).unwrap_or(i64::MAX),
        })
    }
}
