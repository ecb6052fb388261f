//! Volumes of a pod as directories of this machine, and paths in the manifest that lead into them.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, PodSpec, Volume, VolumeMount};
use portico_operator::{
    mcp_server::render::config_key,
    reference::{Content, Kind},
};

use super::{Id, Machine, Replica};
use crate::manifest::{Key, Objects};

/// Directories and files to make, and where the container's paths lie.
#[derive(Debug, Default)]
pub struct Mounts {
    /// Directories that must exist.
    pub directories: Vec<PathBuf>,
    /// Files that must exist, with their content.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    places: Vec<Place>,
}

/// A path in the container and where it is on this machine.
#[derive(Debug)]
struct Place {
    path: String,
    here: PathBuf,
    /// Whether paths below it lead there, too.
    with_inside: bool,
}

impl Mounts {
    /// The mounts of a container.
    ///
    /// # Errors
    /// Names the volume that cannot be had here.
    pub fn of(
        objects: &Objects,
        machine: &Machine<'_>,
        replica: &Replica,
        pod: &PodSpec,
    ) -> Result<Self, String> {
        let mut mounts = Self::default();
        let volumes = pod.volumes.as_deref().unwrap_or_default();
        let container: Option<&Container> = pod.containers.first();
        for mount in container.and_then(|container| container.volume_mounts.as_ref()).into_iter().flatten() {
            let volume = volumes.iter().find(|volume| volume.name == mount.name);
            let volume = volume
                .ok_or_else(|| format!("mounts the volume '{}', which the pod does not have", mount.name))?;
            mounts.add(objects, machine, replica, (volume, mount))?;
        }
        // A mount inside another one must be found first.
        mounts.places.sort_by_key(|place| (std::cmp::Reverse(place.path.len()), !place.with_inside));
        Ok(mounts)
    }

    fn add(
        &mut self,
        objects: &Objects,
        machine: &Machine<'_>,
        replica: &Replica,
        (volume, mount): (&Volume, &VolumeMount),
    ) -> Result<(), String> {
        let directory = place(machine, replica, volume);
        let content = content(objects, &replica.id, volume)?;
        let path = mount.mount_path.trim_end_matches('/');
        match (&mount.sub_path, content) {
            (Some(key), Some(mut content)) => {
                let bytes = content.remove(key);
                let bytes = bytes.ok_or_else(|| {
                    format!("mounts the key '{key}' of '{}', which is not there", volume.name)
                })?;
                self.add_file(&directory, path, bytes);
            }
            (sub_path, content) => {
                let inside = sub_path.as_ref().map_or_else(|| directory.clone(), |path| directory.join(path));
                self.files
                    .extend(content.into_iter().flatten().map(|(key, bytes)| (directory.join(key), bytes)));
                self.places.push(Place { path: path.to_owned(), here: inside.clone(), with_inside: true });
                self.directories.push(inside);
            }
        }
        Ok(())
    }

    /// A single file keeps its name and its neighbours: a program may be given the directory they are in.
    fn add_file(&mut self, directory: &Path, path: &str, bytes: Vec<u8>) {
        let here = directory.join(path.trim_start_matches('/'));
        if let (Some((parent, _)), Some(parent_here)) = (path.rsplit_once('/'), here.parent())
            && !parent.is_empty()
        {
            self.places.push(Place {
                path: parent.to_owned(),
                here: parent_here.to_owned(),
                with_inside: false,
            });
        }
        self.places.push(Place { path: path.to_owned(), here: here.clone(), with_inside: true });
        self.files.push((here, bytes));
    }

    /// `text` with every path into a mount turned to its place on this machine.
    #[must_use]
    pub fn localise(&self, text: &str) -> String {
        text.split_inclusive([':', ',', '=', ' ']).map(|part| self.localise_part(part)).collect()
    }

