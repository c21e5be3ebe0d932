//! What is remembered of each revision, in a ControllerRevision.

use std::sync::Arc;

use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::Reason;
use crate::controller::apply::answers::{Answer, Written, answered, created, refusal};
use crate::controller::apply::requests::create;
use crate::controller::context::Context;
use crate::controller::decode::Resource;
use crate::controller::decode::requests::api;
use crate::controller::decode::revision::{LARGEST, Revision};
use crate::controller::decode::seen::Seen;
use crate::controller::error::Error;
use crate::model::{Applied, Data, FailedRevision, Key, PolicyObject};
use crate::plan::{Desired, Observed, Plan, RecordStep, applied_before, manifest};
use crate::{api as wire, model as record};

/// Remembers the revision, with what was applied where before it.
pub async fn record(
    context: &Context,
    observed: &Observed,
    policy: &PolicyObject,
    decided: &Plan,
    desired: &Desired,
    step: &RecordStep,
) -> Answer<()> {
    let digest = &decided.digest;
    let applied = written(&applied_before(observed, decided))?;
    let namespace = &policy.key.namespace;
    let answer = match step {
        RecordStep::Create { revision } => {
            let body = manifest::record(policy, &desired.data(), digest, *revision, &applied);
            create::<Revision>(&context.writer, Resource::REVISIONS, namespace, &body).await
        }
        RecordStep::Renew { name, revision } => {
            let body = json!({"metadata": {"annotations": { wire::APPLIED_ANNOTATION: applied }}, "revision": revision});
            patch_record(context, namespace, name, &body).await
        }
    };
    let name = record::record_name(&policy.key.name, &policy.uid, digest);
    match answer {
        Ok(seen) => {
            match step {
                RecordStep::Create { .. } => created(context, &Resource::REVISIONS, seen),
                RecordStep::Renew { .. } => drop(answered(context, &Resource::REVISIONS, seen)?),
            }
            Ok(Written::Done(()))
        }
        Err(kube::Error::Api(status)) if status.is_already_exists() => {
            let message = format!("the ControllerRevision {name} exists and is not this policy's: delete it");
            let seen =
                api::<Revision>(&context.writer, Resource::REVISIONS, Some(namespace)).get_opt(&name).await?;
            let own = |revision: &Revision| {
                revision.record.as_ref().is_some_and(|record| record.owner_uid == policy.uid)
            };
            let read = seen.and_then(|seen| seen.value(&Resource::REVISIONS).ok());
            let Some(revision) = read.filter(own) else {
                return Ok(Written::Refused((Reason::WriteRefused, message)));
            };
            context.cache.put(Ok(revision)).into_iter().for_each(|key| context.queue.now(key));
            Err(Error::Stale)
        }
        Err(kube::Error::Api(status)) => {
            refusal(&status, &format!("ControllerRevision {name}")).map(Written::Refused)
        }
        Err(error) => Err(error.into()),
    }
}

/// Remembers what stood on a target before the policy came to it, as older than everything else.
pub async fn adopt(context: &Context, policy: &PolicyObject, data: &Data) -> Answer<()> {
    let digest = data.digest();
    let body = manifest::record(policy, data, &digest, 0, "[]");
    match create::<Revision>(&context.writer, Resource::REVISIONS, &policy.key.namespace, &body).await {
        Ok(seen) => created(context, &Resource::REVISIONS, seen),
        // It is there already, or cannot be: then nothing goes back to it. Anything else passes, and it is
        // tried again.
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 409 | 413 | 422) => {}
        Err(kube::Error::Api(status)) => {
            let name = record::record_name(&policy.key.name, &policy.uid, &digest);
            return refusal(&status, &format!("ControllerRevision {name}")).map(Written::Refused);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Written::Done(()))
}

async fn patch_record(
    context: &Context,
    namespace: &str,
    name: &str,
    body: &Value,
) -> kube::Result<Seen<Revision>> {
    let params = PatchParams { field_manager: Some(wire::MANAGER.into()), ..PatchParams::default() };
    let mut body = body.clone();
    // What is written over must be what is known, our own last answer included.
    if let Some(known) = known_record(context, namespace, name) {
        body["metadata"]["resourceVersion"] = json!(known.resource_version);
    }
    api::<Revision>(&context.writer, Resource::REVISIONS, Some(namespace))
        .patch(name, &params, &Patch::Merge(body))
        .await
}

/// Notes on a record what is applied where.
pub async fn note_applied(
    context: &Context,
    namespace: &str,
    name: &str,
    applied: &[Applied],
) -> Result<(), Error> {
    note(context, namespace, name, &json!({ wire::APPLIED_ANNOTATION: written(applied)? })).await
}

/// Notes on a record that it failed, and what is good now; or, without a verdict, that it failed no more.
pub async fn note_verdict(
    context: &Context,
    namespace: &str,
    name: &str,
    verdict: Option<&FailedRevision>,
    applied: &[Applied],
) -> Result<(), Error> {
    let verdict = verdict.map(written).transpose()?;
    note(
        context,
        namespace,
        name,
        &json!({ wire::VERDICT_ANNOTATION: verdict, wire::APPLIED_ANNOTATION: written(applied)? }),
    )
    .await
}

/// What an annotation holds. An empty one would be a memory of nothing, and nobody could correct one that is
/// not read back: either is an error.
fn written(memory: &(impl Serialize + ?Sized)) -> Result<String, Error> {
    let text = serde_json::to_string(memory).map_err(kube::Error::SerdeError)?;
    if text.len() > LARGEST { Err(Error::TooLong) } else { Ok(text) }
}

async fn note(context: &Context, namespace: &str, name: &str, annotations: &Value) -> Result<(), Error> {
    let body = json!({"metadata": {"annotations": annotations}});
    match patch_record(context, namespace, name, &body).await {
        Ok(seen) => drop(answered(context, &Resource::REVISIONS, seen)?),
        Err(kube::Error::Api(status)) if status.is_conflict() => return Err(Error::Stale),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn known_record(context: &Context, namespace: &str, name: &str) -> Option<Arc<Revision>> {
    context.cache.read(|tables| tables.revisions.get(&Key::new(namespace, name)))
}

/// Deletes a record, as long as it is the one that was found to be of no use.
pub async fn prune(context: &Context, namespace: &str, name: &str) -> Result<(), Error> {
    let Some(known) = known_record(context, namespace, name) else { return Ok(()) };
    let preconditions =
        Preconditions { uid: None, resource_version: Some(known.resource_version.to_string()) };
    let api = api::<Revision>(&context.writer, Resource::REVISIONS, Some(namespace));
    match api.delete(name, &DeleteParams::default().preconditions(preconditions)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(kube::Error::Api(status)) if status.is_conflict() => Err(Error::Stale),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn what_cannot_be_written_down_is_no_empty_record() {
        // JSON has no such keys.
        let unwritable = BTreeMap::from([((1, 2), "x")]);
        let written_down = written(&unwritable);
        assert!(matches!(written_down, Err(Error::Api(kube::Error::SerdeError(_)))), "{written_down:?}");
        let nothing: [Applied; 0] = [];
        assert_eq!(written(&nothing).expect("it is JSON"), "[]");
    }
}
