//! Manifests of `McpServer`.

use portico_crds::check::{check, without_nulls};
use serde_json::{Value, json};

use crate::verdict::{accepted, refused};

fn server(spec: &Value) -> Value {
    json!({"apiVersion": "portico.dev/v1alpha1", "kind": "McpServer", "metadata": {"name": "a"}, "spec": spec})
}

fn with(field: &str, value: &Value) -> Value {
    let mut spec = json!({"source": {"image": {"name": "example:1", "command": ["serve"]}}});
    spec[field] = value.clone();
    server(&spec)
}

#[test]
fn each_kind_of_source_is_accepted() {
    for source in [
        json!({"image": {"name": "example:1"}}),
        json!({"builtin": {"name": "files"}}),
        json!({"package": {"name": "npm:@modelcontextprotocol/server-everything", "version": "2026.8.31"}}),
        json!({"package": {"name": "pypi:mcp-server-time", "version": "1.0.0"}}),
        json!({"remote": {"url": "https://mcp.example.com/mcp"}}),
        json!({"service": {"name": "there", "port": 80}}),
    ] {
        accepted(&server(&json!({"source": source})));
    }
}

#[test]
fn a_source_must_be_exactly_one() {
    refused(&server(&json!({"source": {}})), "exactly one of");
    refused(
        &server(&json!({"source": {"image": {"name": "a"}, "builtin": {"name": "files"}}})),
        "exactly one of",
    );
}

#[test]
fn stdio_is_only_for_programs() {
    accepted(&with("transport", &json!("Stdio")));
    refused(
        &server(&json!({"source": {"remote": {"url": "https://a.example/mcp"}}, "transport": "Stdio"})),
        "may be 'Stdio' only with",
    );
    refused(
        &server(&json!({"source": {"builtin": {"name": "files"}}, "transport": "Stdio"})),
        "may be 'Stdio' only with",
    );
}

#[test]
fn one_stream_is_for_servers_of_sessions() {
    let remote = json!({"remote": {"url": "https://a.example/sse"}});
    for source in [
        remote.clone(),
        json!({"image": {"name": "example:1"}}),
        json!({"service": {"name": "a", "port": 80}}),
    ] {
        accepted(&server(&json!({"source": source, "transport": "Sse", "path": "/sse"})));
    }
    let expected = "`transport` may not be 'Sse' with";
    refused(&server(&json!({"source": remote, "transport": "Sse", "protocol": "Modern"})), expected);
    refused(&server(&json!({"source": {"builtin": {"name": "files"}}, "transport": "Sse"})), expected);
}

#[test]
fn nothing_of_a_deployment_goes_with_a_server_that_runs_elsewhere() {
    let remote = |field: &str, value: Value| {
        let mut spec = json!({"source": {"remote": {"url": "https://a.example/mcp"}}});
        spec[field] = value;
        server(&spec)
    };
    for (field, value) in [
        ("replicas", json!(1)),
        ("env", json!([{"name": "A", "value": "1"}])),
        ("envFrom", json!([{"secretRef": "a"}])),
        ("secretMounts", json!([{"secretRef": "a", "mountPath": "/a"}])),
        ("configFiles", json!([{"path": "/a", "content": ""}])),
        ("volumes", json!([{"name": "a", "mountPath": "/a", "emptyDir": {}}])),
        ("resources", json!({})),
        ("gpu", json!({"count": 1})),
        ("placement", json!({})),
        ("podTemplate", json!({})),
        ("egress", json!([{"name": "a", "cidrs": ["0.0.0.0/0"]}])),
    ] {
        refused(&remote(field, value), "nothing is deployed");
    }
    refused(&remote("port", json!(9000)), "`port` must be absent");
    accepted(&remote("tools", json!({"include": ["a*"]})));
}

#[test]
fn a_url_must_be_one() {
    refused(
        &server(&json!({"source": {"remote": {"url": "ftp://a.example/x"}}})),
        "scheme 'http' or 'https'",
    );
    refused(&server(&json!({"source": {"remote": {"url": "not a url"}}})), "absolute URL");
}

