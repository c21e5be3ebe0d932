//! What shall be in force: the policy as it stands, or, where its spec is refused, what it last was.

use smol_str::SmolStr;
use std::sync::Arc;

use super::{Data, Governed, PolicyObject, Record, TargetData, Workload};
use crate::policy::{DeletionPolicy, FieldConflicts, Rejection, Target, transition};
use crate::server::kratos::{Overlay, REVISION, Rendered, render};

/// The settings to deliver.
#[derive(Clone, Debug)]
pub struct Desired {
    pub rendered: Rendered,
    pub config_map: SmolStr,
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

/// The policy beside what was applied of it last.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Why its spec is refused; empty where it is accepted.
    pub rejections: Vec<Rejection>,
    /// The newest record that is in force somewhere.
    pub in_force: Option<Arc<Record>>,
}

impl Standing {
    /// `records` are the policy's, newest first; `workloads` are those that may carry it.
    #[must_use]
    pub fn of<'a>(policy: &PolicyObject, records: &[Arc<Record>], workloads: impl Iterator<Item = &'a Workload>) -> Self {
        // A workload carries its revision in a variable that our manager owns. Records alone are
        // no proof: others may be able to create them.
        let revisions: Vec<&str> = workloads.filter_map(own_revision).collect();
        let in_force = records.iter().find(|record| revisions.contains(&&*render(&policy.key.name, record.data.overlay.clone()).revision));
        let rejections = match &policy.spec {
            Err(rejections) => rejections.clone(),
            Ok(spec) => in_force.map(|newest| transition(&newest.data.overlay.factors(), spec)).unwrap_or_default(),
        };
        Self { rejections, in_force: in_force.cloned() }
    }

    /// What the policy governs: what it names, or what it last named where its spec is refused.
    #[must_use]
    pub fn targets(&self, policy: &PolicyObject) -> Vec<Target> {
        match (&policy.spec, &self.in_force) {
            (Ok(spec), _) if self.rejections.is_empty() => spec.targets.clone(),
            (_, Some(newest)) => newest.data.targets.iter().map(TargetData::target).collect(),
            (_, None) => Vec::new(),
        }
    }

    pub(super) fn desired(&self, policy: &PolicyObject) -> Option<Desired> {
        let name = &policy.key.name;
        match &policy.spec {
            Ok(spec) if self.rejections.is_empty() => Some(Desired {
                rendered: render(name, Overlay::of(spec)),
                config_map: spec.config_map.clone(),
                field_conflicts: spec.field_conflicts,
                deletion_policy: spec.deletion_policy,
                targets: Vec::new(),
            }),
            _ => self.in_force.as_ref().map(|newest| Desired {
                rendered: render(name, newest.data.overlay.clone()),
                config_map: newest.data.config_map_name.as_str().into(),
                field_conflicts: FieldConflicts::Refuse,
                deletion_policy: policy.deletion_policy,
                targets: newest.data.targets.clone(),
            }),
        }
    }
}

fn own_revision(workload: &Workload) -> Option<&str> {
    let (container, _) = workload.own.env.iter().find(|(_, name)| &**name == REVISION)?;
    let live = workload.containers.iter().find(|live| live.name == *container)?;
    live.env.iter().find(|entry| &*entry.name == REVISION)?.value.as_deref()
}
