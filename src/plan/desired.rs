//! What shall be in force: the policy as it stands, or, where its spec is refused, what it last was.

use std::sync::Arc;

use super::{Data, Governed, Observed, PolicyObject, Record, TargetData, Workload};
use crate::policy::{DeletionPolicy, FieldConflicts, Rejection, transition};
use crate::server::kratos::{Overlay, REVISION, Rendered, render};

/// The settings to deliver.
#[derive(Clone, Debug)]
pub struct Desired {
    pub rendered: Rendered,
    pub config_map: Box<str>,
    pub field_conflicts: FieldConflicts,
    pub deletion_policy: DeletionPolicy,
    /// Targets with the container found in each.
    pub targets: Vec<TargetData>,
}

impl Desired {
    #[must_use]
    pub fn data(&self) -> Data {
        Data {
            overlay: self.rendered.overlay.clone(),
            delivery: "Environment".into(),
            config_map_name: self.config_map.to_string(),
            targets: self.targets.clone(),
        }
    }

    #[must_use]
    pub fn governed(&self, policy: &PolicyObject, crd_uid: &str, workload_uid: Option<&str>) -> Governed {
        Governed {
            deletion_policy: self.deletion_policy,
            policy: policy.uid.to_string(),
            crd: crd_uid.into(),
            workload: workload_uid.map(Into::into),
        }
    }
}

pub(super) fn desired(observed: &Observed, policy: &PolicyObject) -> (Option<Desired>, Vec<Rejection>) {
    let newest = last_applied(observed);
    let rejections = match &policy.spec {
        Err(rejections) => rejections.clone(),
        Ok(spec) => newest.map(|newest| transition(&newest.data.overlay.factors(), spec)).unwrap_or_default(),
    };
    let name = &policy.key.name;
    let desired = match (&policy.spec, rejections.is_empty()) {
        (Ok(spec), true) => Some(Desired {
            rendered: render(name, Overlay::of(spec)),
            config_map: spec.config_map.clone(),
            field_conflicts: spec.field_conflicts,
            deletion_policy: spec.deletion_policy,
            targets: Vec::new(),
        }),
        _ => newest.map(|newest| Desired {
            rendered: render(name, newest.data.overlay.clone()),
            config_map: newest.data.config_map_name.as_str().into(),
            field_conflicts: FieldConflicts::Refuse,
            deletion_policy: policy.deletion_policy,
            targets: newest.data.targets.clone(),
        }),
    };
    (desired, rejections)
}

/// The newest record that is in force somewhere: a governed workload carries its revision in a
/// variable that our manager owns. Records alone are no proof, others may be able to create them.
fn last_applied(observed: &Observed) -> Option<&Arc<Record>> {
    let workloads =
        observed.governed.iter().map(|view| &view.workload).chain(observed.targets.iter().filter_map(|view| view.workload.as_ref()));
    let revisions: Vec<&str> = workloads.filter_map(|workload| own_revision(workload)).collect();
    observed.records.iter().find(|record| {
        let rendered = render(&observed.key.name, record.data.overlay.clone());
        revisions.contains(&&*rendered.revision)
    })
}

fn own_revision(workload: &Workload) -> Option<&str> {
    let (container, _) = workload.own.env.iter().find(|(_, name)| &**name == REVISION)?;
    let live = workload.containers.iter().find(|live| live.name == *container)?;
    live.env.iter().find(|entry| &*entry.name == REVISION)?.value.as_deref()
}
