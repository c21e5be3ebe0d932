//! Writes of the status.

use std::sync::Arc;

use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::api as wire;
use crate::controller::context::Context;
use crate::controller::decode::Resource;
use crate::controller::decode::requests::api;
use crate::controller::error::Error;
use crate::model::{Key, PolicyObject, Unreadable};

/// Writes a status that differs from the last one.
pub async fn status(
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
pub async fn status_of(
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
