//! Writes of the config map with the rendered file.

use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::{Value, json};

use crate::api as wire;
use crate::api::Reason;
use crate::controller::apply::answers::{Answer, Written, answered, created, refusal};
use crate::controller::apply::requests::{create, identify};
use crate::controller::context::Context;
use crate::controller::decode::Resource;
use crate::controller::decode::config_map::ConfigMap;
use crate::controller::decode::requests::api;
use crate::controller::decode::seen::Seen;
use crate::controller::error::Error;
use crate::model::{ConfigMapView, PolicyObject};
use crate::plan::{
    ConfigMapEnd, ConfigMapStep, Desired, EMPTY_FILE, Observed, claim_config_map, manifest, taken,
};

/// Writes the rendered file.
pub async fn config_map(
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
        ConfigMapStep::Refused(refusal) => return Ok(Written::Refused(refusal.clone())),
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
                    return Ok(Written::Done(()));
                }
                // Its label was taken away, or it is somebody else's.
                Err(kube::Error::Api(status)) if status.is_already_exists() => {
                    match api.get_opt(&desired.config_map).await? {
                        Some(seen) => match seen.value(&Resource::CONFIG_MAPS) {
                            Ok(map) => map.view,
                            Err(unreadable) => return Ok(Written::Refused(unreadable.refusal())),
                        },
                        None => return Err(Error::Stale),
                    }
                }
                Err(kube::Error::Api(status)) => {
                    return refusal(&status, &format!("ConfigMap {}", desired.config_map))
                        .map(Written::Refused);
                }
                Err(error) => return Err(error.into()),
            }
        }
    };
    if let Err(holder) = claim_config_map(&found, policy) {
        return Ok(Written::Refused((Reason::ConfigMapTaken, taken(&desired.config_map, &holder))));
    }
    let mut body = body;
    identify(&mut body, &found);
    patch_config_map(context, &api, &found, &body).await
}

/// Corrects what a config map remembers.
pub async fn annotate_config_map(
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

pub async fn patch_config_map(
    context: &Context,
    api: &Api<Seen<ConfigMap>>,
    found: &ConfigMapView,
    body: &Value,
) -> Answer<()> {
    let params = PatchParams { field_manager: Some(wire::MANAGER.into()), ..PatchParams::default() };
    match api.patch(&found.name, &params, &Patch::Merge(body)).await {
        Ok(seen) => {
            answered(context, &Resource::CONFIG_MAPS, seen)?;
            Ok(Written::Done(()))
        }
        Err(kube::Error::Api(status)) => {
            refusal(&status, &format!("ConfigMap {}", found.name)).map(Written::Refused)
        }
        Err(error) => Err(error.into()),
    }
}

/// Empties or deletes the file of a policy that is gone, or of an old name.
pub async fn end_config_map(
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
        Ok(_) => Ok(Written::Done(())),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Written::Done(())),
        Err(kube::Error::Api(status)) => {
            refusal(&status, &format!("ConfigMap {}", map.name)).map(Written::Refused)
        }
        Err(error) => Err(error.into()),
    }
}
