//! What configurations say, and what is told of bad ones.

use super::*;

fn refused(text: &str) -> String {
    Config::parse(text).unwrap_err().to_string()
}

#[test]
fn an_empty_file_is_the_default() {
    for text in ["", "# nothing\n", "{}", "names: {}"] {
        let config = Config::parse(text).unwrap();
        assert_eq!((config.names.prefix, config.tool_sets.len()), (Prefix::OnClash, 0), "{text}");
    }
}

/// Texts that are refused, and what is said of each.
type Cases = &'static [(&'static str, &'static str)];

const NAMES: Cases = &[
    (
        "name: {}",
        "unknown field `name`, expected one of `names`, `toolSets`, `auth`, `publicUrl`, `identity`, `limits`, `trustedProxies`, `access`, `audit`, `tls`",
    ),
    ("names: {prefix: Sometimes}", "names.prefix: unknown variant `Sometimes`"),
    ("toolSets: [{name: a}, {name: b, server: []}]", "toolSets[1].server: unknown field"),
    ("toolSets: [{name: a, tools: ['a', '[']}]", "toolSets[0].tools[1]: "),
    ("toolSets: [{name: A}]", "toolSets[0].name: must be 1 to 63 characters"),
    ("toolSets: [{name: a}, {name: a}]", "toolSets[1].name: 'a' is the name of a set before it"),
    ("toolSets: [{name: a, pinned: [b]}]", "toolSets[0].pinned: needs `discovery: Search`"),
    ("toolSets: [{servers: []}]", "toolSets[0]: missing field `name`"),
    ("access: {all: ['key:a']}", "access.all: without `auth` nobody knows"),
    ("toolSets: [{name: a, principals: ['key:a']}]", "toolSets[0].principals: without `auth`"),
];

const LIMITS: Cases = &[
    (
        "access: {rules: [{name: a, principals: ['key:a'], effect: Deny}]}",
        "access.rules[0].principals: without",
    ),
    (
        "access: {rules: [{name: a, effect: Allow}, {name: a, effect: Deny}]}",
        "access.rules[1].name: 'a' is the name of a rule before it",
    ),
    ("access: {rules: [{name: a, effect: Refuse}]}", "access.rules[0].effect: unknown variant `Refuse`"),
    ("access: {rules: [{name: a, effect: Deny, when: 'a >'}]}", "access.rules[0].when: it is not a CEL"),
    (
        "access: {rules: [{name: a, effect: Deny, when: 'amount > 1'}]}",
        "access.rules[0].when: there is no `amount`; there are principal,",
    ),
    ("access: {rules: [{name: a, effect: RequireScopes}]}", "access.rules[0].scopes: 1 to 32 are needed"),
    ("access: {rules: [{name: a, effect: Deny, scopes: [b]}]}", "access.rules[0].scopes: 1 to 32"),
    ("limits: {quotas: [{name: a, calls: 0, seconds: 1}]}", "limits.quotas[0].calls: must be 1 to"),
    ("limits: {quotas: [{name: a, calls: 1}]}", "limits.quotas[0].seconds: exactly one of"),
    ("limits: {quotas: [{name: a, calls: 1, every: Day, burst: 1}]}", "limits.quotas[0].burst: goes with"),
    (
        "limits: {quotas: [{name: a, calls: 2, seconds: 1, burst: 3}]}",
        "limits.quotas[0].burst: must be 1 to 2",
    ),
    (
        "limits: {quotas: [{name: a, calls: 2, every: Week}]}",
        "limits.quotas[0].every: unknown variant `Week`",
    ),
    (
        "limits: {quotas: [{name: a, calls: 2, every: Day, counts: Requests, per: [Tool]}]}",
        "limits.quotas[0].counts: ",
    ),
    (
        "limits: {quotas: [{name: a, calls: 2, every: Day, per: [Principal]}]}",
        "limits.quotas[0]: without `auth`",
    ),
    ("limits: {redis: {url: 'redis://me:secret@a'}}", "limits.redis.url: must hold no password"),
    ("limits: {redis: {url: 'http://a'}}", "limits.redis.url: must be redis://"),
    ("limits: {bodyBytes: 10}", "limits.bodyBytes: must be 1024 to"),
    ("audit: {}", "audit: missing field `file`"),
    ("audit: {file: a, redact: ['[']}", "audit.redact[0]: "),
    ("trustedProxies: [10.0.0.0/99]", "trustedProxies[0]: "),
];

const AUTH: Cases = &[
    ("auth: {}", "auth: lets nobody in"),
    (
        "auth: {oauth: {resource: 'http://a.example', issuers: []}}",
        "auth.oauth.resource: must be an absolute URL",
    ),
    (
        "auth: {oauth: {resource: 'https://a.example', issuers: []}}",
        "auth.oauth.issuers: 1 to 16 are allowed",
    ),
    (
        "auth: {oauth: {resource: 'https://a.example', issuers: [{issuer: id}]}}",
        "auth.oauth.issuers[0].issuer: must be",
    ),
    ("publicUrl: http://a.example", "publicUrl: must be an absolute URL"),
    ("identity: {}", "identity: missing field `issuer`"),
    ("identity: {issuer: gateway}", "identity.issuer: must be an absolute URL"),
    ("tls: {certFile: a}", "tls: missing field `keyFile`"),
    ("tls: {certFile: a, keyFile: ''}", "tls.keyFile: must be the path"),
    ("auth: {apiKeys: {file: a}}", "auth.apiKeys.file: unknown field"),
    ("names: {prefix: Never}\nnames: {prefix: Always}", "it is not YAML: "),
    ("names: [", "it is not YAML: "),
];

#[test]
fn an_error_names_the_path_and_what_would_be_right() {
    for (text, expected) in [NAMES, LIMITS, AUTH].concat() {
        let message = refused(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
    let many: String = (0..65).map(|index| format!("- name: s{index}\n")).collect();
    assert!(refused(&format!("toolSets:\n{many}")).contains("at most 64 tool sets"));
    assert!(refused(&"#".repeat(MAX_BYTES + 1)).contains("longer than"));
}

#[test]
fn a_set_takes_servers_and_tools_by_globs() {
    let text =
        "toolSets: [{name: a, servers: ['shop/*', kitchen/stove], tools: ['read_*', 'shop/files/write']}]";
    let set = &Config::parse(text).unwrap().tool_sets[0];
    let key = |namespace: &str, name: &str| ServerKey { namespace: namespace.into(), name: name.into() };
    let files = key("shop", "files");
    assert!(set.takes_server(&files) && set.takes_server(&key("kitchen", "stove")));
    assert!(!set.takes_server(&key("kitchen", "files")) && !set.takes_server(&key("a", "shop")));
    assert!(set.takes_tool(&files, "read_file") && set.takes_tool(&files, "write"));
    assert!(!set.takes_tool(&key("kitchen", "stove"), "write") && !set.takes_tool(&files, "delete"));
}
