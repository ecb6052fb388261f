//! Addresses of the sign-in and what is asked of the customer.

use portico_kit::{SecretSource, Url};

use crate::config::Config;

/// What customers are asked to allow.
const SCOPES: &str = "cart.basic:write profile.compact";
/// What they are asked to allow a partner besides.
const PARTNER_SCOPES: &str = "cart.basic cart.basic:rw coupon.basic";

/// Settings of the sign-in.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(super) client_id: String,
    pub(super) client_secret: SecretSource,
    /// Where Kroger sends the browser back to.
    pub(super) redirect: Url,
    /// Where the customer consents.
    pub(super) authorize: Url,
    /// Separated by spaces.
    pub(super) scopes: String,
}

impl Settings {
    /// Those of the configuration; `None` where it has no redirect address.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        let redirect = config.redirect_uri.clone()?;
        let mut authorize = config.base.clone();
        let path = format!("{}/v1/connect/oauth2/authorize", config.base.path().trim_end_matches('/'));
        authorize.set_path(&path);
        let scopes = if config.is_partner { format!("{SCOPES} {PARTNER_SCOPES}") } else { SCOPES.to_owned() };
        Some(Self {
            client_id: config.client_id.clone(),
            client_secret: config.client_secret.clone(),
            redirect,
            authorize,
            scopes,
        })
    }

    /// Whether browsers speak TLS with us.
    pub(super) fn is_secure(&self) -> bool {
        self.redirect.scheme() == "https"
    }

    /// With the prefix `__Host-` a browser takes it from this host over TLS alone.
    pub(super) fn session_cookie(&self) -> &'static str {
        if self.is_secure() { "__Host-portico_session" } else { "portico_session" }
    }

    /// What the cookies begin with that bind sign-ins to the browser that began them; the mark of the sign-in follows.
    pub(super) fn login_cookie(&self) -> &'static str {
        if self.is_secure() { "__Host-portico_login_" } else { "portico_login_" }
    }

    pub(super) fn login_url(&self) -> Url {
        let mut url = self.redirect.clone();
        let path = url.path().trim_end_matches("callback").to_owned() + "login";
        url.set_path(&path);
        url
    }

    /// Where a link is followed.
    pub(super) fn link_url(&self, code: &str) -> String {
        let mut url = self.login_url();
        url.query_pairs_mut().append_pair("link", code);
        url.to_string()
    }

    /// Scheme, host and port, as browsers write them in `Origin` (RFC 6454, 6.2).
    pub(super) fn origin(&self) -> String {
        self.redirect.origin().ascii_serialization()
    }
}

#[cfg(test)]
mod tests {
    use portico_kit::Secret;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://shop.example/auth/callback", "https://shop.example/auth/login", "__Host-portico_session")]
    #[case(
        "https://gw.example/servers/a/kroger/auth/callback",
        "https://gw.example/servers/a/kroger/auth/login",
        "__Host-portico_session"
    )]
    #[case("http://127.0.0.1:9011/auth/callback", "http://127.0.0.1:9011/auth/login", "portico_session")]
    fn addresses_and_cookies_follow_the_redirect_address(
        #[case] redirect: &str,
        #[case] login: &str,
        #[case] cookie: &str,
    ) {
        let settings = Settings {
            client_id: String::new(),
            client_secret: SecretSource::from(Secret::new(String::new())),
            redirect: redirect.parse().unwrap(),
            authorize: "https://api.kroger.com/v1/connect/oauth2/authorize".parse().unwrap(),
            scopes: String::new(),
        };
        assert_eq!((settings.login_url().as_str(), settings.session_cookie()), (login, cookie));
    }
}
