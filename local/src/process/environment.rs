//! The environment of a workload: what programs need to run at all, and the manifest's own variables. Nothing else of
//! the person's shell is passed on, since it may hold secrets that are no server's business.

use std::{collections::BTreeMap, ffi::OsString};

/// Where programs and their settings are, the language, the time zone, and which certificates to trust.
const NEEDED: [&str; 17] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TZ",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LC_COLLATE",
    "LC_NUMERIC",
    "LC_TIME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
];
/// How to reach the network, where that is not direct.
const PROXIES: [&str; 8] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
];

/// The variables of a process with these variables `of_manifest`.
pub fn variables(
    of_manifest: &BTreeMap<String, String>,
    shell: impl Fn(&str) -> Option<OsString>,
) -> BTreeMap<String, OsString> {
    let needed = NEEDED.iter().filter_map(|name| Some(((*name).to_owned(), shell(name)?)));
    // A proxy's address may hold a password; a server that needs that proxy gets it from its manifest.
    let proxies = PROXIES.iter().filter_map(|name| {
        let value = shell(name)?;
        let open = !value.to_string_lossy().contains('@');
        open.then(|| ((*name).to_owned(), value))
    });
    let own = of_manifest.iter().map(|(name, value)| (name.clone(), value.into()));
    needed.chain(proxies).chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_the_shell_stay_there_and_the_manifest_has_the_last_word() {
        let shell = |name: &str| match name {
            "PATH" | "HOME" => Some("/shell".into()),
            "HTTPS_PROXY" => Some("http://me:secret@proxy:3128".into()),
            "NO_PROXY" => Some("localhost".into()),
            "API_TOKEN" => Some("secret".into()),
            _ => None,
        };
        let manifest = BTreeMap::from([("HOME".to_owned(), "/own".to_owned()), ("A".into(), "b".into())]);
        let expected = [("A", "b"), ("HOME", "/own"), ("NO_PROXY", "localhost"), ("PATH", "/shell")];
        let expected: BTreeMap<String, OsString> =
            expected.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        assert_eq!(variables(&manifest, shell), expected);
    }
}
