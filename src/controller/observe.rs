//! Every read: from the caches, and live where a cache is not enough.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use smol_str::SmolStr;
use tokio::time::Instant;

use super::cache::Tables;
use super::view::config_map::ConfigMap;
use super::view::{PodView, Resource};
use super::watch::api;
use super::{Context, Error};
use crate::admin;
use crate::api as wire;
use crate::document::Document;
use crate::plan::{
    Absence, Answer, Candidate, ConfigMapView, GovernedView, Key, Millis, Observed, Pod, PolicyObject, Record, Standing, TargetData,
    TargetView, Workload, WorkloadId, container, delivers_a_file, ends, hashes, holder, is_about_to_change, is_done,
};
use crate::policy::Target;
use crate::server::kratos::governed_part;

/// Gathers everything about one policy name.
pub(super) async fn observe(context: &Context, key: &Key, now: Millis) -> Result<Observed, Error> {
    let policy = context.cache.read(|tables| tables.policies.get(key));
    let absence = match &policy {
        Some(_) => {
            context.memory.forget_absence(key);
            Absence::Uncertain
        }
        None => absence(context, key, now).await?,
    };
    let crd_uid = crd_uid(context, policy.is_some()).await?;
    let mut observed = context.cache.read(|tables| gather(context, tables, key, policy, now));
    observed.absence = absence;
    observed.crd_uid = crd_uid;
    list_pods(context, &mut observed).await?;
    if is_about_to_change(&observed) {
        read_bases(context, &mut observed).await?;
    }
    find_mounts(context, &mut observed).await?;
    Ok(observed)
}

fn gather(context: &Context, tables: &Tables, key: &Key, policy: Option<Arc<PolicyObject>>, now: Millis) -> Observed {
    let records = policy.as_ref().map(|policy| records(tables, key, &policy.uid)).unwrap_or_default();
    let governed = tables.workloads.found_by(key);
    let id = |target: &Target| WorkloadId { kind: target.kind, key: key.beside(&target.name) };
    let standing = policy.as_ref().map(|policy| {
        let spec = policy.spec.iter().flat_map(|spec| spec.targets.iter().cloned());
        let recorded = records.iter().flat_map(|record| &record.data.targets).map(TargetData::target);
        let named: Vec<_> = spec.chain(recorded).filter_map(|target| tables.workloads.get(&id(&target))).collect();
        Standing::of(policy, &records, governed.iter().chain(&named).map(|workload| &**workload))
    });
    let standing = standing.unwrap_or_default();
    let named = policy.as_ref().map(|policy| standing.targets(policy)).unwrap_or_default();
    let targets = named
        .into_iter()
        .map(|target| {
            let workload = tables.workloads.get(&id(&target));
            let holder = workload.as_ref().and_then(|workload| holder_of(context, tables, workload, policy.as_deref()));
            let history = workload.as_ref().map(|workload| context.memory.history(&workload.uid)).unwrap_or_default();
            let (kind, name, container) = (target.kind, target.name, target.container);
            TargetView { kind, name, container, workload, holder, pods: None, disagrees_since: None, base: None, history }
        })
        .collect();
    let claimed = |workload: &Workload| tables.policies.found_by(&workload.id()).iter().any(|other| other.key != *key && !other.deleting);
    let governed = governed.into_iter().map(|workload| GovernedView { claimant: claimed(&workload), workload }).collect();
    let named = policy.as_ref().and_then(|policy| standing.config_map(policy));
    let config_maps = config_maps(context, tables, key, named.as_ref());
    let config_map_history = policy.as_ref().map(|policy| context.memory.history(&policy.uid)).unwrap_or_default();
    Observed {
        now,
        key: key.clone(),
        policy,
        absence: Absence::Uncertain,
        crd_uid: "".into(),
        targets,
        governed,
        config_maps,
        records,
        standing,
        config_map_history,
        server_images: context.settings.server_images.clone(),
        itself: context.settings.itself.clone(),
    }
}

/// Config maps with the label of this policy, and the one that it names.
fn config_maps(context: &Context, tables: &Tables, key: &Key, named: Option<&SmolStr>) -> Vec<ConfigMapView> {
    let labelled = tables.config_maps.found_by(key);
    let other = named.filter(|name| labelled.iter().all(|map| map.view.name != **name));
    let other = other.and_then(|name| tables.config_maps.get(&key.beside(name)));
    let view = |map: Arc<ConfigMap>| {
        let mut view = map.view.clone();
        let labelled = view.policy_label.as_ref().map(|name| key.beside(name)).filter(|other| other != key);
        let holds = |other: &Key| tables.policies.get(other).is_some() || context.memory.pause(other).is_some();
        view.holder = labelled.filter(holds).map(|other| other.name);
        view.claimant = named != Some(&view.name) && naming(tables, key, &view.name).next().is_some();
        view
    };
    labelled.into_iter().chain(other).map(view).collect()
}

