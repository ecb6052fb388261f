//! Which model answers for which.

use portico_crds::{condition::Type, reason::Reason};
use portico_operator::condition::{Verdict, verdict};
use portico_operator::inference_model::fallback::{Standby, active, chain_back, reachable};
use rstest::rstest;
use serde_json::{Value, json};

fn links(all: &'static [(&str, &[&str])]) -> impl Fn(&str) -> Vec<String> + Copy {
    move |name| {
        let found = all.iter().find(|(from, _)| *from == name);
        found.map(|(_, to)| to.iter().map(ToString::to_string).collect()).unwrap_or_default()
    }
}

#[test]
fn a_chain_that_leads_back_is_told_from_end_to_end() {
    let loops = links(&[("a", &["x", "b"]), ("b", &["c"]), ("c", &["a"]), ("d", &["a"]), ("x", &[])]);
    assert_eq!(chain_back("a", loops).as_deref(), Some("a -> b -> c -> a"));
    assert_eq!(chain_back("c", loops).as_deref(), Some("c -> a -> b -> c"));
    assert_eq!(chain_back("d", loops), None, "it leads into a loop, but is no part of it");
    assert_eq!(chain_back("x", loops), None);
    let diamond = links(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"])]);
    assert_eq!(chain_back("a", diamond), None);
    let all: Vec<_> = reachable("d", loops).into_iter().collect();
    assert_eq!(all, ["a", "b", "c", "x"]);
}

fn available(status: &'static str, reason: Reason) -> Verdict {
    verdict(Type::Available, status, reason, "")
}

fn standby(available: bool, on: &Value) -> Standby {
    Standby { fallback: serde_json::from_value(json!({"modelRef": "small", "on": on})).unwrap(), available }
}

#[rstest]
#[case::well(available("True", Reason::MinimumReplicasAvailable), false, standby(true, &json!([])), "False FallbackIdle")]
#[case::at_zero(available("False", Reason::ScaledToZero), false, standby(true, &json!([])), "False FallbackIdle")]
#[case::down(available("False", Reason::NoReadyPod), false, standby(true, &json!([])), "True FallbackInUse")]
#[case::both_down(available("False", Reason::NoReadyPod), false, standby(false, &json!([])), "False FallbackUnavailable")]
#[case::not_for_this(available("False", Reason::NoReadyPod), false, standby(true, &json!(["Timeout"])), "False FallbackUnavailable")]
#[case::load_failed(available("False", Reason::NoReadyPod), true, standby(true, &json!(["LoadFailed"])), "True FallbackInUse")]
#[case::not_failed(available("False", Reason::NoReadyPod), false, standby(true, &json!(["LoadFailed"])), "False FallbackUnavailable")]
fn a_fallback_answers_when_the_model_cannot_and_it_can(
    #[case] own: Verdict,
    #[case] load_failed: bool,
    #[case] standby: Standby,
    #[case] expected: &str,
) {
    let found = active(&own, load_failed, &[standby]).unwrap();
    assert_eq!(format!("{} {}", found.status, found.reason.as_str()), expected);
    assert_eq!(active(&own, load_failed, &[]), None);
}
