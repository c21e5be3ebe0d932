//! Every write, and how the cluster answered it.

mod records;

use std::sync::Arc;

use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::response::Status;
use kube::{Api, Client, Resource as _};
use serde_json::{Value, json};
use smol_str::SmolStr;

use super::cache::Cached;
use super::view::config_map::ConfigMap;
use super::view::{PodView, Resource, Seen, Slim};
use super::watch::api;
use super::{Context, Error};
use crate::api::{self as wire, Reason};
use crate::model::{ConfigMapView, Key, PolicyObject, Refusal, Unreadable, Workload, bounded};
use crate::plan::{
    ConfigMapEnd, ConfigMapStep, Desired, EMPTY_FILE, Observed, StuckPod, claim_config_map, is_adopted,
    manifest, taken,
};

pub(super) use records::{adopt, note_applied, note_verdict, prune, record};

/// An answer: done, or refused by the cluster in words that belong into the status. Everything
/// else is an error, which is tried again.
type Answer<T> = Result<Result<T, Refusal>, Error>;

/// A workload that was written.
pub(super) struct Written {
    pub workload: Arc<Workload>,
    /// Managers whose values were replaced.
    pub taken_from: Vec<String>,
}

/// Applies our fields to a workload. The first attempt takes nothing from anybody: the conflicts
/// that it meets are forced only where each is about a field that this policy applied before.
pub(super) async fn workload(
    context: &Context,
    target: &Workload,
    body: &Value,
    container: &str,
    adopted: &std::collections::BTreeSet<String>,
    take_over: bool,
) -> Answer<Written> {
    let api = api::<Workload>(&context.writer, Resource::of(target.kind), Some(&target.key.namespace));
    let set = &body["spec"]["template"]["spec"]["containers"];
    let is_set = |(inside, name): &&(SmolStr, SmolStr)| {
        let set = set.as_array().into_iter().flatten().filter(|set| set["name"] == **inside);
        set.filter_map(|set| set["env"].as_array()).flatten().any(|set| set["name"] == **name)
    };
    if let Err(refused) =
        remove_hollow(context, target, target.own.env.iter().filter(|own| !is_set(own)).collect()).await?
    {
        return Ok(Err(refused));
    }
    let polite = PatchParams::apply(wire::MANAGER);
    let status = match api.patch(&target.key.name, &polite, &Patch::Apply(body)).await {
        Ok(seen) => return hold(context, target, seen, Vec::new()).map(Ok),
        Err(kube::Error::Api(status)) => status,
        Err(error) => return Err(error.into()),
    };
    let conflicts = conflicts(&status);
    if conflicts.is_empty() {
        return refusal(&status, &target.to_string()).map(Err);
    }
    let foreign: Vec<_> =
        conflicts.iter().filter(|conflict| !is_adopted(&conflict.field, container, adopted)).collect();
    if !foreign.is_empty() && !take_over {
        let named: Vec<_> =
            foreign.iter().map(|conflict| format!("{} owns {}", conflict.manager, conflict.field)).collect();
        let message = format!(
            "in {target} another manager has set what the policy sets: {}. Remove it there, or set spec.fieldConflicts to TakeOver",
            named.join("; ")
        );
        return Ok(Err((Reason::FieldConflict, bounded(&message))));
    }
    let mut managers: Vec<_> = conflicts.into_iter().map(|conflict| conflict.manager).collect();
    managers.sort();
    managers.dedup();
    match api.patch(&target.key.name, &polite.force(), &Patch::Apply(body)).await {
        Ok(seen) => hold(context, target, seen, managers).map(Ok),
        Err(kube::Error::Api(status)) => refusal(&status, &target.to_string()).map(Err),
        Err(error) => Err(error.into()),
    }
}

/// The answer to a write is newer than any event so far.
fn hold(
    context: &Context,
    target: &Workload,
    seen: Seen<Workload>,
    taken_from: Vec<String>,
) -> Result<Written, Error> {
    let workload = answered(context, &Resource::of(target.kind), seen)?;
    Ok(Written { workload: Arc::new(workload), taken_from })
}

/// What a create answered.
fn created<T: Slim + Cached>(context: &Context, resource: &Resource, seen: Seen<T>) {
    context.cache.put(seen.value(resource)).into_iter().for_each(|key| context.queue.now(key));
}

