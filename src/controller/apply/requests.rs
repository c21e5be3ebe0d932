//! How an object is named and created.

use std::sync::Arc;

use kube::api::PostParams;
use kube::{Client, Resource as _};
use serde_json::{Value, json};

use crate::api as wire;
use crate::controller::apply::answers::{AppliedWorkload, answered};
use crate::controller::context::Context;
use crate::controller::decode::seen::Seen;
use crate::controller::decode::{Resource, Slim};
use crate::controller::error::Error;
use crate::model::{ConfigMapView, Workload};
use crate::plan::manifest;

/// The answer to a write is newer than any event so far.
pub fn hold(
    context: &Context,
    target: &Workload,
    seen: Seen<Workload>,
    taken_from: Vec<String>,
) -> Result<AppliedWorkload, Error> {
    let workload = answered(context, &Resource::of(target.kind), seen)?;
    Ok(AppliedWorkload { workload: Arc::new(workload), taken_from })
}

/// Lets the patch conflict where it is another object, or another version, by now.
pub fn identify(body: &mut Value, found: &ConfigMapView) {
    body["metadata"]["uid"] = json!(found.uid);
    body["metadata"]["resourceVersion"] = json!(found.resource_version);
}

pub async fn create<T: Slim>(
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
