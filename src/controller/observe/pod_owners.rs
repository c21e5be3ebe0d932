//! Who made a pod, and from which template. A pod names a ReplicaSet or a ControllerRevision, and what
//! admission adds to it stands in none of them: so whether two pods are made from the same is read there. It
//! is remembered by uid, and of a template nothing but digests.

use std::sync::Arc;

use kube::api::GetParams;
use kube::core::Request;
use smol_str::SmolStr;

use crate::controller::context::Context;
use crate::controller::decode::Resource;
use crate::controller::decode::maker::Maker;
use crate::controller::decode::pod::PodView;
use crate::controller::error::Error;
use crate::controller::observe::pod_owner_cache::Name;
use crate::model::Workload;
use crate::policy::{Kind, is_object_name};

/// More than the pods of one workload are made by at any time: of what there are too many, the owner is not
/// known.
const READ_AT_MOST: usize = 32;

/// Says of each of these pods, which the workload's selector finds, what made it: labels alone may be
/// another's, too.
pub async fn read(context: &Context, workload: &Workload, pods: &mut [PodView]) -> Result<(), Error> {
    let mut left = READ_AT_MOST;
    // What is finished or about to go counts nowhere.
    let mut pods: Vec<_> = pods.iter_mut().filter(|view| !view.pod.deleting).collect();
    // Its own first: others may name as many makers as they like.
    pods.sort_by_key(|view| {
        !view.owner.as_ref().is_some_and(|owner| owner.name.starts_with(&*workload.key.name))
    });
    for pod in pods {
        let Some(owner) = &pod.owner else { continue };
        pod.maker = if *owner.kind == *Resource::REPLICA_SETS.kind {
            one(context, workload, Resource::REPLICA_SETS, &owner.name, Some(&owner.uid), &mut left).await?
        } else if owner.uid == workload.uid {
            let revision = workload.revision_named(&pod.revision);
            let found = one(context, workload, Resource::REVISIONS, &revision, None, &mut left).await?;
            // Whoever labels a pod otherwise makes its template unknown, and nothing else.
            found.filter(|maker| maker.is_of(workload))
        } else {
            None
        };
        let template = pod.maker.as_ref().and_then(|maker| maker.template.as_ref());
        pod.pod.template = template.map(|template| template.digest.clone());
    }
    Ok(())
}

impl Workload {
    /// The name of its revision with this label: that is the whole of it, or what follows the name of the
    /// workload.
    fn revision_named(&self, label: &SmolStr) -> SmolStr {
        if self.kind == Kind::DaemonSet { format!("{}-{label}", self.key.name).into() } else { label.clone() }
    }
}

async fn one(
    context: &Context,
    workload: &Workload,
    resource: Resource,
    name: &SmolStr,
    uid: Option<&SmolStr>,
    left: &mut usize,
) -> Result<Option<Arc<Maker>>, Error> {
    let key = Name { kind: resource.kind, uid: uid.unwrap_or(&workload.uid).clone(), name: name.clone() };
    if let Some(known) = context.makers.recall(&key, workload) {
        return Ok(Some(known));
    }
    if *left == 0 || !is_object_name(name) {
        return Ok(None);
    }
    *left -= 1;
    let request = Request::new(resource.path(&workload.key.namespace)).get(name, &GetParams::default());
    let json = match context.client.request_text(request.map_err(kube::Error::BuildRequest)?).await {
        Ok(json) => json,
        Err(kube::Error::Api(status)) if status.is_not_found() => String::new(),
        // The rights of an older chart. This is not kept: the right may arrive at any moment.
        Err(kube::Error::Api(status)) if status.is_forbidden() => {
            return Ok(Some(Arc::new(Maker::by_name(name, workload))));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Some(context.makers.keep(key, Maker::read(&json, uid.map(SmolStr::as_str)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::decode::maker::KnownBy;
    use crate::controller::decode::seen::Seen;
    use serde_json::json;

    fn workload(kind: &str) -> Workload {
        let object = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "kratos", "namespace": "identity", "uid": "own"}});
        let seen: Seen<Workload> = serde_json::from_value(object).expect("an object");
        seen.value(&Resource::of(Kind::from_word(kind).expect("a kind"))).expect("it can be read")
    }

    #[test]
    fn of_one_that_may_not_be_read_the_name_tells_and_that_is_known() {
        let deployment = workload("Deployment");
        let own = Maker::by_name("kratos-5d4f", &deployment);
        assert!(own.is_of(&deployment) && own.known_by == KnownBy::Name && own.template.is_none());
        for name in ["kratos", "kratos-", "kratos-canary-5d4f", "kratos5d4f", "other-5d4f"] {
            assert!(!Maker::by_name(name, &deployment).is_of(&deployment), "{name}");
        }
        let set = workload("StatefulSet");
        assert!(!Maker::by_name("kratos-5d4f", &set).is_of(&set), "it makes no ReplicaSets");
    }
}