/// What a patch answered. One that cannot be read is held as that, and looked at anew.
fn answered<T: Slim + Cached>(context: &Context, resource: &Resource, seen: Seen<T>) -> Result<T, Error> {
    let read = seen.value(resource);
    context.cache.answered(read.clone()).into_iter().for_each(|key| context.queue.now(key));
    read.map_err(|_| Error::Stale)
}

struct Conflict {
    manager: String,
    field: String,
}

fn conflicts(status: &Status) -> Vec<Conflict> {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    causes
        .iter()
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| Conflict {
            // conflict with "helm" using apps/v1
            manager: cause.message.split('"').nth(1).unwrap_or("another manager").into(),
            field: cause.field.clone(),
        })
        .collect()
}

/// What the cluster's refusal means for the policy.
fn refusal(status: &Status, what: &str) -> Result<Refusal, Error> {
    match status.code {
        // Somebody was faster, or it is gone: read again.
        404 | 409 => Err(Error::Stale),
        400 | 403 | 405 | 406 | 413 | 415 | 422 => {
            let message =
                format!("the cluster refuses to write {what}: {}", without_expression(&status.message));
            Ok((Reason::WriteRefused, bounded(&message)))
        }
        // An admission webhook that does not answer is as good as one that refuses: it may be so for long.
        500 if status.message.contains("failed calling webhook") => Ok((
            Reason::WriteRefused,
            bounded(&format!("the cluster cannot write {what}: {}", status.message)),
        )),
        _ => Err(kube::Error::Api(Box::new(status.clone())).into()),
    }
}

/// The words of a refusal without the expression of an admission rule that could not be evaluated: it would
/// leave no room for why.
fn without_expression(message: &str) -> String {
    let without = || {
        let (before, rest) = message.split_once("expression '")?;
        let (_, why) = rest.rsplit_once("' resulted in error: ")?;
        Some(format!("{before}a rule could not be evaluated: {why}"))
    };
    without().unwrap_or_else(|| message.into())
}

/// Removes variables that are about to be dropped, where dropping them would leave the name of one without a
/// value: another manager holds the name, having set the variable before we took it back. The next look goes
/// on from there.
async fn remove_hollow(
    context: &Context,
    target: &Workload,
    dropped: Vec<&(SmolStr, SmolStr)>,
) -> Answer<()> {
    if dropped.is_empty() {
        return Ok(Ok(()));
    }
    let api = api::<Workload>(&context.writer, Resource::of(target.kind), Some(&target.key.namespace));
    let live = match api.get_metadata_opt(&target.key.name).await {
        Ok(Some(live)) => live,
        Ok(None) => return Err(Error::Stale),
        // Owners that were forged deeper than any parser goes keep nothing from being dropped.
        Err(kube::Error::SerdeError(_)) => return Ok(Ok(())),
        Err(error) => return Err(error.into()),
    };
    let others = live.metadata.managed_fields.unwrap_or_default();
    let others = others
        .iter()
        .filter(|entry| entry.manager.as_deref() != Some(wire::MANAGER))
        .filter_map(|entry| entry.fields_v1.as_ref());
    let others: Vec<_> =
        others.filter_map(|fields| fields.0.pointer("/f:spec/f:template/f:spec/f:containers")).collect();
    let held = |(container, name): &(SmolStr, SmolStr)| -> Vec<&Value> {
        let [container, name] = [container, name].map(|name| format!("k:{}", json!({ "name": name })));
        others.iter().filter_map(|fields| fields.get(&container)?.get("f:env")?.get(&name)).collect()
    };
    let has_value =
        |fields: &&Value| ["f:value", "f:valueFrom"].iter().any(|field| fields.get(field).is_some());
    let gone: Vec<_> = dropped.into_iter().filter(|variable| !held(variable).iter().any(has_value)).collect();
    if gone.iter().all(|variable| held(variable).is_empty()) {
        return Ok(Ok(()));
    }
    let params = PatchParams { field_manager: Some(wire::MANAGER.into()), ..PatchParams::default() };
    match api.patch(&target.key.name, &params, &Patch::Strategic(manifest::without(target, &gone))).await {
        Ok(seen) => answered(context, &Resource::of(target.kind), seen).and(Err(Error::Stale)),
        Err(kube::Error::Api(status)) => refusal(&status, &target.to_string()).map(Err),
        Err(error) => Err(error.into()),
    }
}

