//! Reads everything about one policy live, past the watches: one of them may be late for long, or know
//! versions that the cluster no longer has.

use std::collections::HashSet;
use std::ops::ControlFlow::Continue;

use crate::api::POLICY_LABEL;
use crate::controller::context::Context;
use crate::controller::decode::config_map::ConfigMap;
use crate::controller::decode::requests::{api, named};
use crate::controller::decode::revision::Revision;
use crate::controller::decode::{Resource, Slim};
use crate::controller::error::Error;
use crate::controller::store::Cached;
use crate::controller::store::held::{Held, Id, Named};
use crate::controller::watch::list::{self, Selection};
use crate::model::{Key, PolicyObject, TargetData, Workload, WorkloadId};

pub async fn read(context: &Context, key: &Key) -> Result<(), Error> {
    object::<PolicyObject>(context, Resource::POLICIES, key, key).await?;
    let (workloads, maps): (HashSet<WorkloadId>, HashSet<Key>) = context.cache.read(|tables| {
        let policy = tables.policies.get(key);
        let named = policy.iter().flat_map(|policy| policy.refers_to());
        let (mut workloads, mut maps) = (HashSet::new(), HashSet::new());
        named.for_each(|named| match named {
            Named::Workload(id) => drop(workloads.insert(id)),
            Named::ConfigMap(key) => drop(maps.insert(key)),
        });
        let records =
            tables.revisions.found_by(key).into_iter().filter_map(|revision| revision.record.clone());
        let targets =
            records.flat_map(|record| record.data.targets.iter().map(TargetData::target).collect::<Vec<_>>());
        workloads
            .extend(targets.map(|target| WorkloadId { kind: target.kind, key: key.beside(&target.name) }));
        workloads.extend(tables.workloads.ids_found_by(key));
        maps.extend(tables.config_maps.ids_found_by(key));
        (workloads, maps)
    });
    for id in workloads {
        object::<Workload>(context, Resource::of(id.kind), &id, &id.key).await?;
    }
    // Of those that are known: another one may lack our label, and no watch would take it away again.
    for map in maps.iter().filter(|map| context.cache.version::<ConfigMap>(map).is_some()) {
        object::<ConfigMap>(context, Resource::CONFIG_MAPS, map, map).await?;
    }
    records(context, key).await
}

async fn object<T: Slim + Cached>(
    context: &Context,
    resource: Resource,
    id: &T::Id,
    key: &Key,
) -> Result<(), Error> {
    let before = context.cache.version::<T>(id);
    let found = named(&api::<T>(&context.client, resource, Some(&key.namespace)), &key.name).await?;
    let found = found.map(|seen| seen.value(&resource));
    context.cache.refresh::<T>(id, &before, found).into_iter().for_each(|key| context.queue.now(key));
    Ok(())
}

async fn records(context: &Context, key: &Key) -> Result<(), Error> {
    let before = context.cache.versions::<Revision>(Resource::REVISIONS.kind, Some(&key.namespace));
    let labels = format!("{POLICY_LABEL}={}", key.name);
    let selection =
        Selection { resource: Resource::REVISIONS, namespace: Some(&key.namespace), labels: &labels };
    let mut listed = HashSet::new();
    let mut concerned = Vec::new();
    list::each::<Revision>(&context.client, selection, |read| {
        let id = match &read {
            Ok(revision) => revision.key.clone(),
            Err(unreadable) => Key::of_unreadable(unreadable),
        };
        // Which one it is that has no name is not known.
        if id.name.is_empty() {
            return Continue(());
        }
        concerned.extend(context.cache.refresh::<Revision>(&id, &before.get(&id).cloned(), Some(read)));
        listed.insert(id);
        Continue(())
    })
    .await?;
    let known = context.cache.read(|tables| tables.revisions.ids_found_by(key));
    for gone in known.into_iter().filter(|id| !listed.contains(id)) {
        concerned.extend(context.cache.refresh::<Revision>(&gone, &before.get(&gone).cloned(), None));
    }
    concerned.into_iter().for_each(|key| context.queue.now(key));
    Ok(())
}
