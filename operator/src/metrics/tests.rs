//! Tests of the metrics.

use super::*;

#[test]
fn passes_are_counted_by_kind_and_result_and_while_they_last() {
    let metrics = Metrics::default();
    metrics.pass("McpServer").end(&Ok(()));
    let pass = metrics.pass("McpServer");
    let text = metrics.text();
    let has = |line: &str| assert!(text.contains(line), "{line} in {text}");
    has(r#"controller_runtime_reconcile_total{controller="McpServer",result="requeue_after"} 1"#);
    has(r#"controller_runtime_active_workers{controller="McpServer"} 1"#);
    has(r#"workqueue_longest_running_processor_seconds{name="McpServer"}"#);
    pass.end(&Err::<(), _>(Error::Panic("x".into())));
    let text = metrics.text();
    assert!(text.contains(r#"controller_runtime_active_workers{controller="McpServer"} 0"#), "{text}");
    assert!(
        text.contains(r#"controller_runtime_reconcile_panics_total{controller="McpServer"} 1"#),
        "{text}"
    );
}

#[test]
fn a_condition_has_one_series_and_none_once_its_resource_is_gone() {
    let metrics = Metrics::default();
    let mut server = portico_crds::McpServer::new(
        "a",
        serde_json::from_value(serde_json::json!({
        "source": {"builtin": {"name": "files"}}}))
        .unwrap(),
    );
    server.metadata.namespace = Some("shop".into());
    let condition = |status: &str| Condition {
        type_: "Ready".into(),
        status: status.into(),
        reason: "Pending".into(),
        message: String::new(),
        observed_generation: None,
        last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            jiff::Timestamp::UNIX_EPOCH,
        ),
    };
    metrics.conditions(&server, &[condition("False")]);
    metrics.conditions(&server, &[condition("True")]);
    let series =
        |text: &str| text.lines().filter(|line| line.starts_with("portico_resource_condition{")).count();
    let text = metrics.text();
    assert_eq!(series(&text), 1, "{text}");
    assert!(text.contains(r#"name="a",type="Ready",status="True"} 1"#), "{text}");
    metrics.forget("McpServer", "shop", "a");
    assert_eq!(series(&metrics.text()), 0);
}

#[test]
fn what_is_documented_is_what_is_emitted() {
    let metrics = Metrics::default();
    let server = portico_crds::McpServer::new(
        "a",
        serde_json::from_value(serde_json::json!({"source": {"builtin": {"name": "files"}}})).unwrap(),
    );
    let ready = Condition {
        type_: "Ready".into(),
        status: "True".into(),
        reason: "RolledOut".into(),
        message: String::new(),
        observed_generation: None,
        last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            jiff::Timestamp::UNIX_EPOCH,
        ),
    };
    let timeout = Error::Timeout { verb: "get", object: String::new() };
    metrics.pass("McpServer").end(&Err::<(), _>(timeout));
    metrics.pass("McpServer").end(&Err::<(), _>(Error::Panic(String::new())));
    metrics.pass("McpServer").end(&Err::<(), _>(Error::Undecodable(String::new())));
    metrics.request(&http::Method::GET, 200, Duration::ZERO);
    metrics.wrote("apply", "Service", Why::Drift);
    metrics.behind("Service");
    metrics.leads(true);
    metrics.conditions(&server, &[ready]);
    let text = metrics.text();
    let emitted: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        })
        .collect();
    let page = include_str!("../../../docs/operator.md");
    let table = page.split("## Metrics").nth(1).unwrap_or_default();
    let documented: BTreeSet<String> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(documented, emitted);
}
