//! Every read: from the caches, and live where a cache is not enough. Those of pods stand in `pods`.

use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, ResourceExt};
use smol_str::SmolStr;

use super::cache::{Named, Tables};
use super::view::Resource;
use super::view::config_map::ConfigMap;
use super::watch::api;
use super::{Context, Error, bases, claimed, env_from, examine, pods};
use crate::api as wire;
use crate::model::{
    ConfigMapView, Container, Key, Millis, PolicyObject, Record, TargetData, Unheard, Unreadable, Workload,
    WorkloadId,
};
use crate::plan::{
    Absence, GovernedView, NAMED, Observed, Standing, TargetView, given_up, is_about_to_change,
    may_be_refused, refusals,
};
use crate::policy::{Rejection, Target};
use crate::server::kratos::asks_for_code;

/// Everything about one policy name.
pub(super) struct Gathered {
    pub observed: Observed,
    /// Why the pods of some target were not read: what is written does not wait for that.
    pub unread: Option<Error>,
}

/// Gathers everything about one policy name.
pub(super) async fn observe(context: &Context, key: &Key, now: Millis) -> Result<Gathered, Error> {
    let policy = context.cache.read(|tables| tables.policies.get(key));
    let absence = match &policy {
        Some(_) => {
            context.memory.is_back(key);
            Absence::Uncertain
        }
        // It is there.
        None if context.cache.read(|tables| tables.policies.unreadable(key)).is_some() => {
            context.memory.is_back(key);
            Absence::Uncertain
        }
        None => absence(context, key, now).await?,
    };
    let crd_uid = crd_uid(context, policy.is_some()).await?;
    let look = |refused| Observed {
        absence,
        crd_uid: crd_uid.clone(),
        ..context.cache.read(|tables| gather(context, tables, key, policy.clone(), now, refused))
    };
    let mut observed = look(Vec::new());
    if may_be_refused(&observed) {
        let refused = refused(context, &mut observed).await?;
        observed = Observed { unheard: std::mem::take(&mut observed.unheard), ..look(refused.rejections) };
        for view in &mut observed.targets {
            let own =
                |(uid, _): &&(SmolStr, SmolStr)| view.workload.as_ref().is_some_and(|own| own.uid == *uid);
            view.server_version = refused.versions.iter().find(own).map(|(_, version)| version.clone());
        }
    }
    bases::recall(context, &mut observed);
    bases::read_left_file(context, &mut observed).await?;
    let unread = pods::list(context, &mut observed).await;
    let unread = unread.or(examine::examine(context, &mut observed).await.err());
    if is_about_to_change(&observed) {
        bases::read(context, &mut observed).await?;
    }
    env_from::read(context, &mut observed).await?;
    pods::find_mounts(context, &mut observed).await?;
    Ok(Gathered { observed, unread })
}

/// How often a policy that is gone is looked at during its pause.
const PAUSES_AGAIN: Millis = 30_000;

/// What the targets themselves have against the policy.
#[derive(Default)]
struct Refused {
    rejections: Vec<Rejection>,
    /// Versions of servers, by the uid of the workload.
    versions: Vec<(SmolStr, SmolStr)>,
}

/// Judges the policy by what its targets have: only what a rule waits for is read.
async fn refused(context: &Context, observed: &mut Observed) -> Result<Refused, Error> {
    bases::recall(context, observed);
    bases::read_missing(context, observed).await?;
    if observed.policy.as_ref().is_some_and(|policy| policy.spec.as_ref().is_ok_and(asks_for_code)) {
        bases::ask_versions_in_time(context, observed).await?;
    }
    let rejections = refusals(observed);
    if !rejections.is_empty() {
        bases::hasten(context, observed);
    }
    let version =
        |view: &TargetView| Some((view.workload.as_ref()?.uid.clone(), view.server_version.clone()?));
    Ok(Refused { rejections, versions: observed.targets.iter().filter_map(version).collect() })
}

pub(super) fn gather(
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
                .and_then(|workload| claimed::by(context, tables, workload, policy.as_deref()));
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
        unheard: Unheard::default(),
        untargeted: untargeted(context, tables, key),
        server_images: context.settings.server_images.clone(),
        itself: context.settings.itself.clone(),
    }
}

