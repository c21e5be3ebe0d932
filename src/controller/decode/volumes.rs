//! Volumes of a pod template, and which configuration files of a container come from config maps.

use serde::Deserialize;
use serde::de::IgnoredAny;
use smol_str::SmolStr;

use crate::controller::decode::bounded::cut;
use crate::model::{Bounded, FileSource, MountedFile};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Volume {
    name: String,
    config_map: Option<ConfigMapSource>,
    secret: Option<SecretVolume>,
    projected: Option<Projected>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct SecretVolume {
    secret_name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ConfigMapSource {
    name: String,
    items: Items,
}

type Items = Bounded<Item, 64>;

pub type Volumes = Bounded<Volume, 64>;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Item {
    key: String,
    path: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Projected {
    sources: Bounded<Source, 16>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Source {
    config_map: Option<ConfigMapSource>,
    secret: Option<SecretSource>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SecretSource {
    name: String,
    items: Items,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    name: String,
    mount_path: String,
    sub_path: String,
    sub_path_expr: Option<IgnoredAny>,
}

impl Mount {
    /// The config maps whose files it shows.
    pub fn config_maps(&self, volumes: &Volumes) -> Vec<SmolStr> {
        volumes
            .iter()
            .find(|volume| volume.name == self.name)
            .map(|volume| volume.config_maps().collect())
            .unwrap_or_default()
    }
}

/// A name of an object, in bytes.
const LONGEST_NAME: usize = 253;

/// Names of the config maps that these volumes mount.
pub fn mounts<const N: usize>(volumes: &Volumes) -> Bounded<SmolStr, N> {
    let mut found: Bounded<SmolStr, N> = volumes.iter().flat_map(Volume::config_maps).collect();
    found.more |= volumes.more || volumes.iter().any(Volume::has_more);
    found
}

/// Files of a container, each with the volume it comes from.
pub struct Places<'a> {
    working_dir: &'a str,
    /// Each with the parts of its path.
    mounts: Vec<(Vec<&'a str>, &'a Mount)>,
    volumes: &'a [Volume],
    more: bool,
}

/// Longer than any path that a kernel takes.
const LONGEST_PATH: usize = 4_096;

impl<'a> Places<'a> {
    pub fn of(working_dir: &'a str, mounts: &'a Bounded<Mount, 64>, volumes: &'a Volumes) -> Self {
        let is_long = |mount: &Mount| mount.mount_path.len() > LONGEST_PATH;
        let parts = |mount: &'a Mount| Some((segments("", &mount.mount_path)?, mount));
        Self {
            working_dir,
            more: mounts.more
                || volumes.more
                || working_dir.len() > LONGEST_PATH
                || mounts.iter().any(is_long),
            mounts: mounts.iter().filter(|mount| !is_long(mount)).filter_map(parts).collect(),
            volumes,
        }
    }

    /// # Errors
    /// What else it comes from where that is no config map.
    pub fn file(&self, path: &str) -> Result<MountedFile, FileSource> {
        if self.more {
            return Err(FileSource::Beyond);
        }
        let path = Some(path)
            .filter(|path| path.len() <= LONGEST_PATH)
            .and_then(|path| segments(self.working_dir, path));
        let path = path.ok_or(FileSource::Elsewhere)?;
        // Of mounts within each other the innermost counts.
        let inside = self.mounts.iter().filter(|(above, _)| path.starts_with(above));
        let (above, mount) = inside.max_by_key(|(above, _)| above.len()).ok_or(FileSource::Elsewhere)?;
        let other = || FileSource::Volume(cut(&mount.name, LONGEST_NAME));
        if mount.sub_path_expr.is_some() || mount.sub_path.len() > LONGEST_PATH {
            return Err(other());
        }
        let sub_path: Vec<&str> = mount.sub_path.split('/').filter(|part| !part.is_empty()).collect();
        let file = sub_path.iter().chain(&path[above.len()..]).copied().collect::<Vec<_>>().join("/");
        match self
            .volumes
            .iter()
            .find(|volume| volume.name == mount.name)
            .and_then(|volume| volume.provider(&file))
        {
            // Kratos goes by the name of the file.
            Some(Provider::ConfigMap(..)) if path.last().is_some_and(|name| name.ends_with(".toml")) => {
                Err(FileSource::Toml)
            }
            Some(Provider::ConfigMap(name, key)) => Ok(MountedFile {
                config_map: cut(name, LONGEST_NAME),
                key: cut(key, LONGEST_NAME),
                reloads: mount.sub_path.is_empty(),
            }),
            Some(Provider::Secret(name)) => Err(FileSource::Secret(cut(name, LONGEST_NAME))),
            None => Err(other()),
        }
    }
}

/// The parts of an absolute path. None for one that begins nobody knows where.
fn segments<'a>(working_dir: &'a str, path: &'a str) -> Option<Vec<&'a str>> {
    if !path.starts_with('/') && !working_dir.starts_with('/') {
        return None;
    }
    let above = if path.starts_with('/') { "" } else { working_dir };
    let mut parts = Vec::new();
    for part in above.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Some(parts)
}

/// Source of one file of a volume.
enum Provider<'a> {
    /// With the key in it.
    ConfigMap(&'a str, &'a str),
    Secret(&'a str),
}

impl Volume {
    fn config_maps(&self) -> impl Iterator<Item = SmolStr> {
        let projected = self
            .projected
            .iter()
            .flat_map(|projected| projected.sources.iter())
            .filter_map(|source| source.config_map.as_ref());
        self.config_map.iter().chain(projected).map(|source| cut(&source.name, LONGEST_NAME))
    }

    fn has_more(&self) -> bool {
        self.projected.as_ref().is_some_and(|projected| projected.sources.more)
    }

    fn provider<'a>(&'a self, file: &'a str) -> Option<Provider<'a>> {
        if let Some(source) = &self.config_map {
            return Some(Provider::ConfigMap(&source.name, key(&source.items, file)?));
        }
        if let Some(secret) = &self.secret {
            return Some(Provider::Secret(&secret.secret_name));
        }
        // Of two sources with the same file the later one wins.
        let projected = self.projected.as_ref().filter(|projected| !projected.sources.more);
        let sources = projected.into_iter().flat_map(|projected| projected.sources.iter().rev());
        let mut providers = sources.filter_map(|source| match (&source.config_map, &source.secret) {
            (Some(map), _) => Some(Provider::ConfigMap(&map.name, key(&map.items, file)?)),
            (None, Some(secret)) => key(&secret.items, file).map(|_| Provider::Secret(&secret.name)),
            (None, None) => None,
        });
        providers.next()
    }
}

/// The key that becomes this file. Without items every key may, under its own name.
fn key<'a>(items: &'a Items, file: &'a str) -> Option<&'a str> {
    match &**items {
        [] => (!file.is_empty() && !file.contains('/')).then_some(file),
        items => items.iter().find(|item| item.path == file).map(|item| &*item.key),
    }
}

#[cfg(test)]
mod tests;
