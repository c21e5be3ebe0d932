//! The config maps that containers take variables from. They are read when the workload changes and now and
//! then, since nothing watches them; between that, what was found is remembered.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use smol_str::{SmolStr, format_smolstr};
use tokio::time::Instant;

use super::view::Resource;
use super::view::env_source::EnvKeys;
use super::watch::{api, named};
use super::{Context, Error};
use crate::model::{EnvFrom, EnvFromMap, EnvSource, Millis, Workload};
use crate::plan::Observed;
use crate::server::kratos::reaches;

/// More than any container takes: the rest is told as not looked at.
const MOST: usize = 16;
/// Likewise of names in one of them.
const MOST_NAMES: usize = 32;
/// How long what was read is good for, and by how much workloads differ in that.
const GOOD_FOR: Duration = Duration::from_secs(540);
const SPREAD: u64 = 120_000;

/// What was read, by the uid of the workload. Lost at a restart, and read again.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<SmolStr, Read>>);

#[derive(Debug)]
struct Read {
    /// Of the workload, and which of its containers.
    generation: i64,
    container: SmolStr,
    /// Without its end, which is by the clock that nobody can set.
    found: EnvFrom,
    until: Instant,
}

impl Known {
    fn get(&self, workload: &Workload, container: &str, now: Millis) -> Option<EnvFrom> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = known
            .get(&workload.uid)
            .filter(|read| read.generation == workload.generation && read.container == container)?;
        let left = read.until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| EnvFrom { until: Some(after(now, left)), ..read.found.clone() })
    }

    fn put(&self, workload: &Workload, container: &str, found: EnvFrom, good_for: Duration) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody asks for any more.
        known.retain(|_, read| read.until.elapsed() < GOOD_FOR);
        let until = Instant::now() + good_for;
        known.insert(
            workload.uid.clone(),
            Read { generation: workload.generation, container: container.into(), found, until },
        );
    }
}

/// Adds to each target what its container takes from config maps.
pub(super) async fn read(context: &Context, observed: &mut Observed) -> Result<(), Error> {
    let now = observed.now;
    for target in &mut observed.targets {
        let Some(workload) = target.workload.clone() else { continue };
        let Ok(container) = target.container_in(&workload) else { continue };
        let sources = container.unusual.iter().flat_map(|unusual| &unusual.env_from);
        let mut seen = HashSet::new();
        let maps: Vec<_> = sources
            .filter_map(config_map)
            .filter(|(_, name, prefix)| seen.insert((*name, *prefix)))
            .collect();
        if maps.is_empty() {
            continue;
        }
        if let Some(known) = context.env_from.get(&workload, &container.name, now) {
            target.env_from = known;
            continue;
        }
        let good_for = GOOD_FOR + spread(&workload.uid);
        let mut found = EnvFrom { sources: Vec::new(), until: Some(after(now, good_for)) };
        for (index, (source, name, prefix)) in maps.into_iter().enumerate() {
            let names = if index < MOST {
                names(context, &workload.key.namespace, name, prefix).await?
            } else {
                None
            };
            found.sources.push(EnvFromMap { source: source.clone(), names });
        }
        context.env_from.put(&workload, &container.name, found.clone(), good_for);
        target.env_from = found;
    }
    Ok(())
}

fn config_map(source: &EnvSource) -> Option<(&EnvSource, &SmolStr, &SmolStr)> {
    match source {
        EnvSource::ConfigMap { name, prefix } => Some((source, name, prefix)),
        EnvSource::Secret { .. } => None,
    }
}

/// Variables from this config map that write what rules look at. None where it may not, or cannot, be read.
async fn names(
    context: &Context,
    namespace: &str,
    name: &str,
    prefix: &str,
) -> Result<Option<Vec<SmolStr>>, Error> {
    let keys =
        match named(&api::<EnvKeys>(&context.client, Resource::CONFIG_MAPS, Some(namespace)), name).await {
            Ok(Some(seen)) => match seen.value(&Resource::CONFIG_MAPS) {
                Ok(EnvKeys(keys)) => keys,
                Err(_) => return Ok(None),
            },
            Ok(None) => Vec::new(),
            Err(kube::Error::Api(status)) if status.is_forbidden() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
    let names = keys.into_iter().map(|key| format_smolstr!("{prefix}{key}"));
    let names: Vec<_> = names.filter(|name| reaches(name).next().is_some()).take(MOST_NAMES + 1).collect();
    Ok(Some(names).filter(|names| names.len() <= MOST_NAMES))
}

/// So that not all are read at once.
fn spread(uid: &str) -> Duration {
    Duration::from_millis(uid.bytes().fold(0, |sum, byte| (sum * 31 + u64::from(byte)) % SPREAD))
}

fn after(now: Millis, pause: Duration) -> Millis {
    now.saturating_add(Millis::try_from(pause.as_millis()).unwrap_or(Millis::MAX))
}