#[test]
fn unions_inside_lists_must_have_one_member() {
    refused(&with("env", &json!([{"name": "A"}])), "exactly one of");
    refused(
        &with(
            "env",
            &json!([{"name": "A", "value": "1", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
        ),
        "exactly one of",
    );
    refused(&with("env", &json!([{"name": "A", "valueFrom": {}}])), "exactly one of");
    refused(&with("envFrom", &json!([{}])), "exactly one of");
    refused(&with("volumes", &json!([{"name": "a", "mountPath": "/a"}])), "exactly one of");
    refused(&with("egress", &json!([{"name": "a"}])), "exactly one of");
    accepted(&with(
        "env",
        &json!([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
    ));
}

#[test]
fn names_are_short_enough_for_what_is_made_of_them() {
    let named = |name: &str| {
        let mut manifest = with("port", &json!(80));
        manifest["metadata"]["name"] = json!(name);
        manifest
    };
    accepted(&named(&"a".repeat(50)));
    refused(&named(&"a".repeat(51)), "at most 50 characters");
    refused(&named("1a"), "begin with a letter");
    refused(&named("Ünïcode"), "metadata.name");
    refused(&named(""), "metadata.name");
    let mut nameless = with("port", &json!(80));
    nameless["metadata"] = json!({});
    refused(&nameless, "metadata.name: is required");
}

#[test]
fn a_typing_error_is_named_with_what_was_meant() {
    refused(
        &with("replica", &json!(1)),
        "spec.replica: is not a field of this kind; did you mean 'replicas'?",
    );
    refused(
        &with("transport", &json!("stdio")),
        "spec.transport: 'stdio' must be one of 'StreamableHttp', 'Sse', 'Stdio'; did you mean 'Stdio'?",
    );
    refused(&server(&json!({"source": {"builtin": {"name": "file"}}})), "did you mean 'files'?");
}

#[test]
fn wrong_types_are_named_in_plain_words() {
    refused(&with("port", &json!("80")), "spec.port: must be a whole number, not the text '80'");
    refused(
        &with("env", &json!([{"name": "A", "value": 1}])),
        "spec.env[0].value: must be text, not the number 1; text needs quotes",
    );
    refused(&with("env", &json!({"A": "1"})), "spec.env: must be a list, not a map of fields");
    refused(&with("gpu", &json!([])), "spec.gpu: must be a map of fields, not a list");
    refused(&with("path", &json!(true)), "spec.path: must be text, not the truth value true");
    refused(&with("podTemplate", &json!("x")), "must be a map of fields");
}

#[test]
fn null_counts_as_absent_but_not_in_a_list() {
    accepted(&with("gpu", &Value::Null));
    accepted(&with("env", &Value::Null));
    refused(&with("source", &Value::Null), "spec.source: is required");
    refused(&with("env", &json!([null])), "spec.env[0]: must be a map of fields, not empty (null)");
    let patch = with("podTemplate", &json!({"spec": {"affinity": null}}));
    assert_eq!(without_nulls(&patch), patch, "a null in a patch takes a field away");
}

#[test]
fn bounds_are_kept() {
    refused(&with("port", &json!(0)), "0 must be 1 or more");
    refused(&with("port", &json!(65536)), "65536 must be 65535 or less");
    refused(&with("replicas", &json!(-1)), "-1 must be 0 or more");
    refused(&with("path", &json!("mcp")), "must match");
    refused(&with("path", &json!("")), "must not be empty");
    refused(&with("path", &json!("/".repeat(300))), "at most 256");
    let many: Vec<Value> = (0..200).map(|i| json!({"name": format!("A{i}"), "value": ""})).collect();
    refused(&with("env", &json!(many)), "has 200 items; at most 128 are allowed");
    refused(
        &with("resources", &json!({"limits": {"cpu": "lots"}})),
        "spec.resources.limits.cpu: 'lots' must match",
    );
    accepted(&with("resources", &json!({"limits": {"cpu": 2, "memory": "1Gi"}})));
}

#[test]
fn items_with_the_same_key_are_refused() {
    refused(
        &with("env", &json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}])),
        "spec.env[1]: 'A' has the same name",
    );
    refused(&with("tools", &json!({"include": ["a", "a"]})), "'a' is in the list twice");
}

#[test]
fn an_override_of_a_tool_changes_something_and_no_two_give_one_name() {
    let overrides = |items: Value| with("tools", &json!({"overrides": items}));
    accepted(&overrides(json!([
        {"name": "a", "as": "shop.a-1_b", "title": "A", "description": "Does a.",
         "annotations": {"readOnlyHint": "Asserted", "openWorldHint": "Denied"}},
        {"name": "b", "as": "c"},
        {"name": "c", "as": "b"},
    ])));
    refused(&overrides(json!([{"name": "a"}])), "must change something");
    refused(
        &overrides(json!([{"name": "a", "annotations": {}}])),
        "at least one of `readOnlyHint`, `destructiveHint`, `idempotentHint` and `openWorldHint`",
    );
    refused(
        &overrides(json!([{"name": "a", "as": "x"}, {"name": "b", "as": "x"}])),
        "two items of `overrides` must not give the same name in `as`",
    );
    refused(&overrides(json!([{"name": "a", "as": "x"}, {"name": "a", "as": "y"}])), "has the same name");
    refused(&overrides(json!([{"name": "a", "as": "x y"}])), "spec.tools.overrides[0].as: 'x y' must match");
    refused(
        &overrides(json!([{"name": "a", "annotations": {"readOnlyHint": true}}])),
        "spec.tools.overrides[0].annotations.readOnlyHint",
    );
    let many: Vec<Value> = (0..65).map(|i| json!({"name": format!("t{i}"), "title": "x"})).collect();
    refused(&overrides(json!(many)), "has 65 items; at most 64 are allowed");
}

#[test]
fn a_pin_reports_or_quarantines() {
    accepted(&with("tools", &json!({"pin": "Report"})));
    accepted(&with("tools", &json!({"pin": "Quarantine"})));
    refused(&with("tools", &json!({"pin": "quarantine"})), "did you mean 'Quarantine'?");
}

#[test]
fn a_manifest_nested_without_end_is_refused_and_not_followed() {
    let mut deep = json!(1);
    for _ in 0..500 {
        deep = json!([deep]);
    }
    refused(&with("env", &deep), "spec.env[0]");
    accepted(&with("podTemplate", &json!({"spec": {}})));
}

#[test]
fn other_kinds_are_not_ours_to_judge() {
    assert!(check(&json!({"apiVersion": "v1", "kind": "Secret"})).is_none());
    assert!(check(&json!("text")).is_none());
    assert!(check(&json!({"apiVersion": "portico.dev/v1", "kind": "McpServer"})).is_none());
}

#[test]
fn paths_are_exposed_that_can_be_read_in_one_way_and_are_not_the_endpoints() {
    accepted(&with(
        "expose",
        &json!([{"path": "/auth/callback", "methods": ["GET"]}, {"path": "/api", "type": "Prefix"}]),
    ));
    for path in ["/a//b", "/a/../b", "/./a"] {
        refused(&with("expose", &json!([{ "path": path }])), "`path` must not have empty parts");
    }
    for path in ["api", "/", "/a/", "/a%2fb", "/a b"] {
        refused(&with("expose", &json!([{ "path": path }])), "expose[0].path");
    }
    refused(
        &with("expose", &json!([{"path": "/mcp"}])),
        "`expose` must not hold the path of the MCP endpoint",
    );
    let stdio =
        json!({"source": {"package": {"name": "npm:tool", "version": "1.0.0"}}, "expose": [{"path": "/a"}]});
    refused(&server(&stdio), "`expose` must be absent for a server that speaks standard input");
}

fn with_auth(auth: &Value) -> Value {
    server(&json!({"source": {"remote": {"url": "https://a.example/mcp"}}, "upstreamAuth": auth}))
}

fn client(token_url: &str) -> Value {
    let key = |key: &str| json!({"name": "idp", "key": key});
    json!({"tokenUrl": token_url, "clientIdRef": key("id"), "clientSecretRef": key("secret")})
}

#[test]
fn a_server_is_shown_exactly_one_kind_of_credential() {
    let header = json!({"secretKeyRef": {"name": "a", "key": "token"}, "prefix": "Bearer "});
    accepted(&with_auth(&json!({ "header": header })));
    accepted(&with_auth(&json!({"clientCredentials": client("https://id.example.com/token")})));
    let mut exchange = client("http://dex.auth.svc.cluster.local:5556/token");
    exchange["requestedTokenType"] = "Jwt".into();
    exchange["ownRequests"] = "Anonymous".into();
    exchange["scopes"] = json!(["shop:read", "offline_access"]);
    accepted(&with_auth(&json!({ "tokenExchange": exchange })));
    accepted(&with_auth(&json!({"authorizationCode": {}})));
    let registered =
        json!({"issuer": "https://id.example.com/realms/a", "clientIdRef": {"name": "a", "key": "id"}});
    accepted(&with_auth(&json!({ "authorizationCode": registered })));
    let secret_alone = json!({"clientSecretRef": {"name": "a", "key": "secret"}});
    refused(
        &with_auth(&json!({ "authorizationCode": secret_alone })),
        "`clientSecretRef` needs `clientIdRef`",
    );
    refused(
        &with_auth(&json!({"authorizationCode": {"issuer": "http://id.example.com"}})),
        "`issuer` must be an absolute URL",
    );
    refused(&with_auth(&json!({})), "exactly one of `header`");
    let both = json!({"header": header, "clientCredentials": client("https://id.example.com/token")});
    refused(&with_auth(&both), "exactly one of `header`");
}

#[test]
fn secrets_go_to_token_endpoints_that_nobody_listens_in_on() {
    for url in ["http://localhost:5556/token", "http://127.0.0.1/token", "http://dex.auth.svc:80/token"] {
        accepted(&with_auth(&json!({ "clientCredentials": client(url) })));
    }
    for url in [
        "http://id.example.com/token",
        "ftp://id.example.com",
        "https://user:word@id.example.com/token",
        "https://id.example.com/token#a",
        "http://evil.example/.svc/token",
        "/oauth/token",
    ] {
        for kind in ["clientCredentials", "tokenExchange"] {
            refused(&with_auth(&json!({ kind: client(url) })), "`tokenUrl` must be an absolute URL");
        }
    }
}

#[test]
fn a_secret_stands_in_no_header_that_somebody_else_writes() {
    let header = |name: &str| json!({"header": {"name": name, "secretKeyRef": {"name": "a", "key": "b"}}});
    for name in ["X-API-Key", "authorization", "PRIVATE-TOKEN"] {
        accepted(&with_auth(&header(name)));
    }
    for name in ["Host", "content-length", "Mcp-Session-Id", "Portico-Identity", "Connection", "Cookie"] {
        refused(&with_auth(&header(name)), "must not be a header that the gateway");
    }
    refused(&with_auth(&header("a b")), "upstreamAuth.header.name");
}
