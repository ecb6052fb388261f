//! Where a remote server may be: on the public Internet, and elsewhere only if that is said. Whoever may write an
//! `McpServer` could otherwise have the gateway speak to whatever its own network reaches (server-side request forgery).
//!
//! Names are looked up and judged when a connection is made, so that a name cannot be pointed elsewhere in between.
//! Redirects are not followed at all.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use ipnet::IpNet;
use tower::Service;

/// Networks that are not the public Internet (IANA special-purpose registries, RFC 6890).
const SPECIAL: [&str; 14] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];
/// The one part of IPv6 that is given out, and what in it is special: tunnels could lead anywhere.
const GLOBAL_IPV6: &str = "2000::/3";
const SPECIAL_IPV6: [&str; 4] = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

/// Decides about addresses.
#[derive(Debug)]
pub(crate) struct Guard {
    allowed: Vec<IpNet>,
    special: Vec<IpNet>,
    global_ipv6: Vec<IpNet>,
}

impl Guard {
    /// Admits public addresses, and those in `allowed`.
    pub(crate) fn new(allowed: &[IpNet]) -> Self {
        // The constants above are right; a test looks.
        let parse = |nets: &[&str]| nets.iter().filter_map(|net| net.parse().ok()).collect();
        let special = [&SPECIAL[..], &SPECIAL_IPV6[..]].concat();
        Self { allowed: allowed.to_vec(), special: parse(&special), global_ipv6: parse(&[GLOBAL_IPV6]) }
    }

    /// Whether a connection to `address` may be made.
    pub(crate) fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&address));
        let is_public = !within(&self.special) && (address.is_ipv4() || within(&self.global_ipv6));
        is_public || within(&self.allowed)
    }

    /// Whether a connection to this host of a URL may be made, as far as can be told before its name is looked up.
    pub(crate) fn admits_host(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse().map_or(true, |address| self.admits(address))
    }
}

/// Looks names up; with a guard, leaves out what that does not admit.
#[derive(Clone)]
pub(crate) struct Resolver {
    inner: GaiResolver,
    guard: Option<Arc<Guard>>,
}

impl Resolver {
    pub(crate) fn new(guard: Option<Arc<Guard>>) -> Self {
        Self { inner: GaiResolver::new(), guard }
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (host, found, guard) = (name.to_string(), self.inner.call(name), self.guard.clone());
        Box::pin(async move { admitted(&host, found.await?.collect(), guard.as_deref()) })
    }
}

fn admitted(
    host: &str,
    found: Vec<SocketAddr>,
    guard: Option<&Guard>,
) -> io::Result<std::vec::IntoIter<SocketAddr>> {
    let first = found.first().copied();
    let admits = |address: &SocketAddr| guard.is_none_or(|guard| guard.admits(address.ip()));
    let admitted: Vec<SocketAddr> = found.into_iter().filter(admits).collect();
    match first {
        Some(address) if admitted.is_empty() => Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("`{host}` is at {}, which is not public; {MEND}", address.ip()),
        )),
        _ => Ok(admitted.into_iter()),
    }
}

/// What helps against a refusal.
pub(crate) const MEND: &str = "if that is meant, allow its network with --allow-remote";

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allowed: &[&str]) -> Guard {
        Guard::new(&allowed.iter().map(|net| net.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn every_network_is_written_right() {
        let guard = guard(&[]);
        assert_eq!(guard.special.len(), SPECIAL.len() + SPECIAL_IPV6.len());
        assert_eq!(guard.global_ipv6.len(), 1);
    }

    #[test]
    fn public_addresses_are_admitted_and_others_are_not() {
        let guard = guard(&[]);
        for public in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(guard.admits_host(public), "{public}");
        }
        let others = [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "[::1]",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "2001::1",
            "ff02::1",
        ];
        for other in others {
            assert!(!guard.admits_host(other), "{other}");
        }
    }

    #[test]
    fn what_is_allowed_is_admitted_and_a_name_waits_for_its_address() {
        let guard = guard(&["10.1.0.0/16", "fd00::/8"]);
        assert!(
            guard.admits_host("10.1.9.9") && guard.admits_host("fd00::1") && !guard.admits_host("10.2.0.1")
        );
        assert!(guard.admits_host("metadata.internal"));
        let found =
            |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let error = admitted("metadata.internal", found(&["169.254.169.254:80"]), Some(&guard)).unwrap_err();
        assert!(error.to_string().contains("169.254.169.254, which is not public"), "{error}");
        let left: Vec<_> =
            admitted("a", found(&["10.2.0.1:80", "10.1.0.1:80"]), Some(&guard)).unwrap().collect();
        assert_eq!(left, found(&["10.1.0.1:80"]));
    }
}