/// Other policies of the namespace that name this config map.
fn naming<'a>(tables: &'a Tables, key: &'a Key, config_map: &'a str) -> impl Iterator<Item = &'a Arc<PolicyObject>> {
    let names = |policy: &PolicyObject| policy.spec.as_ref().is_ok_and(|spec| *spec.config_map == *config_map);
    let others = tables.policies.all().filter(|policy| policy.key.namespace == key.namespace && policy.key != *key);
    others.filter(move |policy| !policy.deleting && names(policy))
}

/// Policies that wait for what the policy of this name governed.
pub(super) fn claimants(context: &Context, observed: &Observed) -> Vec<Key> {
    context.cache.read(|tables| {
        let workloads = observed.governed.iter().flat_map(|view| tables.policies.found_by(&view.workload.id()));
        let files = observed.config_maps.iter().flat_map(|map| naming(tables, &observed.key, &map.name).cloned());
        workloads.chain(files).map(|policy| policy.key.clone()).filter(|key| *key != observed.key).collect()
    })
}

/// Records of the policy with this uid, newest first.
fn records(tables: &Tables, key: &Key, uid: &str) -> Vec<Arc<Record>> {
    let mut records: Vec<_> = tables
        .revisions
        .found_by(key)
        .iter()
        .filter_map(|revision| revision.record.clone())
        .filter(|record| *record.owner_uid == *uid)
        .collect();
    records.sort_by_key(|record| std::cmp::Reverse((record.is_plausible(), record.revision)));
    records
}

fn holder_of(context: &Context, tables: &Tables, workload: &Workload, asking: Option<&PolicyObject>) -> Option<SmolStr> {
    let mut naming = tables.policies.found_by(&workload.id());
    // A policy whose spec is refused keeps what it has: the index knows accepted specs only.
    let label = workload.policy_label.as_ref().map(|name| workload.key.beside(name));
    let labelled = label.as_ref().and_then(|key| tables.policies.get(key)).filter(|policy| policy.spec.is_err());
    naming.extend(labelled);
    naming.extend(asking.and_then(|asking| tables.policies.get(&asking.key)));
    naming.sort_by(|a, b| a.key.cmp(&b.key));
    naming.dedup_by(|a, b| a.key == b.key);
    let applied = |policy: &PolicyObject| {
        let records = records(tables, &policy.key, &policy.uid);
        records.first().is_some_and(|newest| newest.applied.iter().any(|applied| applied.uid == *workload.uid))
    };
    let candidate = |policy: &Arc<PolicyObject>| {
        let applied = applied(policy);
        let labelled = workload.own.policy_label && workload.policy_label.as_ref() == Some(&policy.key.name);
        // One that is being deleted keeps what it has until it is gone, and gains nothing.
        let stays = !policy.deleting || applied || labelled;
        stays.then(|| Candidate { name: policy.key.name.clone(), created: policy.created, applied })
    };
    let candidates: Vec<_> = naming.iter().filter_map(candidate).collect();
    let label_pauses = label.is_some_and(|key| tables.policies.get(&key).is_none() && context.memory.pause(&key).is_some());
    holder(workload, &candidates, label_pauses)
}

