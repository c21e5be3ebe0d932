//! What may hide something that beats the policy, or that a rule looks at, and is not known: each with its
//! place, whatever its value.

use smol_str::SmolStr;

use crate::document::Unreadable;
use crate::model::{Container, EnvSource, EnvVar, FileSource, MountedFile, UnreadFile, Workload};
use crate::plan::checks::merged::beside_ours;
use crate::plan::checks::policy_keys::{MOST, Set, cut, told_path};
use crate::plan::desired::Desired;
use crate::plan::input::TargetView;
use crate::server::kratos::{Layer, reaches};

/// In the container of a target.
pub fn not_checked(
    desired: &Desired,
    set: &Set,
    view: &TargetView,
    workload: &Workload,
    container: &Container,
) -> Vec<String> {
    let name = &container.name;
    let unusual = container.unusual.as_deref();
    let unread_maps = view.env_from.sources.iter().filter(|read| read.names.is_none());
    let maps = unread_maps.map(|read| {
        format!("ConfigMap {}, which variables of container {name} come from", read.source.name())
    });
    let secrets = unusual.iter().flat_map(|unusual| &unusual.env_from).filter_map(|source| match source {
        EnvSource::Secret { name: secret, .. } => {
            Some(format!("Secret {secret}, which variables of container {name} come from"))
        }
        EnvSource::ConfigMap { .. } => None,
    });
    let files =
        unusual.iter().flat_map(|unusual| &unusual.unread).map(|UnreadFile { path, source, .. }| {
            let file = told_path(path);
            match source {
                FileSource::Secret(secret) => {
                    format!("Secret {secret}, which {file} of container {name} comes from")
                }
                FileSource::Volume(volume) => {
                    format!("volume {volume}, which {file} of container {name} comes from")
                }
                FileSource::Toml => {
                    format!("{file} of container {name}, which is TOML: only YAML and JSON are read")
                }
                FileSource::Beyond => {
                    format!("{file} of container {name}, which has more mounts than are read")
                }
                FileSource::Elsewhere => format!("{file} of container {name}, which comes from no volume"),
            }
        });
    let beyond = [
        (
            container.traits.scripted,
            format!(
                "what container {name} runs in the place of kratos, which may set variables and read files of its own"
            ),
        ),
        (
            container.hides_variables(),
            format!("variables of container {name}: it has more of what sets them than is looked at"),
        ),
        (
            container.files.more,
            format!(
                "configuration files of container {name}: its command line names more of them, or is longer, than is looked at"
            ),
        ),
    ];
    let beyond = beyond.into_iter().filter_map(|(more, told)| more.then_some(told));
    let all = beyond
        .chain(secrets)
        .chain(maps)
        .chain(files)
        .chain(in_files(desired, view, container))
        .chain(in_variables(set, view, workload, container));
    all.take(MOST).collect()
}

/// What of the server's own files is not known, of those that were read.
fn in_files(desired: &Desired, view: &TargetView, container: &Container) -> Vec<String> {
    let files = beside_ours(container, &desired.config_map).unwrap_or_default();
    let told = |(file, layer): (&Option<MountedFile>, &Layer)| {
        let MountedFile { config_map, key, .. } = file.as_ref()?;
        let place = format!("key {} of ConfigMap {config_map}", cut(key));
        let unknown: Vec<_> = layer.unknown().collect();
        Some(match (layer.unread, unknown.as_slice()) {
            (Some(Unreadable::NotYaml { line: Some(line) }), _) => {
                format!("{place}, which is no YAML in line {line}")
            }
            (Some(Unreadable::NotYaml { line: None }), _) => {
                format!("{place}, which is no configuration of Kratos")
            }
            (Some(Unreadable::TooMuch), _) => {
                format!("{place}, which is too large to be read, or repeats itself too often")
            }
            (None, []) => return None,
            (None, [first]) => {
                format!("{first} in {place}, whose value has another form, or is filled in later")
            }
            (None, all) if *layer == Layer::unread() => {
                debug_assert!(!all.is_empty());
                format!("{place}, which is not there, or may not be read")
            }
            (None, [first, rest @ ..]) => {
                format!(
                    "{first} and {} keys more in {place}, whose values have another form, or are filled in later",
                    rest.len()
                )
            }
        })
    };
    files.into_iter().zip(view.base.iter().flat_map(|base| base.iter())).filter_map(told).collect()
}

/// Variables that may set what the policy leaves out, and rules look at.
fn in_variables(set: &Set, view: &TargetView, workload: &Workload, container: &Container) -> Vec<String> {
    let left_out = |name: &str| {
        let mut keys =
            reaches(name).map(|input| &*input.path).filter(|path| !set.keys.iter().any(|own| own == path));
        let first = keys.next()?;
        let rest = keys.count();
        Some(if rest == 0 { first.to_owned() } else { format!("{first} and {rest} keys more") })
    };
    let place = format!("container {}", container.name);
    let unusual = container.unusual.as_deref();
    let by_another_name =
        unusual.iter().flat_map(|unusual| unusual.aliases.iter().chain(&unusual.in_command));
    let from_maps = view.env_from.sources.iter().flat_map(|read| read.names.iter().flatten());
    let from_maps = from_maps.filter(|name| container.env.iter().all(|entry| entry.name != **name));
    let unread = |entry: &&EnvVar| {
        !workload.owns(&container.name, &entry.name)
            && Layer::of_variables([(&*entry.name, entry.value.as_deref())]).unknown().next().is_some()
    };
    let own = container.env.iter().filter(unread).map(|entry| &entry.name);
    let told = |name: &SmolStr| {
        let beats = set.told(name).is_some();
        (!beats)
            .then(|| left_out(name).map(|keys| format!("env {} of {place}, which may set {keys}", cut(name))))
            .flatten()
    };
    by_another_name.chain(from_maps).chain(own).filter_map(told).collect()
}
