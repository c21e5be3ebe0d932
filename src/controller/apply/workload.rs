//! Writes of workloads: our fields by server-side apply, and their release.

use kube::api::{Patch, PatchParams};
use kube::core::response::Status;
use serde_json::{Value, json};
use smol_str::SmolStr;

use crate::api as wire;
use crate::api::Reason;
use crate::controller::apply::answers::{Answer, AppliedWorkload, Written, answered, refusal};
use crate::controller::apply::requests::hold;
use crate::controller::context::Context;
use crate::controller::decode::Resource;
use crate::controller::decode::requests::api;
use crate::controller::error::Error;
use crate::model::{Workload, bounded};
use crate::plan::{is_adopted, manifest};

/// Applies our fields to a workload. The first attempt takes nothing from anybody: the conflicts
/// that it meets are forced only where each is about a field that this policy applied before.
pub async fn workload(
    context: &Context,
    target: &Workload,
    body: &Value,
    container: &str,
    adopted: &std::collections::BTreeSet<String>,
    take_over: bool,
) -> Answer<AppliedWorkload> {
    let api = api::<Workload>(&context.writer, Resource::of(target.kind), Some(&target.key.namespace));
    let set = &body["spec"]["template"]["spec"]["containers"];
    let is_set = |(inside, name): &&(SmolStr, SmolStr)| {
        let set = set.as_array().into_iter().flatten().filter(|set| set["name"] == **inside);
        set.filter_map(|set| set["env"].as_array()).flatten().any(|set| set["name"] == **name)
    };
    if let Written::Refused(refused) =
        remove_hollow(context, target, target.own.env.iter().filter(|own| !is_set(own)).collect()).await?
    {
        return Ok(Written::Refused(refused));
    }
    let polite = PatchParams::apply(wire::MANAGER);
    let status = match api.patch(&target.key.name, &polite, &Patch::Apply(body)).await {
        Ok(seen) => return hold(context, target, seen, Vec::new()).map(Written::Done),
        Err(kube::Error::Api(status)) => status,
        Err(error) => return Err(error.into()),
    };
    let conflicts = conflicts(&status);
    if conflicts.is_empty() {
        return refusal(&status, &target.to_string()).map(Written::Refused);
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
        return Ok(Written::Refused((Reason::FieldConflict, bounded(&message))));
    }
    let mut managers: Vec<_> = conflicts.into_iter().map(|conflict| conflict.manager).collect();
    managers.sort();
    managers.dedup();
    match api.patch(&target.key.name, &polite.force(), &Patch::Apply(body)).await {
        Ok(seen) => hold(context, target, seen, managers).map(Written::Done),
        Err(kube::Error::Api(status)) => refusal(&status, &target.to_string()).map(Written::Refused),
        Err(error) => Err(error.into()),
    }
}

pub struct Conflict {
    manager: String,
    field: String,
}

pub fn conflicts(status: &Status) -> Vec<Conflict> {
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

/// Removes variables that are about to be dropped, where dropping them would leave the name of one without a
/// value: another manager holds the name, having set the variable before we took it back. The next look goes
/// on from there.
pub async fn remove_hollow(
    context: &Context,
    target: &Workload,
    dropped: Vec<&(SmolStr, SmolStr)>,
) -> Answer<()> {
    if dropped.is_empty() {
        return Ok(Written::Done(()));
    }
    let api = api::<Workload>(&context.writer, Resource::of(target.kind), Some(&target.key.namespace));
    let live = match api.get_metadata_opt(&target.key.name).await {
        Ok(Some(live)) => live,
        Ok(None) => return Err(Error::Stale),
        // Owners that were forged deeper than any parser goes keep nothing from being dropped.
        Err(kube::Error::SerdeError(_)) => return Ok(Written::Done(())),
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
        return Ok(Written::Done(()));
    }
    let params = PatchParams { field_manager: Some(wire::MANAGER.into()), ..PatchParams::default() };
    match api.patch(&target.key.name, &params, &Patch::Strategic(manifest::without(target, &gone))).await {
        Ok(seen) => answered(context, &Resource::of(target.kind), seen).and(Err(Error::Stale)),
        Err(kube::Error::Api(status)) => refusal(&status, &target.to_string()).map(Written::Refused),
        Err(error) => Err(error.into()),
    }
}

/// Drops all our fields from a workload; returns the variables that a co-owner keeps alive.
pub async fn revert(context: &Context, target: &Workload) -> Answer<Vec<String>> {
    if let Written::Refused(refused) = remove_hollow(context, target, target.own.env.iter().collect()).await?
    {
        return Ok(Written::Refused(refused));
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
            Ok(Written::Done(kept))
        }
        Err(kube::Error::Api(status)) => refusal(&status, &target.to_string()).map(Written::Refused),
        Err(error) => Err(error.into()),
    }
}
