//! The pod's volumes and where the container sees them.

use k8s_openapi::{
    api::core::v1::{
        ConfigMapVolumeSource, EmptyDirVolumeSource, PersistentVolumeClaimVolumeSource, SecretVolumeSource,
        Volume, VolumeMount,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use portico_crds::mcp_server::{self as api, Access};

use super::{
    super::validate::{Program, ValidatedServer},
    config_map_name,
    pod::{BRIDGE_DIRECTORY, config_key},
};
use crate::pod::mount;

const BRIDGE: &str = "portico-bridge";
const CONFIG: &str = "portico-config";
const SCRATCH: &str = "portico-tmp";

/// The bridge's directory, in the init container and in the server's.
pub fn bridge_mount() -> VolumeMount {
    mount(BRIDGE, BRIDGE_DIRECTORY)
}

/// A writable `/tmp` for every server, since the root file system is read-only.
fn needs_scratch(server: &ValidatedServer) -> bool {
    !server.spec.volumes.iter().any(|volume| volume.mount_path.trim_end_matches('/') == "/tmp")
}

fn is_bridged(server: &ValidatedServer) -> bool {
    matches!(server.program, Program::Stdio { .. })
}

pub fn volumes(server: &ValidatedServer) -> Vec<Volume> {
    let spec = &server.spec;
    let mut all = Vec::new();
    all.extend(needs_scratch(server).then(|| scratch(SCRATCH, None)));
    all.extend(is_bridged(server).then(|| scratch(BRIDGE, None)));
    all.extend((!spec.config_files.is_empty()).then(|| config_map(CONFIG, &config_map_name(&server.name))));
    all.extend(
        spec.secret_mounts.iter().enumerate().map(|(i, secret)| secret_volume(&secret_name(i), secret)),
    );
    all.extend(spec.volumes.iter().map(own_volume));
    all
}

pub fn mounts(server: &ValidatedServer) -> Vec<VolumeMount> {
    let spec = &server.spec;
    let mut all = Vec::new();
    all.extend(needs_scratch(server).then(|| mount(SCRATCH, "/tmp")));
    all.extend(is_bridged(server).then(bridge_mount));
    all.extend(spec.config_files.iter().map(|file| VolumeMount {
        sub_path: Some(config_key(&file.path)),
        read_only: Some(true),
        ..mount(CONFIG, &file.path)
    }));
    all.extend(spec.secret_mounts.iter().enumerate().map(|(i, secret)| VolumeMount {
        read_only: Some(true),
        ..mount(&secret_name(i), &secret.mount_path)
    }));
    all.extend(spec.volumes.iter().map(|volume| VolumeMount {
        read_only: (volume.access == Access::ReadOnly).then_some(true),
        ..mount(&own_name(volume), &volume.mount_path)
    }));
    all
}

fn secret_name(index: usize) -> String {
    format!("portico-secret-{index}")
}

/// Names of the spec's volumes get a prefix of their own, so that none can meet one of ours.
fn own_name(volume: &api::Volume) -> String {
    format!("user-{}", volume.name)
}

fn scratch(name: &str, limit: Option<Quantity>) -> Volume {
    Volume {
        name: name.into(),
        empty_dir: Some(EmptyDirVolumeSource { size_limit: limit, medium: None }),
        ..Volume::default()
    }
}

fn config_map(name: &str, object: &str) -> Volume {
    Volume {
        name: name.into(),
        config_map: Some(ConfigMapVolumeSource { name: object.into(), ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    }
}

fn secret_volume(name: &str, secret: &api::SecretMount) -> Volume {
    Volume {
        name: name.into(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.secret_ref.clone()),
            default_mode: Some(0o440),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

fn own_volume(volume: &api::Volume) -> Volume {
    let name = own_name(volume);
    if let Some(empty) = &volume.empty_dir {
        return scratch(&name, empty.size_limit.clone().map(|limit| Quantity(limit.0)));
    }
    if let Some(object) = &volume.config_map_ref {
        return config_map(&name, object);
    }
    Volume {
        name,
        persistent_volume_claim: volume.claim_ref.clone().map(|claim_name| {
            PersistentVolumeClaimVolumeSource {
                claim_name,
                read_only: (volume.access == Access::ReadOnly).then_some(true),
            }
        }),
        ..Volume::default()
    }
}