/// Servers of the namespace that no policy names, if this one speaks for it.
fn untargeted(context: &Context, tables: &Tables, key: &Key) -> Vec<WorkloadId> {
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
fn config_maps(context: &Context, tables: &Tables, key: &Key, named: Option<&SmolStr>) -> Vec<ConfigMapView> {
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
fn unreadable(tables: &Tables, key: &Key, named: Option<&SmolStr>) -> Vec<Arc<Unreadable>> {
    let mut maps = tables.config_maps.unreadable_found_by(key);
    let other = named.and_then(|name| tables.config_maps.unreadable(&key.beside(name)));
    maps.extend(other.filter(|other| maps.iter().all(|map| map.key != other.key)));
    tables.workloads.unreadable_found_by(key).into_iter().chain(maps).collect()
}

/// Other policies that name this config map.
fn naming<'a>(
    tables: &'a Tables,
    key: &'a Key,
    config_map: &SmolStr,
) -> impl Iterator<Item = Arc<PolicyObject>> + use<'a> {
    let all = tables.policies.found_by(&Named::ConfigMap(key.beside(config_map)));
    all.into_iter().filter(|policy| policy.key != *key && !policy.deleting)
}

/// Policies that wait for what the policy of this name governed and names no more.
pub(super) fn claimants(context: &Context, observed: &Observed) -> Vec<Key> {
    context.cache.read(|tables| {
        let workloads = given_up(observed)
            .flat_map(|view| tables.policies.found_by(&Named::Workload(view.workload.id())));
        let files = observed.config_maps.iter().flat_map(|map| naming(tables, &observed.key, &map.name));
        workloads.chain(files).map(|policy| policy.key.clone()).filter(|key| *key != observed.key).collect()
    })
}

/// Records of the policy with this uid, newest first.
pub(super) fn records(tables: &Tables, key: &Key, uid: &str) -> Vec<Arc<Record>> {
    let mut records: Vec<_> = tables
        .revisions
        .found_by(key)
        .iter()
        .filter_map(|revision| revision.record.clone())
        .filter(|record| *record.owner_uid == *uid)
        .collect();
    // Of two with one number it is always the same that comes first.
    records.sort_by_cached_key(|record| {
        std::cmp::Reverse((record.is_plausible(), record.revision, record.name.clone()))
    });
    records
}

/// Whether a policy that the cache does not have is gone for good.
async fn absence(context: &Context, key: &Key, now: Millis) -> Result<Absence, Error> {
    context.memory.seen_gone(key);
    if let Some(left) = context.memory.pause(key, context.policies()) {
        // A long pause ends before its time where many others are back.
        return Ok(Absence::Pausing { until: now + left.min(PAUSES_AGAIN) });
    }
    let served = context.client.list_api_group_resources(&format!("{}/{}", wire::GROUP, wire::VERSION)).await;
    let creatable = match served {
        Ok(list) => list.resources.iter().any(|resource| {
            resource.name == wire::PLURAL && resource.verbs.iter().any(|verb| verb == "create")
        }),
        Err(kube::Error::Api(status)) if status.is_not_found() => false,
        Err(error) => return Err(error.into()),
    };
    let found = api::<PolicyObject>(&context.client, Resource::POLICIES, Some(&key.namespace))
        .get_opt(&key.name)
        .await;
    match found {
        Ok(None) if creatable => {
            // What the annotations note must be compared with the definition of now.
            context.crd_uid.forget();
            Ok(Absence::Confirmed)
        }
        Ok(_) => Ok(Absence::Uncertain),
        Err(error) => Err(error.into()),
    }
}

/// Uid of the definition; empty where nobody has it.
pub(super) async fn crd_uid(context: &Context, needed: bool) -> Result<SmolStr, Error> {
    if let Some(known) = context.crd_uid.known() {
        return Ok(known);
    }
    let api: Api<CustomResourceDefinition> = Api::all(context.client.clone());
    match api.get_metadata_opt(wire::CRD_NAME).await? {
        Some(crd) => {
            let uid: SmolStr = crd.uid().unwrap_or_default().into();
            context.crd_uid.learn(uid.clone());
            Ok(uid)
        }
        None if needed => Err(Error::NotServed),
        None => Ok("".into()),
    }
}
