//! One policy name as the store has it.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::controller::context::Context;
use crate::controller::decode::config_map::ConfigMap;
use crate::controller::observe::claims;
use crate::controller::observe::records::records;
use crate::controller::store::Tables;
use crate::controller::store::held::Named;
use crate::model::{
    ConfigMapView, Container, Key, Millis, PolicyObject, ProbesSkipped, TargetData, Unreadable, Workload,
    WorkloadId,
};
use crate::plan::{Absence, GovernedView, NAMED, Observed, Standing, TargetView, given_up};
use crate::policy::{Rejection, Target};

pub fn gather(
    context: &Context,
    tables: &Tables,
    key: &Key,
    policy: Option<Arc<PolicyObject>>,
    now: Millis,
    refused: Vec<Rejection>,
) -> Observed {
    let records = policy.as_ref().map(|policy| records(tables, key, &policy.uid)).unwrap_or_default();
    let strange = tables.revisions.found_by(key).into_iter().filter(|revision| revision.record.is_none());
    let strange = strange.map(|revision| revision.key.name.clone());
    let broken = tables.revisions.unreadable_found_by(key);
    let ignored = strange.chain(broken.iter().map(|revision| revision.key.name.clone())).collect();
    let governed = tables.workloads.found_by(key);
    let id = |target: &Target| WorkloadId { kind: target.kind, key: key.beside(&target.name) };
    let standing = policy.as_ref().map(|policy| {
        let spec = policy.spec.iter().flat_map(|spec| spec.targets.iter().cloned());
        let recorded = records.iter().flat_map(|record| &record.data.targets).map(TargetData::target);
        let named: Vec<_> =
            spec.chain(recorded).filter_map(|target| tables.workloads.get(&id(&target))).collect();
        Standing::of(policy, &records, governed.iter().chain(&named).map(|workload| &**workload))
    });
    // What it did so far is not known, nor therefore what is in force or whose a variable is.
    let forgotten = records.iter().find_map(|record| Unreadable::note(key, record)).map(Arc::new);
    let mut standing = standing.unwrap_or_default();
    standing.rejections.extend(refused);
    let named = policy.as_ref().map(|policy| standing.targets(policy)).unwrap_or_default();
    let targets = named
        .into_iter()
        .map(|target| {
            let workload = tables.workloads.get(&id(&target)).filter(|_| forgotten.is_none());
            let unreadable = tables.workloads.unreadable(&id(&target)).or(forgotten.clone());
            let claim = workload
                .as_ref()
                .and_then(|workload| claims::by(context, tables, workload, policy.as_deref()));
            let (holder, over) = claim.map(|claim| (claim.holder, claim.over)).unzip();
            let history = workload
                .as_ref()
                .map(|workload| context.memory.history(&workload.uid, now))
                .unwrap_or_default();
            let selected =
                workload.as_ref().map(|workload| context.selected.recall(workload)).unwrap_or_default();
            let (kind, name, container) = (target.kind, target.name, target.container);
            TargetView {
                kind,
                name,
                container,
                workload,
                unreadable,
                holder,
                over: over.flatten(),
                pods: None,
                selected,
                proof: None,
                listed: None,
                content: None,
                well_since: None,
                env_from: Default::default(),
                disagrees_since: None,
                base: None,
                server_version: None,
                history,
            }
        })
        .collect();
    let claimed = |workload: &Workload| {
        tables
            .policies
            .found_by(&Named::Workload(workload.id()))
            .iter()
            .any(|other| other.key != *key && !other.deleting)
    };
    let governed = governed
        .into_iter()
        .map(|workload| GovernedView { claimant: claimed(&workload), workload })
        .collect();
    let named = policy.as_ref().and_then(|policy| standing.config_map(policy));
    let config_maps = config_maps(context, tables, key, named.as_ref());
    Observed {
        now,
        pauses: context.settings.pauses,
        key: key.clone(),
        policy,
        absence: Absence::Uncertain,
        crd_uid: "".into(),
        targets,
        governed,
        config_maps,
        records,
        unreadable: unreadable(tables, key, named.as_ref()),
        ignored,
        standing,
        left_file: None,
        probes_skipped: ProbesSkipped::default(),
        untargeted: untargeted(context, tables, key),
        server_images: context.settings.server_images.clone(),
        own_deployment: context.settings.own_deployment.clone(),
    }
}

/// Servers of the namespace that no policy names, if this one speaks for it.
pub fn untargeted(context: &Context, tables: &Tables, key: &Key) -> Vec<WorkloadId> {
    if tables.census.speaker(&key.namespace).as_ref() != Some(key) {
        return Vec::new();
    }
    let is_server = |container: &Container| container.is_server(&context.settings.server_images);
    let serves = |id: &&WorkloadId| {
        tables.workloads.get(id).is_some_and(|workload| workload.containers.iter().any(is_server))
    };
    let unnamed = tables
        .census
        .unlabelled(&key.namespace)
        .filter(|id| !tables.policies.is_found_by(&Named::Workload((*id).clone())));
    unnamed.filter(serves).take(NAMED + 1).cloned().collect()
}

/// Config maps with the label of this policy, and the one that it names.
pub fn config_maps(
    context: &Context,
    tables: &Tables,
    key: &Key,
    named: Option<&SmolStr>,
) -> Vec<ConfigMapView> {
    let labelled = tables.config_maps.found_by(key);
    let other = named.filter(|name| labelled.iter().all(|map| map.view.name != **name));
    let other = other.and_then(|name| tables.config_maps.get(&key.beside(name)));
    let view = |map: Arc<ConfigMap>| {
        let mut view = map.view.clone();
        let labelled = view.policy_label.as_ref().map(|name| key.beside(name)).filter(|other| other != key);
        let pauses = |other: &Key| context.memory.claim_pause(other).is_some();
        let holds = |other: &Key| tables.policies.is_there(other) || pauses(other);
        view.holder = labelled.filter(holds).map(|other| other.name);
        view.claimant = named != Some(&view.name) && naming(tables, key, &view.name).next().is_some();
        view
    };
    labelled.into_iter().chain(other).map(view).collect()
}

/// What carries the label of this policy, or is the config map that it names, and cannot be read.
pub fn unreadable(tables: &Tables, key: &Key, named: Option<&SmolStr>) -> Vec<Arc<Unreadable>> {
    let mut maps = tables.config_maps.unreadable_found_by(key);
    let other = named.and_then(|name| tables.config_maps.unreadable(&key.beside(name)));
    maps.extend(other.filter(|other| maps.iter().all(|map| map.key != other.key)));
    tables.workloads.unreadable_found_by(key).into_iter().chain(maps).collect()
}

/// Other policies that name this config map.
pub fn naming<'a>(
    tables: &'a Tables,
    key: &'a Key,
    config_map: &SmolStr,
) -> impl Iterator<Item = Arc<PolicyObject>> + use<'a> {
    let all = tables.policies.found_by(&Named::ConfigMap(key.beside(config_map)));
    all.into_iter().filter(|policy| policy.key != *key && !policy.deleting)
}

/// Policies that wait for what the policy of this name governed and names no more.
pub fn claimants(context: &Context, observed: &Observed) -> Vec<Key> {
    context.cache.read(|tables| {
        let workloads = given_up(observed)
            .flat_map(|view| tables.policies.found_by(&Named::Workload(view.workload.id())));
        let files = observed.config_maps.iter().flat_map(|map| naming(tables, &observed.key, &map.name));
        workloads.chain(files).map(|policy| policy.key.clone()).filter(|key| *key != observed.key).collect()
    })
}