/// Drops all our fields from a workload; returns the variables that a co-owner keeps alive.
pub(super) async fn revert(context: &Context, target: &Workload) -> Answer<Vec<String>> {
    if let Err(refused) = remove_hollow(context, target, target.own.env.iter().collect()).await? {
        return Ok(Err(refused));
    }
    let api = api::<Workload>(&context.writer, Resource::of(target.kind), Some(&target.key.namespace));
    match api
        .patch(
            &target.key.name,
            &PatchParams::apply(wire::MANAGER),
            &Patch::Apply(manifest::identity(target)),
        )
        .await
    {
        Ok(seen) => {
            let after = answered(context, &Resource::of(target.kind), seen)?;
            let survives = |container: &str, name: &str| {
                let container = after.containers.iter().find(|live| *live.name == *container);
                container.is_some_and(|live| live.env.iter().any(|entry| *entry.name == *name))
            };
            let kept = target
                .own
                .env
                .iter()
                .filter(|(container, name)| survives(container, name))
                .map(|(_, name)| name.to_string())
                .collect();
            Ok(Ok(kept))
        }
        Err(kube::Error::Api(status)) => refusal(&status, &target.to_string()).map(Err),
        Err(error) => Err(error.into()),
    }
}

/// Writes the rendered file.
pub(super) async fn config_map(
    context: &Context,
    observed: &Observed,
    policy: &PolicyObject,
    desired: &Desired,
    step: &ConfigMapStep,
) -> Answer<()> {
    let governed = desired.governed(policy, &observed.crd_uid, None);
    let body = manifest::config_map(&policy.key, &desired.config_map, &governed, &desired.rendered.file);
    let api = api::<ConfigMap>(&context.writer, Resource::CONFIG_MAPS, Some(&policy.key.namespace));
    let found = match step {
        ConfigMapStep::Refused(refusal) => return Ok(Err(refusal.clone())),
        ConfigMapStep::Repair { found, .. } => found.clone(),
        ConfigMapStep::Annotate(found) => {
            return annotate_config_map(context, &policy.key.namespace, found, &governed.write()).await;
        }
        ConfigMapStep::Create { .. } => {
            match create::<ConfigMap>(&context.writer, Resource::CONFIG_MAPS, &policy.key.namespace, &body)
                .await
            {
                Ok(seen) => {
                    created(context, &Resource::CONFIG_MAPS, seen);
                    return Ok(Ok(()));
                }
                // Its label was taken away, or it is somebody else's.
                Err(kube::Error::Api(status)) if status.is_already_exists() => {
                    match api.get_opt(&desired.config_map).await? {
                        Some(seen) => match seen.value(&Resource::CONFIG_MAPS) {
                            Ok(map) => map.view,
                            Err(unreadable) => return Ok(Err(unreadable.refusal())),
                        },
                        None => return Err(Error::Stale),
                    }
                }
                Err(kube::Error::Api(status)) => {
                    return refusal(&status, &format!("ConfigMap {}", desired.config_map)).map(Err);
                }
                Err(error) => return Err(error.into()),
            }
        }
    };
    if let Err(holder) = claim_config_map(&found, policy) {
        return Ok(Err((Reason::ConfigMapTaken, taken(&desired.config_map, &holder))));
    }
    let mut body = body;
    identify(&mut body, &found);
    patch_config_map(context, &api, &found, &body).await
}

/// Corrects what a config map remembers.
pub(super) async fn annotate_config_map(
    context: &Context,
    namespace: &str,
    map: &ConfigMapView,
    governed: &str,
) -> Answer<()> {
    let api = api::<ConfigMap>(&context.writer, Resource::CONFIG_MAPS, Some(namespace));
    let mut body = json!({"metadata": {"annotations": { wire::GOVERNED_ANNOTATION: governed }}});
    identify(&mut body, map);
    patch_config_map(context, &api, map, &body).await
}

/// Lets the patch conflict where it is another object, or another version, by now.
fn identify(body: &mut Value, found: &ConfigMapView) {
    body["metadata"]["uid"] = json!(found.uid);
    body["metadata"]["resourceVersion"] = json!(found.resource_version);
}

async fn patch_config_map(
    context: &Context,
    api: &Api<Seen<ConfigMap>>,
    found: &ConfigMapView,
    body: &Value,
) -> Answer<()> {
    let params = PatchParams { field_manager: Some(wire::MANAGER.into()), ..PatchParams::default() };
    match api.patch(&found.name, &params, &Patch::Merge(body)).await {
        Ok(seen) => {
            answered(context, &Resource::CONFIG_MAPS, seen)?;
            Ok(Ok(()))
        }
        Err(kube::Error::Api(status)) => refusal(&status, &format!("ConfigMap {}", found.name)).map(Err),
        Err(error) => Err(error.into()),
    }
}

