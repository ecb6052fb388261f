//! The download: a Job, or an init container of the engine's pods.

use k8s_openapi::{
    api::{
        batch::v1::{
            Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
            PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
        },
        core::v1::{Container, ContainerPort, EnvVar, PodSpec, PodTemplateSpec, ResourceRequirements},
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use portico_crds::labels;

use super::{
    super::{
        progress,
        source::{Remote, Weights, digest, path},
        validate::ValidatedModel,
    },
    FETCH, child_labels, child_name, download_selector, label_selector, meta, pod as serving, strings,
    volume,
};
use crate::pod::{self, container_security, plain, variable};

/// Pods that a download may use up; the time that it may take ends it before, mostly.
const BACKOFF_LIMIT: i32 = 60;
/// Seconds beyond its deadline that a download has to say why it failed.
const GRACE: i64 = 60;
/// Exit codes of `portico fetch` after which no further try helps: wrong usage, and content that is not what it should be.
const FINAL: [i32; 2] = [2, 3];
/// The exit code of one that was told to end, as by a drain.
const INTERRUPTED: i32 = 8;
/// Variables of the engine that say how the world is reached.
const NETWORK: [&str; 7] =
    ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "HF_ENDPOINT"];

/// The download as a Job. Its name says what it does: another address, token or deadline is another Job, since a Job can
/// never change.
pub fn job(model: &ValidatedModel) -> Job {
    let template = template(model);
    let bare = ValidatedModel { portico_image: String::new(), ..model.clone() };
    let content = (self::template(&bare), &model.download_digest, &model.restarted_at);
    Job {
        metadata: ObjectMeta {
            labels: Some(child_labels(model, download_selector(model))),
            ..meta(model, format!("{}-fetch-{}", model.name, digest(&content, 6)))
        },
        spec: Some(JobSpec {
            backoff_limit: Some(BACKOFF_LIMIT),
            active_deadline_seconds: Some(i64::from(model.spec.download_seconds()) + GRACE),
            pod_failure_policy: Some(failure_policy()),
            // One after the other: two cannot write one file.
            pod_replacement_policy: Some("Failed".into()),
            template,
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

fn failure_policy() -> PodFailurePolicy {
    let on = |action: &str, values: Vec<i32>| PodFailurePolicyRule {
        action: action.into(),
        on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
            container_name: Some(FETCH.into()),
            operator: "In".into(),
            values,
        }),
        on_pod_conditions: None,
    };
    let disrupted = PodFailurePolicyRule {
        action: "Ignore".into(),
        on_exit_codes: None,
        on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
            type_: "DisruptionTarget".into(),
            status: Some("True".into()),
        }]),
    };
    PodFailurePolicy {
        rules: vec![disrupted, on("Ignore", vec![INTERRUPTED]), on("FailJob", FINAL.to_vec())],
    }
}

fn template(model: &ValidatedModel) -> PodTemplateSpec {
    let spec = &model.spec;
    let mut pod = PodSpec {
        service_account_name: Some(child_name(&model.name)),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        restart_policy: Some("Never".into()),
        security_context: Some(pod::pod_security(Some(pod::USER))),
        containers: vec![Container {
            resources: Some(resources()),
            volume_mounts: Some(volume::download_mounts(model)),
            ..container(model)
        }],
        volumes: Some(volume::download(model)),
        ..PodSpec::default()
    };
    // Where the engine will run: many volumes can be had in one zone alone.
    let (gpu, affinity) = (spec.gpu.as_ref(), model.affinity.clone());
    let selector = label_selector(download_selector(model));
    pod::place(&mut pod, &spec.placement.clone().unwrap_or_default(), gpu, affinity, &selector);
    volume::keep_together(&mut pod, model);
    let metadata = ObjectMeta {
        labels: Some(volume::with_label(model, child_labels(model, download_selector(model)))),
        annotations: Some(strings(&[(labels::INPUTS_DIGEST, &model.download_digest)])),
        ..ObjectMeta::default()
    };
    serving::with_metadata_of(model, PodTemplateSpec { metadata: Some(metadata), spec: Some(pod) })
}

/// Little: bytes are passed on and hashed.
fn resources() -> ResourceRequirements {
    let amounts = |pairs: &[(&str, &str)]| {
        let amount = |(name, amount): &(&str, &str)| ((*name).to_owned(), Quantity((*amount).to_owned()));
        Some(pairs.iter().map(amount).collect())
    };
    ResourceRequirements {
        requests: amounts(&[("cpu", "100m"), ("memory", "64Mi")]),
        limits: amounts(&[("memory", "256Mi")]),
        claims: None,
    }
}

/// The download before the engine, where each pod keeps the model for itself.
pub fn init_container(model: &ValidatedModel) -> Container {
    Container { volume_mounts: Some(volume::download_mounts(model)), ..container(model) }
}

fn container(model: &ValidatedModel) -> Container {
    Container {
        name: FETCH.into(),
        image: Some(model.portico_image.clone()),
        args: Some(arguments(model)),
        env: Some(environment(model)),
        ports: Some(vec![ContainerPort {
            name: Some("progress".into()),
            container_port: progress::PORT,
            protocol: Some("TCP".into()),
            ..ContainerPort::default()
        }]),
        security_context: Some(container_security()),
        ..Container::default()
    }
}

fn environment(model: &ValidatedModel) -> Vec<EnvVar> {
    // The file that the kubelet reads.
    let mut all = vec![plain("PORTICO_TERMINATION_LOG", "/dev/termination-log")];
    let given = model.spec.env.iter().filter(|given| NETWORK.contains(&given.name.as_str()));
    all.extend(given.map(variable));
    all
}

fn arguments(model: &ValidatedModel) -> Vec<String> {
    let weights = model.weights();
    let mut all = vec!["fetch".to_owned()];
    let mut add = |option: &str, value: &str| all.extend([option.to_owned(), value.to_owned()]);
    if let Weights::File(remote) = &weights {
        match remote {
            Remote::Url(url) => {
                add("--url", &url.url);
                add("--sha256", &url.sha256);
                url.size_bytes.iter().for_each(|size| add("--size", &size.to_string()));
            }
            Remote::HuggingFace(of, file) => {
                add("--hugging-face", &of.repository);
                add("--file", file);
                add("--revision", &of.revision);
                of.sha256.iter().for_each(|sum| add("--sha256", sum));
            }
        }
        if remote.token().is_some() {
            add("--token-file", &format!("{}/{}", volume::TOKEN_DIRECTORY, volume::TOKEN_FILE));
        }
    }
    add("--into", &path(&weights).unwrap_or_default());
    add("--listen", &format!("0.0.0.0:{}", progress::PORT));
    add("--deadline", &model.spec.download_seconds().to_string());
    all
}