/// Whether a policy that the cache does not have is gone for good.
async fn absence(context: &Context, key: &Key, now: Millis) -> Result<Absence, Error> {
    if let Some(left) = context.memory.pause(key) {
        return Ok(Absence::Pausing { until: now + i64::try_from(left.as_millis()).unwrap_or_default() });
    }
    let served = context.client.list_api_group_resources(&format!("{}/{}", wire::GROUP, wire::VERSION)).await;
    let creatable = match served {
        Ok(list) => {
            list.resources.iter().any(|resource| resource.name == wire::PLURAL && resource.verbs.iter().any(|verb| verb == "create"))
        }
        Err(kube::Error::Api(status)) if status.is_not_found() => false,
        Err(error) => return Err(error.into()),
    };
    let found = api::<PolicyObject>(&context.client, Resource::POLICIES, Some(&key.namespace)).get_opt(&key.name).await;
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
async fn crd_uid(context: &Context, needed: bool) -> Result<SmolStr, Error> {
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

/// How long a pod may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a look may ask pods, all together: what is silent must not hold up repairs.
const ASKING: Duration = Duration::from_secs(5);
/// Pods asked at once.
const ASKED_AT_ONCE: usize = 16;

/// Lists the pods of each target that moves, and asks those that read a file of ours what they have.
async fn list_pods(context: &Context, observed: &mut Observed) -> Result<(), Error> {
    let deadline = Instant::now() + ASKING;
    let by_file = delivers_a_file(observed);
    for target in &mut observed.targets {
        let Some(workload) = target.workload.clone() else { continue };
        let asked = by_file && workload.own.required_aal;
        if (is_done(&workload) && !asked) || workload.selector.is_empty() {
            continue;
        }
        let params = ListParams::default().labels(&workload.selector);
        let pods = api::<PodView>(&context.client, Resource::PODS, Some(&workload.key.namespace)).list(&params).await?;
        let own = pods.items.into_iter().map(|seen| seen.value(&Resource::PODS)).filter(|view| view.is_of(&workload));
        let pods = match container(&workload, target).ok().filter(|_| asked) {
            Some(container) => ask(own, &container.name, deadline).await,
            None => own.map(|view| view.pod).collect(),
        };
        // Between two templates it is no wonder.
        let disagrees = is_done(&workload) && hashes(&pods).len() > 1;
        target.disagrees_since = context.memory.disagrees(&workload.uid, disagrees, observed.now);
        target.pods = Some(pods);
    }
    Ok(())
}

/// The pods with what each ready one answers.
async fn ask(pods: impl Iterator<Item = PodView>, container: &str, deadline: Instant) -> Vec<Pod> {
    let asked = pods.map(|view| async move {
        let address = view.admin.iter().find(|(name, _)| name == container).map(|(_, address)| *address);
        let mut pod = view.pod;
        if let Some(address) = address.filter(|_| pod.ready && !pod.deleting) {
            let answer = tokio::time::timeout_at(deadline, admin::config(address, PATIENCE)).await;
            pod.answer = Some(answer.unwrap_or(Answer::Unreachable));
        }
        pod
    });
    futures::stream::iter(asked).buffered(ASKED_AT_ONCE).collect().await
}

/// Reads what the rendered file is laid on: the files before it, where they are from config maps.
async fn read_bases(context: &Context, observed: &mut Observed) -> Result<(), Error> {
    let api: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::namespaced(context.client.clone(), &observed.key.namespace);
    for target in &mut observed.targets {
        let Some(workload) = target.workload.clone() else { continue };
        let files = container(&workload, target).map(|container| container.files.as_slice()).unwrap_or_default();
        let Some((_, before)) = files.split_last() else { continue };
        let mut base = Some(Vec::new());
        for file in before {
            let text = match file {
                Some(file) => api.get_opt(&file.config_map).await?.and_then(|map| map.data?.remove(&*file.key)),
                None => None,
            };
            let document = text.and_then(|text| read_base(&text));
            base = base.zip(document).map(|(mut base, document)| {
                base.push(document);
                base
            });
        }
        target.base = base;
    }
    Ok(())
}

/// What matters of a file that others wrote. One at a time: while it is read, it takes many times its size.
fn read_base(text: &str) -> Option<Document> {
    static READING: Mutex<()> = Mutex::new(());
    let _reading = READING.lock().unwrap_or_else(PoisonError::into_inner);
    Document::parse(text).ok().map(|document| governed_part(&document))
}

/// Says of each config map that is about to end whether something still mounts it.
async fn find_mounts(context: &Context, observed: &mut Observed) -> Result<(), Error> {
    let ending: Vec<_> = (0..observed.config_maps.len()).filter(|index| ends(observed, &observed.config_maps[*index])).collect();
    if ending.is_empty() {
        return Ok(());
    }
    let pods = api::<PodView>(&context.client, Resource::PODS, Some(&observed.key.namespace)).list(&ListParams::default()).await?;
    let mut mounted: HashSet<SmolStr> = pods.items.into_iter().flat_map(|seen| seen.value(&Resource::PODS).mounts).collect();
    // Any workload of the namespace: one that was reverted a moment ago has no label any more, and
    // one without pods starts some later.
    context.cache.read(|tables| {
        for workload in tables.workloads.all().filter(|workload| workload.key.namespace == observed.key.namespace) {
            mounted.extend(workload.mounts.iter().cloned());
        }
    });
    for index in ending {
        let map = &mut observed.config_maps[index];
        map.mounted = mounted.contains(&map.name);
    }
    Ok(())
}
