//! The label by which a Service knows the pods that take new calls. Pure.
//!
//! The gateway changes it on a pod that is to go, so that the Service leaves that pod out first. It stands in the pod
//! template and is in no selector of a Deployment, which could never change.
//!
//! Workloads that an older version made have it neither there nor on their pods. They get it with the next change of
//! their pods, for a newer version restarts no unchanged workload; and the Service selects it only once no pod is without.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{PodTemplateSpec, Service},
};
use portico_crds::labels;

use crate::{child::is_within, workload::rolled_out};

/// Adds the label to those of a pod, if the pod is to have it.
pub fn mark(labels: &mut BTreeMap<String, String>, marked: bool) {
    if marked {
        labels.insert(labels::SERVING.to_owned(), labels::SERVES.to_owned());
    }
}

/// Whether pods of a Deployment get the label from its template.
#[must_use]
pub fn is_marked(deployment: &Deployment) -> bool {
    let labels = deployment.spec.as_ref().and_then(|spec| labels_of(&spec.template));
    labels.and_then(|labels| labels.get(labels::SERVING)).is_some_and(|value| value == labels::SERVES)
}

/// Whether `live` runs what `unmarked` wants, which is without the label: it is left as it is then. Where its `service` selects
/// the label, it had it, and somebody has taken it away.
#[must_use]
pub fn is_left_unmarked(
    unmarked: Option<&Deployment>,
    live: Option<&Deployment>,
    service: Option<&Service>,
) -> bool {
    let template = |deployment: &Deployment| {
        let spec = deployment.spec.as_ref()?;
        serde_json::to_value(&spec.template).ok()
    };
    let (Some(unmarked), Some(live)) = (unmarked, live.filter(|live| !is_marked(live))) else { return false };
    let labels = live.spec.as_ref().and_then(|spec| labels_of(&spec.template));
    if labels.is_some_and(|own| was_marked(service, own)) {
        return false;
    }
    match (template(unmarked), template(live)) {
        (Some(wanted), Some(present)) => is_within(&wanted, &present),
        _ => false,
    }
}

/// `service`, which also selects the label if every pod that it is to lead to has it: those of `workload` as it is wanted.
/// `before` is the Service, and `live` the workload, as they were.
#[must_use]
pub fn selecting(
    mut service: Service,
    before: Option<&Service>,
    workload: &Deployment,
    live: Option<&Deployment>,
) -> Service {
    let selector = service.spec.as_mut().and_then(|spec| spec.selector.as_mut());
    if let Some(selector) = selector.filter(|selector| {
        is_marked(workload)
            // A later rollout must not make it forget.
            && (live.is_none_or(|live| is_marked(live) && rolled_out(live)) || was_marked(before, selector))
    }) {
        mark(selector, true);
    }
    service
}

fn labels_of(template: &PodTemplateSpec) -> Option<&BTreeMap<String, String>> {
    template.metadata.as_ref()?.labels.as_ref()
}

/// Whether a Service leads to pods with these labels and with the one that marks them.
fn was_marked(service: Option<&Service>, labels: &BTreeMap<String, String>) -> bool {
    let selector = service.and_then(|service| service.spec.as_ref()?.selector.as_ref());
    selector.is_some_and(|selector| {
        selector.get(labels::SERVING).is_some_and(|value| value == labels::SERVES)
            && selector.iter().all(|(key, value)| key == labels::SERVING || labels.get(key) == Some(value))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn labels(marked: bool) -> BTreeMap<String, String> {
        let mut all = BTreeMap::from([("app".to_owned(), "a".to_owned())]);
        mark(&mut all, marked);
        all
    }

    /// A Deployment of two pods, of which so many are of its newest template and serve.
    fn deployment(marked: bool, image: &str, updated: i32) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"generation": 2},
            "spec": {"replicas": 2, "selector": {}, "template": {"metadata": {"labels": labels(marked)},
                "spec": {"containers": [{"name": "server", "image": image, "imagePullPolicy": "IfNotPresent"}]}}},
            "status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": updated, "availableReplicas": updated},
        }))
        .unwrap()
    }

    fn service(selector: &BTreeMap<String, String>) -> Service {
        serde_json::from_value(json!({"metadata": {}, "spec": {"selector": selector}})).unwrap()
    }

    fn selected(before: Option<bool>, wanted: &Deployment, live: Option<&Deployment>) -> bool {
        let before = before.map(|marked| service(&labels(marked)));
        let after = selecting(service(&labels(false)), before.as_ref(), wanted, live);
        after.spec.unwrap().selector.unwrap().contains_key(labels::SERVING)
    }

    #[test]
    fn a_new_workload_is_selected_by_the_label_from_its_first_pod_on() {
        assert!(selected(None, &deployment(true, "a", 0), None));
    }

    #[test]
    fn an_older_one_only_once_every_pod_has_the_label_and_always_after() {
        let wanted = deployment(true, "b", 0);
        assert!(
            !selected(Some(false), &wanted, Some(&deployment(false, "a", 2))),
            "the edit is not applied yet"
        );
        assert!(!selected(Some(false), &wanted, Some(&deployment(true, "b", 1))), "an old pod is there");
        assert!(selected(Some(false), &wanted, Some(&deployment(true, "b", 2))));
        assert!(selected(Some(true), &wanted, Some(&deployment(true, "c", 0))), "a later rollout");
    }

    #[test]
    fn what_runs_without_the_label_is_left_so_until_something_else_changes() {
        let (old, unchanged) = (deployment(false, "a", 2), deployment(false, "a", 0));
        let left = |wanted, live: Option<&Deployment>| {
            is_left_unmarked(Some(&wanted), live, Some(&service(&labels(false))))
        };
        assert!(left(unchanged.clone(), Some(&old)));
        assert!(!selected(Some(false), &unchanged, Some(&old)));
        assert!(!left(deployment(false, "b", 0), Some(&old)), "an edit");
        assert!(!left(unchanged.clone(), Some(&deployment(true, "a", 2))), "it has it");
        assert!(!left(unchanged.clone(), None), "there is none");
        let selecting = service(&labels(true));
        assert!(!is_left_unmarked(Some(&unchanged), Some(&old), Some(&selecting)), "somebody took it away");
    }

    #[test]
    fn a_pod_template_of_the_spec_that_takes_the_label_away_takes_it_from_the_service_too() {
        let wanted = deployment(false, "a", 0);
        assert!(!selected(Some(true), &wanted, Some(&deployment(true, "a", 2))));
    }
}
