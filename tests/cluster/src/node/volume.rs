//! A pod's volumes: folders on this machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, DownwardAPIVolumeFile, KeyToPath, PersistentVolume, PersistentVolumeClaim, Secret,
    ServiceAccount, ServiceAccountTokenProjection, Volume, VolumeProjection,
};
use kube::api::PostParams;
use kube::{Api, ResourceExt};

use super::Refusal;
use super::environment::{Facts, field_value, namespace};
use super::projection::{self, Files};
use crate::Error;

/// The mode of a file where the volume says nothing.
const MODE: i32 = 0o644;
/// What a service account's token lives by default, in seconds.
const TOKEN_SECONDS: i64 = 3600;

/// Makes every volume of the pod under `folder`, or brings it up to date; each name with its place.
pub(super) async fn prepare(facts: &Facts<'_>, folder: &Path) -> Result<BTreeMap<String, PathBuf>, Refusal> {
    let volumes = facts.pod.spec.as_ref().and_then(|spec| spec.volumes.as_ref());
    let mut places = BTreeMap::new();
    for volume in volumes.into_iter().flatten() {
        let place = folder.join(&volume.name);
        places.insert(volume.name.clone(), one(facts, volume, place).await?);
    }
    Ok(places)
}

async fn one(facts: &Facts<'_>, volume: &Volume, place: PathBuf) -> Result<PathBuf, Refusal> {
    if let Some(host) = &volume.host_path {
        return Ok(PathBuf::from(&host.path));
    }
    if let Some(claim) = &volume.persistent_volume_claim {
        return claimed(facts, &claim.claim_name).await;
    }
    fs::create_dir_all(&place).map_err(Error::file("making", &place))?;
    if volume.empty_dir.is_some() {
        return Ok(place);
    }
    let files = files_of(facts, volume, &place).await?;
    projection::write(&place, &files)?;
    Ok(place)
}

/// The folder of the volume that a claim is bound to.
async fn claimed(facts: &Facts<'_>, name: &str) -> Result<PathBuf, Refusal> {
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(facts.client.clone(), &namespace(facts.pod));
    let claim = claims.get_opt(name).await?;
    let bound = claim.and_then(|claim| claim.spec?.volume_name);
    let bound = bound.ok_or_else(|| Refusal::Config(format!("claim \"{name}\" is not bound")))?;
    let volumes: Api<PersistentVolume> = Api::all(facts.client.clone());
    let volume = volumes.get_opt(&bound).await?;
    let folder = volume.and_then(|volume| volume.spec?.host_path).map(|host| PathBuf::from(host.path));
    folder.ok_or_else(|| Refusal::Create(format!("volume {bound}: this node has volumes of hostPath alone")))
}

async fn files_of(facts: &Facts<'_>, volume: &Volume, place: &Path) -> Result<Files, Refusal> {
    if let Some(source) = &volume.config_map {
        let found = config_map(facts, &source.name, source.optional).await?;
        return pick(found, source.items.as_deref(), source.default_mode, source.optional);
    }
    if let Some(source) = &volume.secret {
        let found = secret(facts, source.secret_name.as_deref().unwrap_or_default(), source.optional).await?;
        return pick(found, source.items.as_deref(), source.default_mode, source.optional);
    }
    if let Some(source) = &volume.downward_api {
        return downward(facts, source.items.as_deref(), source.default_mode);
    }
    if let Some(source) = &volume.projected {
        let mut files = Files::new();
        for part in source.sources.iter().flatten() {
            files.extend(projected(facts, part, source.default_mode, place).await?);
        }
        return Ok(files);
    }
    let message =
        "this node has emptyDir, hostPath, claims, configMap, secret, downwardAPI and projected volumes";
    Err(Refusal::Create(format!("volume {}: {message}", volume.name)))
}

async fn projected(
    facts: &Facts<'_>,
    part: &VolumeProjection,
    mode: Option<i32>,
    place: &Path,
) -> Result<Files, Refusal> {
    if let Some(source) = &part.config_map {
        let found = config_map(facts, &source.name, source.optional).await?;
        return pick(found, source.items.as_deref(), mode, source.optional);
    }
    if let Some(source) = &part.secret {
        let found = secret(facts, &source.name, source.optional).await?;
        return pick(found, source.items.as_deref(), mode, source.optional);
    }
    if let Some(source) = &part.downward_api {
        return downward(facts, source.items.as_deref(), mode);
    }
    if let Some(source) = &part.service_account_token {
        let token = token(facts, source, &place.join(&source.path)).await?;
        return Ok(Files::from([(source.path.clone(), (token, file_mode(mode, None)))]));
    }
    Err(Refusal::Create("a projected volume has a source that this node does not know".to_owned()))
}

type Content = BTreeMap<String, Vec<u8>>;