/// Empties or deletes the file of a policy that is gone, or of an old name.
pub(super) async fn end_config_map(
    context: &Context,
    namespace: &str,
    map: &ConfigMapView,
    end: ConfigMapEnd,
) -> Answer<()> {
    let api = api::<ConfigMap>(&context.writer, Resource::CONFIG_MAPS, Some(namespace));
    if end == ConfigMapEnd::Empty {
        let mut body = json!({"data": { wire::CONFIG_KEY: EMPTY_FILE }});
        identify(&mut body, map);
        return patch_config_map(context, &api, map, &body).await;
    }
    let preconditions = Preconditions {
        uid: Some(map.uid.to_string()),
        resource_version: Some(map.resource_version.to_string()),
    };
    match api.delete(&map.name, &DeleteParams::default().preconditions(preconditions)).await {
        Ok(_) => Ok(Ok(())),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Ok(())),
        Err(kube::Error::Api(status)) => refusal(&status, &format!("ConfigMap {}", map.name)).map(Err),
        Err(error) => Err(error.into()),
    }
}

/// Deletes a pod that a StatefulSet waits for in vain, if it is still that one.
pub(super) async fn delete_pod(context: &Context, namespace: &str, pod: &StuckPod) -> Answer<()> {
    let name = &pod.name;
    let preconditions = Preconditions {
        uid: Some(pod.uid.to_string()),
        resource_version: Some(pod.resource_version.to_string()),
    };
    match api::<PodView>(&context.writer, Resource::PODS, Some(namespace))
        .delete(name, &DeleteParams::default().preconditions(preconditions))
        .await
    {
        Ok(_) => Ok(Ok(())),
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(Ok(())),
        Err(kube::Error::Api(status)) => refusal(&status, &format!("pod {name}")).map(Err),
        Err(error) => Err(error.into()),
    }
}

/// Writes a status that differs from the last one.
pub(super) async fn status(
    context: &Context,
    policy: &PolicyObject,
    status: &wire::MfaPolicyStatus,
) -> Result<bool, Error> {
    let Some(read) = status_of(context, &policy.key, &policy.uid, &policy.resource_version, status).await?
    else {
        return Ok(false);
    };
    // What the status now says asks for no other look. An edit that came in between does:
    // its own event is older than this answer and will be passed over.
    let edited = read
        .as_ref()
        .map_or(true, |answer| (answer.generation, answer.deleting) != (policy.generation, policy.deleting));
    let concerned = context.cache.answered(read);
    concerned.into_iter().filter(|_| edited).for_each(|key| context.queue.now(key));
    Ok(true)
}

/// What the policy with this uid and version is with this status; none where it is gone.
pub(super) async fn status_of(
    context: &Context,
    key: &Key,
    uid: &str,
    version: &str,
    status: &wire::MfaPolicyStatus,
) -> Result<Option<Result<PolicyObject, Arc<Unreadable>>>, Error> {
    let body = json!({
        "apiVersion": format!("{}/{}", wire::GROUP, wire::VERSION),
        "kind": wire::KIND,
        "metadata": {"name": key.name, "namespace": key.namespace, "uid": uid, "resourceVersion": version},
        "status": status,
    });
    let params = PatchParams::apply(wire::MANAGER).force();
    let api = api::<PolicyObject>(&context.writer, Resource::POLICIES, Some(&key.namespace));
    match api.patch_status(&key.name, &params, &Patch::Apply(&body)).await {
        Ok(seen) => Ok(Some(seen.value(&Resource::POLICIES))),
        // It was deleted meanwhile: the watch tells.
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
        // It was written meanwhile, by an author or by whoever leads now.
        Err(kube::Error::Api(status)) if status.is_conflict() => Err(Error::Stale),
        Err(error) => Err(error.into()),
    }
}

async fn create<T: Slim>(
    client: &Client,
    resource: Resource,
    namespace: &str,
    body: &Value,
) -> kube::Result<Seen<T>> {
    // The typed client creates what it can decode; our decoded form is not what is sent.
    let params = PostParams { field_manager: Some(wire::MANAGER.into()), ..PostParams::default() };
    let path = Seen::<T>::url_path(&resource, Some(namespace));
    let request = kube::core::Request::new(path)
        .create(&params, manifest::as_stored(body).map_err(kube::Error::SerdeError)?)
        .map_err(kube::Error::BuildRequest)?;
    client.request::<Seen<T>>(request).await
}
