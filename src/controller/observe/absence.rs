//! Whether a policy that the store does not have is gone for good.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, ResourceExt};
use smol_str::SmolStr;

use crate::api as wire;
use crate::controller::context::Context;
use crate::controller::decode::Resource;
use crate::controller::decode::requests::api;
use crate::controller::error::Error;
use crate::model::{Key, Millis, PolicyObject};
use crate::plan::Absence;

/// How often a policy that is gone is looked at during its pause.
pub const PAUSES_AGAIN: Millis = 30_000;

/// Whether a policy that the cache does not have is gone for good.
pub async fn absence(context: &Context, key: &Key, now: Millis) -> Result<Absence, Error> {
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
pub async fn crd_uid(context: &Context, needed: bool) -> Result<SmolStr, Error> {
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
