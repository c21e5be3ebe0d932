//! Containers of a pod template: what decides about a policy, up to a ceiling, and no other value.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use smol_str::SmolStr;

use crate::controller::decode::bounded::{Words, cut};
use crate::controller::decode::volumes::{Mount, Places, Volumes};
use crate::model::{Bounded, Container, Containers, EnvSource, EnvVar, OverrideSources, Traits, UnreadFile};
use crate::server::kratos::{
    Form, config_files, governed_names, input, may_begin, named_in, reaches, runs_itself, serves,
};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct RawContainer {
    name: String,
    image: String,
    command: Words,
    args: Words,
    working_dir: String,
    env: Env,
    env_from: Bounded<RawEnvFrom, 64>,
    ports: Bounded<Port, 64>,
    volume_mounts: Bounded<Mount, 64>,
    lifecycle: Lifecycle,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Lifecycle {
    pre_stop: Option<IgnoredAny>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Port {
    name: String,
    container_port: u16,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawEnv {
    name: String,
    value: Option<String>,
    value_from: Option<IgnoredAny>,
}

/// The variables that are looked at.
#[derive(Default)]
struct Env(Bounded<RawEnv, 64>);

/// Bytes kept of all values of a container together: twice what a policy can ask for.
const LONGEST_VALUES: usize = 16 * 1024;

impl<'de> Deserialize<'de> for Env {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Env;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of variables")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Env, A::Error> {
                let (mut all, mut room) = (Bounded::default(), LONGEST_VALUES);
                while let Some(mut entry) = list.next_element::<RawEnv>()? {
                    if known_name(&entry.name).is_none() && reaches(&entry.name).next().is_none() {
                        continue;
                    }
                    let length = entry.value.as_ref().map_or(0, String::len);
                    match room.checked_sub(length) {
                        Some(left) => room = left,
                        // As if it were elsewhere: it is not known.
                        None => (entry.value, entry.value_from) = (None, Some(IgnoredAny)),
                    }
                    all.push(entry);
                }
                Ok(Env(all))
            }
        }

        deserializer.deserialize_seq(List)
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawEnvFrom {
    prefix: String,
    config_map_ref: Option<Reference>,
    secret_ref: Option<Reference>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reference {
    name: String,
}

impl RawEnvFrom {
    /// Makes the source, if it may set what rules look at.
    fn source(self) -> Option<EnvSource> {
        if !may_begin(&self.prefix) {
            return None;
        }
        let prefix = SmolStr::from(self.prefix);
        let name = |reference: Reference| cut(&reference.name, LONGEST_NAME);
        let secret =
            |reference: Reference| EnvSource::Secret { name: name(reference), prefix: prefix.clone() };
        let config_map =
            |reference: Reference| EnvSource::ConfigMap { name: name(reference), prefix: prefix.clone() };
        self.secret_ref.map(secret).or_else(|| self.config_map_ref.map(config_map))
    }
}

/// The name, if it is one that a policy may set, without a copy of its own.
pub fn known_name(name: &str) -> Option<SmolStr> {
    let names = governed_names();
    let index = names.binary_search_by(|known| known.as_str().cmp(name)).ok()?;
    Some(SmolStr::new_static(&names[index]))
}

impl RawContainer {
    pub fn name(&self) -> SmolStr {
        self.name.as_str().into()
    }

    /// The config maps that it mounts.
    pub fn mounted(&self, volumes: &Volumes) -> Vec<SmolStr> {
        self.volume_mounts.iter().flat_map(|mount| mount.config_maps(volumes)).collect()
    }

    /// Lists the ports as (container, name, number).
    pub fn ports(&self) -> impl Iterator<Item = (SmolStr, SmolStr, u16)> {
        self.ports
            .iter()
            .map(|port| (self.name.as_str().into(), port.name.as_str().into(), port.container_port))
    }

    /// Without variables that no rule looks at: other values may be secrets, and none is needed.
    fn slim(self, volumes: &Volumes) -> Container {
        let words = || self.command.words.iter().chain(&self.args.words).map(String::as_str);
        let line_more = self.command.more || self.args.more;
        let kratos_alone = runs_itself(&self.command.words, &self.args.words);
        let traits = Traits {
            serves: serves(words()),
            by_image: words().next().is_none() && !line_more,
            scripted: !kratos_alone,
            drains: self.lifecycle.pre_stop.is_some(),
        };
        let mut unusual =
            OverrideSources { in_command: names(words().flat_map(named_in)), ..OverrideSources::default() };
        unusual.in_command.more |= line_more;
        let places = Places::of(&self.working_dir, &self.volume_mounts, volumes);
        let file = |(at, path): (usize, &str)| {
            places
                .file(path)
                .map_err(|source| {
                    unusual.unread.push(UnreadFile { at, path: cut(path, LONGEST_PATH), source })
                })
                .ok()
        };
        let mut files: Bounded<_, _> = config_files(words()).into_iter().enumerate().map(file).collect();
        files.more |= line_more;
        let mut env = Vec::new();
        let mut aliases = BTreeSet::new();
        let env_more = self.env.0.more;
        for entry in self.env.0 {
            // Beside what a policy sets, what a rule looks at; no other value is held.
            let beside = || input(&entry.name).map(|input| SmolStr::new_static(&input.name));
            match known_name(&entry.name).or_else(beside) {
                // An entry with neither is an empty value.
                Some(name) => {
                    // Nor where a secret stands beside what is looked at.
                    let is_held = entry.value_from.is_none()
                        && input(&name).is_none_or(|input| input.form != Form::Providers);
                    env.push(EnvVar { name, value: is_held.then(|| entry.value.unwrap_or_default().into()) });
                }
                None => drop(aliases.insert(SmolStr::from(entry.name))),
            }
        }
        unusual.aliases = aliases.into_iter().collect();
        unusual.env_from = self.env_from.filter_map(RawEnvFrom::source);
        let mut env = Bounded::from(env);
        env.more |= env_more;
        Container {
            name: cut(&self.name, LONGEST_LABEL),
            image: cut(&self.image, LONGEST_IMAGE),
            files,
            traits,
            env,
            unusual: unusual.boxed(),
        }
    }
}

/// In bytes: of a path that is told, the name of a container, an image, the name of an object.
const LONGEST_PATH: usize = 120;

const LONGEST_LABEL: usize = 63;

const LONGEST_IMAGE: usize = 456;

pub const LONGEST_NAME: usize = 253;

/// Bytes kept of all containers of a workload, their names and images aside.
const HEAVIEST: usize = 28 * 1024;

/// Containers as long as there is room for what is held of them; of the others the name and the image.
pub fn containers(raw: Bounded<RawContainer, 16>, volumes: &Volumes) -> Containers {
    let mut room = HEAVIEST;
    let mut slim = |container: RawContainer| {
        let container = container.slim(volumes);
        match room.checked_sub(container.weight()) {
            Some(left) => {
                room = left;
                container
            }
            None => container.unknown(),
        }
    };
    raw.filter_map(|container| Some(slim(container)))
}

/// Each once.
fn names<'a>(names: impl Iterator<Item = &'a str>) -> Bounded<SmolStr, 16> {
    names.collect::<BTreeSet<_>>().into_iter().map(SmolStr::from).collect()
}
