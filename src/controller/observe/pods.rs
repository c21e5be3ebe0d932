//! Every read of pods: no watch has them.

use std::collections::HashSet;
use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;
use std::time::Duration;

use smol_str::SmolStr;

use crate::controller::context::Context;
use crate::controller::decode::Resource;
use crate::controller::decode::mounts::Mounts;
use crate::controller::decode::pod::PodView;
use crate::controller::error::{Error, words};
use crate::controller::observe::pod_owners;
use crate::controller::observe::pod_sorting::{self, Pods};
use crate::controller::probe::requests;
use crate::controller::watch::list::{self, Selection};
use crate::model::{UnknownPods, Workload, hashes, is_done};
use crate::plan::{Observed, delivers_a_file, ends};
use crate::policy::VerificationMode;

/// Lists the pods of each target that moves, and asks those that read a file of ours what they have. Returns
/// why that failed for a target: of its pods nothing is known in this look.
pub async fn list(context: &Context, observed: &mut Observed) -> Option<Error> {
    let mut failed = None;
    let verification = observed.verification();
    let mut budget = requests::Budget::of(&verification);
    let file = observed
        .policy
        .as_ref()
        .filter(|_| delivers_a_file(observed) && verification.mode != VerificationMode::Off);
    let file = file.and_then(|policy| observed.standing.config_map(policy));
    for index in 0..observed.targets.len() {
        let target = &observed.targets[index];
        let Some(workload) = target.workload.clone() else { continue };
        let reads = |file: &SmolStr| {
            target.container_in(&workload).is_ok_and(|server| workload.file(&server.name, file).is_some())
        };
        let asked = workload.own.policy_label && file.as_ref().is_some_and(reads);
        if (is_done(&workload) && !asked)
            || workload.selector.is_none()
            || !target.is_free_for(&observed.key.name)
        {
            continue;
        }
        let mut pods = match of(context, observed, &workload).await {
            Ok(pods) => pods,
            Err(error) => {
                failed.get_or_insert(error);
                continue;
            }
        };
        context.memory.sighted(pods.own.iter_mut().map(|view| &mut view.pod), observed.now);
        let target = &mut observed.targets[index];
        let asked = target.container_in(&workload).ok().filter(|_| asked);
        target.selected = context.selected.recall(&workload);
        if pods.is_unseen() {
            continue;
        }
        let room = asked.map(|_| context.probe_cache.room(&workload));
        let pods = match (asked, &room) {
            (Some(container), Some(Ok(_))) => {
                budget
                    .spend(async |deadline| {
                        requests::each(pods.own.into_iter(), &container.name, &verification, deadline).await
                    })
                    .await
            }
            _ => pods.own.into_iter().map(|view| view.pod).collect(),
        };
        if let Some(Err(none)) = room {
            observed.probes_skipped.add(&workload, none);
        } else {
            // Between two templates it is no wonder.
            let disagrees = is_done(&workload) && hashes(&pods).len() > 1;
            target.disagrees_since = context.memory.disagrees(&workload.uid, disagrees, observed.now);
        }
        observed.targets[index].pods = Some(pods);
    }
    failed
}

/// Bytes of the pods of all targets of a policy: more than a thousand honest ones. Others may make as many as
/// they like, and many policies are looked at at once.
const HELD_OF_PODS: usize = 2 * 1024 * 1024;

/// How long the pods of all targets may take to be read in one look.
const PATIENCE: Duration = Duration::from_secs(30);

/// After so many looks in a row that failed it is told that the pods are unknown: about half a minute, or as
/// many times the patience. What was seen before must not be told for ever.
const TRIED: u32 = 7;

/// Characters of an error that are told.
const TOLD: usize = 200;

