//! Deletes of pods that a StatefulSet waits for in vain.

use kube::api::{DeleteParams, Preconditions};

use crate::controller::apply::answers::{Answer, Written, refusal};
use crate::controller::context::Context;
use crate::controller::decode::Resource;
use crate::controller::decode::pod::PodView;
use crate::controller::decode::requests::api;
use crate::plan::StuckPod;

/// Deletes a pod that a StatefulSet waits for in vain, if it is still that one.
pub async fn delete_pod(context: &Context, namespace: &str, pod: &StuckPod) -> Answer<()> {
    let name = &pod.name;
    let preconditions = Preconditions {
        uid: Some(pod.uid.to_string()),
        resource_version: Some(pod.resource_version.to_string()),
    };
    match api::<PodView>(&context.writer, Resource::PODS, Some(namespace))
        .delete(name, &DeleteParams::default().preconditions(preconditions))
        .await
    {
        Ok(_) => Ok(Written::Done(())),
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {
            Ok(Written::Done(()))
        }
        Err(kube::Error::Api(status)) => refusal(&status, &format!("pod {name}")).map(Written::Refused),
        Err(error) => Err(error.into()),
    }
}
