//! What in a workload beats the policy: every such thing is told with its place and its remedy, whatever its
//! value. And what cannot be looked at.

use std::fmt::Write as _;

use smol_str::SmolStr;

use crate::api::Reason;
use crate::model::{Container, EnvFrom, EnvFromMap, Millis, MountedFile, Workload};
use crate::plan::checks::policy_keys::{MOST, Set, cut, told_path};
use crate::plan::checks::unchecked;
use crate::plan::desired::Desired;
use crate::plan::desired::server::Server;
use crate::plan::input::{Observed, TargetView};
use crate::plan::steps::{Planned, Step};
use crate::server::kratos::written_keys;

/// What was found at one target.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// A sentence for each thing that beats the policy.
    pub overrides: Vec<String>,
    /// What could not be looked at and may.
    pub not_checked: Vec<String>,
}

/// All sentences together, so that the number of those left out still fits.
const MAX_TOLD: usize = 900;

/// What was found at a target.
pub fn findings(Planned { view, goal, step }: Planned<'_>) -> Findings {
    match view.server() {
        Ok(Server { workload, container }) if is_ours(step) => find(&goal.desired, view, workload, container),
        _ => Findings::default(),
    }
}

/// Whether the container is the policy's to speak of.
fn is_ours(step: &Step) -> bool {
    match step {
        Step::Refused { reason, .. } => matches!(reason, Reason::FieldConflict | Reason::NotWired),
        Step::Held { .. } | Step::Write { .. } | Step::Settled { .. } => true,
    }
}

/// All that beats the policy, as one message; none where nothing does.
pub fn message<'a>(findings: impl Iterator<Item = &'a Findings>) -> Option<String> {
    let all: Vec<_> = findings.flat_map(|found| &found.overrides).collect();
    let (first, rest) = all.split_first()?;
    let mut message = (*first).clone();
    for (told, sentence) in rest.iter().enumerate() {
        if message.len() + sentence.len() > MAX_TOLD {
            let _ = write!(message, "; and {} more", rest.len() - told);
            break;
        }
        let _ = write!(message, "; {sentence}");
    }
    Some(message)
}

/// When to look again at what no watch tells of.
pub fn again(observed: &Observed) -> Option<Millis> {
    observed.targets.iter().filter_map(|view| view.env_from.until).min()
}

/// Whether the key of this variable may be set in the container by something whose value is not known, or
/// that counts on some pods only.
pub fn is_unsettled(container: &Container, from: &EnvFrom, variable: &str) -> bool {
    let keys = written_keys(variable);
    let writes = |name: &SmolStr| written_keys(name).iter().any(|key| keys.contains(key));
    let unusual = container.unusual.as_deref();
    // A plain entry of the very name comes before one from elsewhere.
    let plain = container.env.iter().any(|entry| *entry.name == *variable);
    let from_elsewhere = |name: &SmolStr| writes(name) && !(plain && **name == *variable);
    container.hides_variables()
        || unusual.is_some_and(|unusual| unusual.aliases.iter().chain(&unusual.in_command).any(writes))
        || from.sources.iter().flat_map(|source| source.names.iter().flatten()).any(from_elsewhere)
}

fn find(desired: &Desired, view: &TargetView, workload: &Workload, container: &Container) -> Findings {
    let set = Set::of(desired);
    let place = format!("container {} in {workload}", container.name);
    let later = if set.by_file { later_files(desired, container, &place) } else { Vec::new() };
    let found =
        in_command(&set, workload, container, &place).chain(in_env(&set, workload, container, &place));
    let overrides =
        found.chain(from_config_maps(&set, &view.env_from, &place)).chain(later).take(MOST).collect();
    Findings { overrides, not_checked: unchecked::not_checked(desired, &set, view, workload, container) }
}

fn in_command(
    set: &Set,
    workload: &Workload,
    container: &Container,
    place: &str,
) -> impl Iterator<Item = String> {
    let names = container.unusual.iter().flat_map(|unusual| &unusual.in_command);
    names.filter_map(move |name| {
        let keys = set.told(name)?;
        Some(format!(
            "the command line of {place} names {}, which sets {keys}: remove it from the {}",
            cut(name),
            workload.kind
        ))
    })
}

fn in_env(
    set: &Set,
    workload: &Workload,
    container: &Container,
    place: &str,
) -> impl Iterator<Item = String> {
    let aliases = container.unusual.iter().flat_map(|unusual| &unusual.aliases);
    // Of our own those that are left go with the next write; those that we set are a matter of ownership.
    let stranger = |name: &&SmolStr| !set.is_variable(name) && !workload.owns(&container.name, name);
    let plain = container.env.iter().map(|entry| &entry.name).filter(stranger);
    plain.chain(aliases).filter_map(move |name| {
        let beaten = set.beaten_by(name)?;
        Some(format!("env {} of {place} {beaten}: remove it from the {}", cut(name), workload.kind))
    })
}

fn from_config_maps(set: &Set, env_from: &EnvFrom, place: &str) -> Vec<String> {
    let mut found = Vec::new();
    for EnvFromMap { source, names } in &env_from.sources {
        let config_map = source.name();
        // An entry of ours has the very name and comes before it.
        for name in names.iter().flatten().filter(|name| !set.is_variable(name)) {
            let told = |beaten| {
                format!(
                    "env {} of {place}, from ConfigMap {config_map}, {beaten}: remove it from that ConfigMap",
                    cut(name)
                )
            };
            found.extend(set.beaten_by(name).map(told));
        }
    }
    found
}

/// Files that the container reads after ours.
fn later_files(desired: &Desired, container: &Container, place: &str) -> Vec<String> {
    let config_map = &desired.config_map;
    let Some(ours) =
        container.files.iter().rposition(|file| file.as_ref().is_some_and(|file| file.is_of(config_map)))
    else {
        return Vec::new();
    };
    let unread =
        |at: usize| container.unusual.iter().flat_map(|unusual| &unusual.unread).find(|file| file.at == at);
    let named = |(at, file): (usize, &Option<MountedFile>)| match (file, unread(at)) {
        (Some(file), _) => format!("key {} of ConfigMap {}", cut(&file.key), file.config_map),
        (None, Some(file)) => told_path(&file.path),
        (None, None) => "a file".into(),
    };
    let remedy = format!("make that of ConfigMap {config_map} the last --config");
    let later = container.files.iter().enumerate().skip(ours + 1).map(named);
    let beyond = container.files.more.then(|| "more files than are looked at".to_owned());
    later
        .chain(beyond)
        .map(|file| format!("{place} reads {file} after the policy's, and the later one counts: {remedy}"))
        .collect()
}

#[cfg(test)]
mod tests;