    fn localise_part(&self, part: &str) -> String {
        let found = self.places.iter().find_map(|Place { path, here, with_inside }| {
            let rest = part.strip_prefix(path.as_str())?;
            let whole = rest.is_empty() || rest.starts_with([':', ',', '=', ' ']) || rest == "/";
            (whole || *with_inside && rest.starts_with('/')).then(|| format!("{}{rest}", here.display()))
        });
        found.unwrap_or_else(|| part.to_owned())
    }
}

/// What a volume that mounts a Secret or a `ConfigMap` holds.
fn content(objects: &Objects, id: &Id, volume: &Volume) -> Result<Option<Content>, String> {
    let Some((kind, name)) = keyed(volume) else { return Ok(None) };
    let key = Key { namespace: id.key().namespace.clone(), name: name.clone() };
    let content = objects.content(kind, &key).or_else(|| generated(volume, objects, id));
    content.map(Some).ok_or_else(|| format!("mounts {} '{name}', which is not in the folder", kind.as_str()))
}

/// Content of the server's own config files, which the operator puts into a `ConfigMap`.
fn generated(volume: &Volume, objects: &Objects, id: &Id) -> Option<Content> {
    let Id::Server(key) = id else { return None };
    volume.config_map.as_ref()?;
    let (server, _) = objects.servers.get(key)?;
    Some(
        server
            .spec
            .config_files
            .iter()
            .map(|file| (config_key(&file.path), file.content.clone().into_bytes()))
            .collect(),
    )
}

fn keyed(volume: &Volume) -> Option<(Kind, String)> {
    let secret =
        volume.secret.as_ref().and_then(|source| source.secret_name.clone()).map(|name| (Kind::Secret, name));
    secret.or_else(|| volume.config_map.as_ref().map(|source| (Kind::ConfigMap, source.name.clone())))
}

/// Claims outlive a run and are shared by all processes of it; everything else belongs to one process.
fn place(machine: &Machine<'_>, replica: &Replica, volume: &Volume) -> PathBuf {
    match &volume.persistent_volume_claim {
        Some(claim) => {
            machine.state_directory.join("claims").join(&replica.id.key().namespace).join(&claim.claim_name)
        }
        None => replica.directory(machine.run_directory).join(&volume.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_into_mounts_are_turned_and_others_stay() {
        let place =
            |path: &str, here: &str| Place { path: path.into(), here: here.into(), with_inside: true };
        let places = vec![place("/data/deep", "/r/d"), place("/data", "/r/a")];
        let mounts = Mounts { places, ..Mounts::default() };
        for (given, expected) in [
            ("/data", "/r/a"),
            ("/data/x/y", "/r/a/x/y"),
            ("/data/deep/y", "/r/d/y"),
            ("/data:/other:/data/deep", "/r/a:/other:/r/d"),
            ("--root=/data", "--root=/r/a"),
            ("/database", "/database"),
            ("http://x/data", "http://x/data"),
        ] {
            assert_eq!(mounts.localise(given), expected);
        }
    }

    #[test]
    fn a_single_file_is_found_by_its_path_and_by_its_directory() {
        let mut mounts = Mounts::default();
        mounts.add_file(Path::new("/r/config"), "/docs/a.md", b"a".to_vec());
        mounts.add_file(Path::new("/r/config"), "/docs/b.md", b"b".to_vec());
        mounts.add_file(Path::new("/r/config"), "/single.md", Vec::new());
        assert_eq!(mounts.files[0], (PathBuf::from("/r/config/docs/a.md"), b"a".to_vec()));
        for (given, expected) in [
            ("/docs", "/r/config/docs"),
            ("/docs/", "/r/config/docs/"),
            ("/docs/a.md,/docs/b.md", "/r/config/docs/a.md,/r/config/docs/b.md"),
            ("/docs/other.md", "/docs/other.md"),
            ("/single.md", "/r/config/single.md"),
            ("/", "/"),
        ] {
            assert_eq!(mounts.localise(given), expected);
        }
    }
}
