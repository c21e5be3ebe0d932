//! What shall be in force: the policy as it stands, or, where its spec is refused, what it last was.

use super::{Data, Governed, Observed, PolicyObject, TargetData};
use crate::policy::{DeletionPolicy, FieldConflicts, Rejection, transition};
use crate::server::kratos::{Overlay, Rendered, render};

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
    let newest = observed.records.first();
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