/// Nothing stands for an object that is missing and may be.
async fn config_map(facts: &Facts<'_>, name: &str, optional: Option<bool>) -> Result<Content, Refusal> {
    let maps: Api<ConfigMap> = Api::namespaced(facts.client.clone(), &namespace(facts.pod));
    match maps.get_opt(name).await? {
        Some(map) => {
            let text = map.data.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into_bytes()));
            let bytes =
                map.binary_data.unwrap_or_default().into_iter().map(|(key, ByteString(bytes))| (key, bytes));
            Ok(text.chain(bytes).collect())
        }
        None if optional == Some(true) => Ok(Content::new()),
        None => Err(Refusal::Config(format!("configmap \"{name}\" not found"))),
    }
}

async fn secret(facts: &Facts<'_>, name: &str, optional: Option<bool>) -> Result<Content, Refusal> {
    let secrets: Api<Secret> = Api::namespaced(facts.client.clone(), &namespace(facts.pod));
    match secrets.get_opt(name).await? {
        Some(secret) => Ok(secret
            .data
            .unwrap_or_default()
            .into_iter()
            .map(|(key, ByteString(bytes))| (key, bytes))
            .collect()),
        None if optional == Some(true) => Ok(Content::new()),
        None => Err(Refusal::Config(format!("secret \"{name}\" not found"))),
    }
}

fn file_mode(default: Option<i32>, own: Option<i32>) -> u32 {
    own.or(default).unwrap_or(MODE).cast_unsigned()
}

/// All keys, or those that are listed under the paths that they are given.
fn pick(
    mut found: Content,
    items: Option<&[KeyToPath]>,
    mode: Option<i32>,
    optional: Option<bool>,
) -> Result<Files, Refusal> {
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        return Ok(found.into_iter().map(|(key, content)| (key, (content, file_mode(mode, None)))).collect());
    };
    let mut files = Files::new();
    for item in items {
        match found.remove(&item.key) {
            Some(content) => {
                files.insert(item.path.clone(), (content, file_mode(mode, item.mode)));
            }
            None if optional == Some(true) => {}
            None => return Err(Refusal::Config(format!("references non-existent key: {}", item.key))),
        }
    }
    Ok(files)
}

fn downward(
    facts: &Facts<'_>,
    items: Option<&[DownwardAPIVolumeFile]>,
    mode: Option<i32>,
) -> Result<Files, Refusal> {
    let mut files = Files::new();
    for item in items.into_iter().flatten() {
        let Some(field) = &item.field_ref else {
            return Err(Refusal::Create(format!(
                "file {}: this node projects fields, not resources",
                item.path
            )));
        };
        let text = field_value(facts.pod, facts.ip, field)?;
        files.insert(item.path.clone(), (text.into_bytes(), file_mode(mode, item.mode)));
    }
    Ok(files)
}

/// A token for the pod's account: the present one until four fifths of its life are over.
async fn token(
    facts: &Facts<'_>,
    source: &ServiceAccountTokenProjection,
    present: &Path,
) -> Result<Vec<u8>, Refusal> {
    let seconds = source.expiration_seconds.unwrap_or(TOKEN_SECONDS);
    let good_for = Duration::from_secs(seconds.unsigned_abs() / 5 * 4);
    let written = fs::metadata(present).and_then(|file| file.modified()).ok();
    let age = written.and_then(|at| SystemTime::now().duration_since(at).ok());
    if age.is_some_and(|age| age < good_for)
        && let Ok(token) = fs::read(present)
    {
        return Ok(token);
    }
    request_token(facts, source, seconds).await
}

async fn request_token(
    facts: &Facts<'_>,
    source: &ServiceAccountTokenProjection,
    seconds: i64,
) -> Result<Vec<u8>, Refusal> {
    let pod = BoundObjectReference {
        kind: Some("Pod".to_owned()),
        api_version: Some("v1".to_owned()),
        name: facts.pod.metadata.name.clone(),
        uid: facts.pod.uid(),
    };
    let spec = TokenRequestSpec {
        audiences: source.audience.clone().map(|audience| vec![audience]),
        expiration_seconds: Some(seconds),
        bound_object_ref: Some(pod),
    };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let account =
        facts.pod.spec.as_ref().and_then(|spec| spec.service_account_name.as_deref()).unwrap_or("default");
    let accounts: Api<ServiceAccount> = Api::namespaced(facts.client.clone(), &namespace(facts.pod));
    let answer = accounts.create_token_request(account, &PostParams::default(), &request).await?;
    let granted = answer.status.and_then(|status| status.token);
    let token =
        granted.ok_or_else(|| Refusal::Config(format!("no token was granted for account {account}")))?;
    Ok(token.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_keys_get_their_paths_and_modes_and_others_are_left_out() {
        let found = || Content::from([("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"2".to_vec())]);
        let item = KeyToPath { key: "a".to_owned(), path: "x/y".to_owned(), mode: Some(0o400) };
        let files = pick(found(), Some(std::slice::from_ref(&item)), None, None).unwrap();
        assert_eq!(files, Files::from([("x/y".to_owned(), (b"1".to_vec(), 0o400))]));
        let missing = KeyToPath { key: "c".to_owned(), ..item };
        assert!(pick(found(), Some(std::slice::from_ref(&missing)), None, None).is_err());
        assert_eq!(pick(found(), Some(&[missing]), None, Some(true)).unwrap(), Files::new());
    }
}
