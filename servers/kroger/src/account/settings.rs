//! Addresses of the sign-in and what is asked of the customer.

use portico_kit::{ConfigError, Environment, Secret, Url};

const REDIRECT: &str = "KROGER_REDIRECT_URI";
const MEND: &str = "set the redirect address that developer.kroger.com has, which ends with /auth/callback";

/// Settings of the sign-in.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    /// Where Kroger sends the browser back to.
    pub(super) redirect: Url,
    /// Where the customer consents.
    pub(super) authorize: Url,
    /// Separated by spaces.
    pub(super) scopes: String,
}

impl Settings {
    /// Reads `KROGER_REDIRECT_URI` (`https`, or `http` on a loopback address; its path ends with `/auth/callback`) and `KROGER_SCOPES`
    /// (by default `cart.basic:write profile.compact`). `None` where there is no redirect address: then nobody can sign in.
    pub fn from_env(
        environment: &Environment<'_>,
        client_id: &str,
        client_secret: &Secret,
        base: &Url,
    ) -> Result<Option<Self>, ConfigError> {
        if environment.text(REDIRECT).is_none() {
            return Ok(None);
        }
        let redirect = environment.url(REDIRECT, "")?;
        if !redirect.path().ends_with("/auth/callback") || redirect.query().is_some() {
            return Err(ConfigError::new(REDIRECT, "does not end with /auth/callback", MEND));
        }
        if redirect.scheme() != "https" && !is_loopback(&redirect) {
            let problem = "is plain http, which shows codes and cookies to everybody on the way";
            return Err(ConfigError::new(REDIRECT, problem, "start it with https://"));
        }
        let mut authorize = base.clone();
        authorize.set_path(&format!("{}/v1/connect/oauth2/authorize", base.path().trim_end_matches('/')));
        let scopes = environment.text("KROGER_SCOPES");
        Ok(Some(Self {
            client_id: client_id.to_owned(),
            client_secret: client_secret.clone(),
            redirect,
            authorize,
            scopes: scopes.unwrap_or_else(|| "cart.basic:write profile.compact".to_owned()),
        }))
    }

    /// Whether browsers speak TLS with us.
    pub(super) fn is_secure(&self) -> bool {
        self.redirect.scheme() == "https"
    }

    /// With the prefix `__Host-` a browser takes it from this host over TLS alone.
    pub(super) fn session_cookie(&self) -> &'static str {
        if self.is_secure() { "__Host-portico_session" } else { "portico_session" }
    }

    /// The cookie that binds a sign-in to the browser that began it.
    pub(super) fn login_cookie(&self) -> &'static str {
        if self.is_secure() { "__Host-portico_login" } else { "portico_login" }
    }

    pub(super) fn login_url(&self) -> Url {
        let mut url = self.redirect.clone();
        let path = url.path().trim_end_matches("callback").to_owned() + "login";
        url.set_path(&path);
        url
    }

    /// Scheme, host and port, as browsers write them in `Origin` (RFC 6454, 6.2).
    pub(super) fn origin(&self) -> String {
        self.redirect.origin().ascii_serialization()
    }

    pub(super) fn authorize_origin(&self) -> String {
        self.authorize.origin().ascii_serialization()
    }
}

fn is_loopback(url: &Url) -> bool {
    matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn settings(redirect: &str) -> Result<Option<Settings>, ConfigError> {
        let lookup = |name: &str| (name == REDIRECT).then(|| redirect.to_owned());
        let base = "https://api.kroger.com".parse().unwrap();
        Settings::from_env(&Environment::new(&lookup), "id", &Secret::new("secret".to_owned()), &base)
    }

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
        let settings = settings(redirect).unwrap().unwrap();
        assert_eq!((settings.login_url().as_str(), settings.session_cookie()), (login, cookie));
        assert_eq!(settings.authorize.as_str(), "https://api.kroger.com/v1/connect/oauth2/authorize");
    }

    #[rstest]
    #[case("http://shop.example/auth/callback")]
    #[case("https://shop.example/callback")]
    #[case("https://shop.example/auth/callback?a=b")]
    #[case("ftp://shop.example/auth/callback")]
    fn an_address_that_cannot_work_is_refused(#[case] redirect: &str) {
        assert_eq!(settings(redirect).unwrap_err().variable, REDIRECT);
    }

    #[test]
    fn without_an_address_nobody_can_sign_in() {
        assert!(settings("").unwrap().is_none());
    }
}
