//! The config maps that containers take variables from. They are read when the workload changes and now and
//! then, since nothing watches them; between that, what was found is remembered.

use std::collections::HashSet;

use smol_str::{SmolStr, format_smolstr};

use crate::controller::context::Context;
use crate::controller::decode::Resource;
use crate::controller::decode::env_source::EnvKeys;
use crate::controller::decode::requests::{api, named};
use crate::controller::error::Error;
use crate::controller::observe::env_from_cache::{GOOD_FOR, MOST, MOST_NAMES, after, spread};
use crate::model::{EnvFrom, EnvFromMap, EnvSource};
use crate::plan::Observed;
use crate::server::kratos::reaches;

/// Adds to each target what its container takes from config maps.
pub async fn read(context: &Context, observed: &mut Observed) -> Result<(), Error> {
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
pub async fn names(
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
