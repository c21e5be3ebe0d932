//! Pods of a target as the screens show them.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;

use crate::cli::kubectl::view;
use crate::server::kratos::REVISION;

/// The uid of who controls an object; empty where nobody does.
pub fn controller(object: &impl ResourceExt) -> &str {
    let owner = object.owner_references().iter().find(|owner| owner.controller == Some(true));
    owner.map(|owner| owner.uid.as_str()).unwrap_or_default()
}

pub fn pod(pod: &Pod, container: &str) -> view::Pod {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let is = |type_: &str, word: &str| {
        conditions.iter().find(|condition| condition.type_ == type_ && condition.status == word)
    };
    let statuses: Vec<&ContainerStatus> = status
        .into_iter()
        .flat_map(|status| [&status.init_container_statuses, &status.container_statuses])
        .flatten()
        .flatten()
        .collect();
    let ready = is("Ready", "True").is_some();
    let unscheduled = || is("PodScheduled", "False").and_then(|condition| condition.reason.clone());
    view::Pod {
        name: pod.name_any(),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        created: pod.creation_timestamp().map(|time| time.0.to_string()).unwrap_or_default(),
        ready,
        terminating: pod.metadata.deletion_timestamp.is_some(),
        restarts: statuses.iter().map(|status| status.restart_count).sum(),
        revision: revision(pod, container),
        trouble: if ready {
            None
        } else {
            statuses.iter().find_map(|status| trouble(status)).or_else(unscheduled)
        },
    }
}

fn trouble(status: &ContainerStatus) -> Option<String> {
    let state = status.state.as_ref()?;
    let waiting = state.waiting.as_ref().and_then(|waiting| waiting.reason.clone());
    let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0);
    waiting.or_else(|| {
        ended.map(|ended| ended.reason.clone().unwrap_or_else(|| format!("exit code {}", ended.exit_code)))
    })
}

/// What the pod was started with. One that reads a file names none.
fn revision(pod: &Pod, container: &str) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let mut env =
        spec.containers.iter().filter(|own| own.name == container).flat_map(|own| own.env.iter().flatten());
    env.find(|entry| entry.name == REVISION)?.value.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    /// The API server writes it for some lists of nothing.
    #[test]
    fn null_is_a_list_of_nothing() {
        let nothing = json!({
            "metadata": {"name": "kratos-0", "labels": null, "ownerReferences": null},
            "spec": {"containers": null, "volumes": [{"name": "nothing", "projected": {"sources": null}}]},
            "status": {"conditions": null, "containerStatuses": [{"name": "kratos", "restartCount": null, "state": null}]},
        });
        let read: Pod = from_value(nothing).expect("a pod");
        let shown = pod(&read, "kratos");
        assert_eq!(
            (&*shown.name, shown.restarts, shown.revision, shown.trouble),
            ("kratos-0", 0, None, None)
        );
        assert_eq!(controller(&read), "");
    }
}
