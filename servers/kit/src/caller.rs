//! Who calls, and how a call is told apart from others in logs.

use std::{fmt, net::IpAddr, sync::Arc};

use http::HeaderMap;
use sha2::{Digest as _, Sha256};

use crate::Secret;

/// Longest correlation id that is taken over from a caller, in bytes.
const LONGEST_ID: usize = 128;
/// The header that carries it, both ways.
pub const CORRELATION_ID: &str = "x-correlation-id";

tokio::task_local! {
    static CURRENT: Correlation;
}

/// The id under which everything that one call causes can be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation(Arc<str>);

impl Correlation {
    /// The caller's own id where it sent one of up to 128 letters, digits, `.`, `_` and `-`; else a new one.
    #[must_use]
    pub fn of_headers(headers: &HeaderMap) -> Self {
        let given = headers.get(CORRELATION_ID).and_then(|value| value.to_str().ok());
        given.filter(|id| is_plain(id)).map_or_else(Self::new, |id| Self(id.into()))
    }

    /// A new id.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        Self(uuid::Uuid::now_v7().simple().to_string().into())
    }

    /// The id of the call that this task works for.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs `work` under this id.
    pub async fn scope<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Correlation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_plain(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(plain)
}

/// Who calls, as far as it is known. Neither member appears in a log.
#[derive(Clone, Default)]
pub struct Caller {
    /// Who the gateway says is asking; checked, see [`crate::identity`].
    pub subject: Option<Arc<str>>,
    /// The session that the caller named, by cookie or by the argument `session_id`; not checked.
    pub session: Option<Secret>,
    /// Where the connection comes from.
    pub address: Option<IpAddr>,
    /// Languages the caller reads, as `Accept-Language` has them (RFC 9110, 12.5.4).
    pub languages: Option<Arc<str>>,
}

impl Caller {
    /// A number by which calls of one user are counted together, those of nobody in particular by their address. It tells nothing of either.
    #[must_use]
    pub fn key(&self, user: Option<&str>) -> u128 {
        let (kind, text) = match (user, self.address) {
            (Some(user), _) => ("user", user.to_owned()),
            (None, Some(address)) => ("address", network(address).to_string()),
            (None, None) => ("nobody", String::new()),
        };
        let digest = Sha256::new().chain_update(kind).chain_update([0]).chain_update(text).finalize();
        digest.iter().take(16).fold(0, |key, byte| key << 8 | u128::from(*byte))
    }
}

/// What an address is counted by: that of IPv4 itself, also where it is written as one of IPv6, and the 64 bits of a network of IPv6,
/// since whoever has one address of it has all.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
        address @ IpAddr::V4(_) => address,
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("subject", &self.subject.is_some())
            .field("session", &self.session.is_some())
            .finish_non_exhaustive()
    }
}

/// The value of the cookie `name` (RFC 6265, 5.4).
#[must_use]
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(http::header::COOKIE);
    let pairs = all.iter().filter_map(|value| value.to_str().ok()).flat_map(|line| line.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        [(http::HeaderName::from_static(name), value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_callers_correlation_id_is_kept_where_it_can_do_no_harm() {
        let of = |id: &str| Correlation::of_headers(&headers(CORRELATION_ID, id)).to_string();
        assert_eq!(of("order-17.a_b"), "order-17.a_b");
        assert_ne!(of("two words"), "two words");
        assert_ne!(of(&"x".repeat(129)), "x".repeat(129));
        assert_ne!(Correlation::new(), Correlation::new());
    }

    #[tokio::test]
    async fn a_call_knows_its_id_and_others_do_not() {
        let id = Correlation::new();
        assert_eq!(id.clone().scope(async { Correlation::current() }).await, Some(id));
        assert_eq!(Correlation::current(), None);
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let headers = headers("cookie", "a=1; portico_session=abc=; b=2");
        assert_eq!(cookie(&headers, "portico_session"), Some("abc="));
        assert_eq!(cookie(&headers, "session"), None);
    }

    #[test]
    fn calls_are_counted_by_user_before_address() {
        let at = |address: &str| Caller { address: Some(address.parse().unwrap()), ..Caller::default() };
        assert_eq!(at("192.0.2.1").key(Some("ada")), at("192.0.2.2").key(Some("ada")));
        assert_ne!(at("192.0.2.1").key(Some("ada")), at("192.0.2.1").key(Some("bob")));
        assert_ne!(at("192.0.2.1").key(None), at("192.0.2.2").key(None));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let key =
            |address: &str| Caller { address: Some(address.parse().unwrap()), ..Caller::default() }.key(None);
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::2"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }

    #[test]
    fn printing_a_caller_tells_nothing_of_it() {
        let caller = Caller {
            subject: Some("ada@example.com".into()),
            session: Some(Secret::new("abc".to_owned())),
            ..Caller::default()
        };
        let printed = format!("{caller:?}");
        assert!(!printed.contains("ada") && !printed.contains("abc"), "{printed}");
    }
}
