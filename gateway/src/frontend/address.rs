//! Whence a request comes.

use std::net::{IpAddr, SocketAddr};

use ::http::{HeaderName, Request};
use ipnet::IpNet;

/// The other end of the connection that a request came over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client: the other end of the connection or, where that is a proxy of `trusted`, the last address before
/// trusted ones in `X-Forwarded-For`, since anybody can write what stands before it.
pub(super) fn of<B>(request: &Request<B>, trusted: &[IpNet]) -> Option<IpAddr> {
    let Peer(peer) = request.extensions().get::<Peer>()?;
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut address = peer.ip().to_canonical();
    let headers = request.headers().get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = headers.flat_map(|value| value.split(',')).map(str::trim).collect();
    for hop in hops.into_iter().rev() {
        if !is_trusted(&address) {
            break;
        }
        let Ok(before) = hop.parse::<IpAddr>() else { break };
        address = before.to_canonical();
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: &str, forwarded: &[&str]) -> String {
        let mut request = Request::new(());
        request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        for value in forwarded {
            request.headers_mut().append(FORWARDED_FOR, value.parse().unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        of(&request, &trusted).unwrap().to_string()
    }

    #[test]
    fn only_proxies_that_are_trusted_say_whence_a_request_comes() {
        assert_eq!(address("203.0.113.9:1", &["198.51.100.1"]), "203.0.113.9", "not a trusted proxy");
        assert_eq!(address("10.0.0.1:1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(
            address("10.0.0.1:1", &["6.6.6.6, 198.51.100.1, 10.2.0.1"]),
            "198.51.100.1",
            "6.6.6.6 is made up"
        );
        assert_eq!(address("10.0.0.1:1", &["6.6.6.6", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(address("10.0.0.1:1", &["unknown"]), "10.0.0.1");
        assert_eq!(address("10.0.0.1:1", &[]), "10.0.0.1");
        assert_eq!(address("[::ffff:10.0.0.1]:1", &["2001:db8::1"]), "2001:db8::1");
    }
}