/// It is remembered whether the selector finds pods of others, too, or why that is not known.
///
/// # Errors
/// Where they cannot be read for a moment.
pub async fn of(context: &Context, observed: &Observed, workload: &Workload) -> Result<Pods, Error> {
    let Some(labels) = &workload.selector else { return Ok(Pods::default()) };
    let targets = observed.targets.len().max(1);
    let patience = PATIENCE / u32::try_from(targets).unwrap_or(u32::MAX);
    let read = tokio::time::timeout(patience, read(context, workload, labels, HELD_OF_PODS / targets))
        .await
        .unwrap_or(Err(Error::Deadline));
    let mut found = match read {
        Ok(found) => found,
        Err(Error::Api(kube::Error::Api(status))) if status.is_forbidden() => {
            Pods::unseen(UnknownPods::Forbidden)
        }
        Err(error) if context.memory.failures(&observed.key) >= TRIED => {
            Pods::unseen(UnknownPods::Failed(words(&error).chars().take(TOLD).collect()))
        }
        Err(error) => {
            context.selected.forget(workload);
            return Err(error);
        }
    };
    pod_sorting::sort(context, observed, workload, &mut found);
    Ok(found)
}

/// Each with what made it.
async fn read(context: &Context, workload: &Workload, labels: &str, mut room: usize) -> Result<Pods, Error> {
    let mut found = Pods::default();
    let selection = Selection { resource: Resource::PODS, namespace: Some(&workload.key.namespace), labels };
    list::each(&context.client, selection, |read: Result<PodView, _>| match read {
        // One that nobody controls counts nowhere.
        Ok(view) if view.owner.is_none() => Continue(()),
        Ok(view) => match room.checked_sub(view.weight()) {
            Some(left) => {
                room = left;
                found.own.push(view);
                Continue(())
            }
            None => {
                found.unknown = Some(UnknownPods::TooMany);
                Break(())
            }
        },
        Err(unreadable) => {
            found.unknown = Some(UnknownPods::One(unreadable));
            Continue(())
        }
    })
    .await?;
    pod_owners::read(context, workload, &mut found.own).await?;
    Ok(found)
}

/// Says of each config map that is about to end whether something still mounts it.
pub async fn find_mounts(context: &Context, observed: &mut Observed) -> Result<(), Error> {
    let ending: Vec<_> = (0..observed.config_maps.len())
        .filter(|index| ends(observed, &observed.config_maps[*index]))
        .collect();
    if ending.is_empty() {
        return Ok(());
    }
    let mut mounted = HashSet::new();
    // What one mounts that cannot be read is not known.
    let mut is_known = true;
    let selection =
        Selection { resource: Resource::PODS, namespace: Some(&observed.key.namespace), labels: "" };
    let listed = list::each(&context.client, selection, |read| {
        match read {
            Ok(Mounts(maps)) => {
                is_known &= !maps.more;
                mounted
                    .extend(maps.into_iter().filter(|name| {
                        ending.iter().any(|index| observed.config_maps[*index].name == *name)
                    }));
            }
            Err(_) => is_known = false,
        }
        Continue(())
    });
    // What ends may wait, and nothing else waits for it.
    match tokio::time::timeout(PATIENCE, listed).await {
        Err(_) => is_known = false,
        Ok(Err(kube::Error::Api(status))) if status.is_forbidden() => is_known = false,
        Ok(listed) => listed?,
    }
    // Any workload of the namespace: one that was reverted a moment ago has no label any more, and
    // one without pods starts some later.
    context.cache.read(|tables| {
        let own = |workload: &&Arc<Workload>| workload.key.namespace == observed.key.namespace;
        for name in ending.iter().map(|index| observed.config_maps[*index].name.clone()) {
            if tables.workloads.all().filter(own).any(|workload| workload.may_mount(&name)) {
                mounted.insert(name);
            }
        }
        is_known &=
            tables.workloads.all_unreadable().all(|(id, _)| id.key.namespace != observed.key.namespace);
    });
    for index in ending {
        let map = &mut observed.config_maps[index];
        map.mounted = !is_known || mounted.contains(&map.name);
    }
    Ok(())
}
