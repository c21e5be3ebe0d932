//! The record that is in force on the workloads, and what follows from it.

use std::sync::Arc;

use smol_str::SmolStr;

use crate::model::{OwnershipNote, PolicyObject, Record, TargetData, Workload};
use crate::plan::desired::Desired;
use crate::policy::{Delivery, FieldConflicts, Policy, Rejection, Target};
use crate::server::kratos::{Overlay, render, transition};

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
    pub fn of<'a>(
        policy: &PolicyObject,
        records: &[Arc<Record>],
        workloads: impl Iterator<Item = &'a Workload>,
    ) -> Self {
        let name = &policy.key.name;
        let of_another =
            |workload: &&Workload| workload.own.policy_label && workload.policy_label.as_ref() != Some(name);
        let workloads: Vec<_> = workloads.filter(|workload| !of_another(workload)).collect();
        let in_force = carried(records, &workloads)
            .or_else(|| noted(policy, records, &workloads))
            .or_else(|| way_back(records));
        let rejections = match &policy.spec {
            Err(rejections) => rejections.clone(),
            Ok(spec) => in_force.map(|newest| transition(&newest.data.overlay, spec)).unwrap_or_default(),
        };
        Self { rejections, in_force: in_force.cloned() }
    }

    /// The spec, where it is the one to follow: it is accepted, and the policy is not about to go.
    #[must_use]
    pub fn accepted<'a>(&self, policy: &'a PolicyObject) -> Option<&'a Policy> {
        policy.spec.as_ref().ok().filter(|_| self.rejections.is_empty() && !policy.deleting)
    }

    /// What the policy governs: what it names, or what it last named where its spec is not followed.
    #[must_use]
    pub fn targets(&self, policy: &PolicyObject) -> Vec<Target> {
        let recorded =
            || self.in_force.iter().flat_map(|newest| &newest.data.targets).map(TargetData::target).collect();
        self.accepted(policy).map_or_else(recorded, |spec| spec.targets.clone())
    }

    /// How it reaches the server.
    #[must_use]
    pub fn delivery(&self, policy: &PolicyObject) -> Option<Delivery> {
        let recorded = || self.in_force.as_ref().map(|newest| newest.data.delivery);
        self.accepted(policy).map(|spec| spec.delivery).or_else(recorded)
    }

    /// The name of the config map that it writes.
    #[must_use]
    pub fn config_map(&self, policy: &PolicyObject) -> Option<SmolStr> {
        let recorded = || self.in_force.as_ref().map(|newest| newest.data.config_map_name.as_str().into());
        self.accepted(policy).map(|spec| spec.config_map.clone()).or_else(recorded)
    }

    pub fn desired(&self, policy: &PolicyObject) -> Option<Desired> {
        let name = &policy.key.name;
        match self.accepted(policy) {
            Some(spec) => Some(Desired {
                rendered: render(name, Overlay::of(spec), spec.delivery),
                config_map: spec.config_map.clone(),
                field_conflicts: spec.field_conflicts,
                deletion_policy: policy.remembered_deletion_policy(),
                targets: Vec::new(),
            }),
            None => self.in_force.as_ref().map(|newest| Desired {
                rendered: render(name, newest.data.overlay.clone(), newest.data.delivery),
                config_map: newest.data.config_map_name.as_str().into(),
                field_conflicts: FieldConflicts::Refuse,
                deletion_policy: policy.remembered_deletion_policy(),
                targets: newest.data.targets.clone(),
            }),
        }
    }
}

/// The newest record that a workload has in variables that our manager owns, and that was not taken back.
/// Records alone are no proof: others may be able to create them. Beside a file the variables are the levels
/// alone, so that there the rest of a record rests on who may create ControllerRevisions.
pub fn carried<'a>(records: &'a [Arc<Record>], workloads: &[&Workload]) -> Option<&'a Arc<Record>> {
    let applied = records.first().map(|newest| newest.applied.as_slice()).unwrap_or_default();
    let carried = workloads.iter().filter_map(|workload| {
        // Records with the same levels are alike there: what was noted tells them apart.
        let noted =
            applied.iter().find(|applied| applied.uid == *workload.uid).map(|applied| &*applied.record);
        let has_failed = |record: &Record| record.has_failed_on(workload.kind.as_str(), &workload.key.name);
        let noted = noted.and_then(|digest| {
            records.iter().position(|record| record.digest() == digest && !has_failed(record))
        });
        let may_be = |index: &usize| !has_failed(&records[*index]) && records[*index].is_on(workload);
        // What looks like an older one than was noted is what somebody made of that.
        let newer = noted.unwrap_or(records.len());
        noted.filter(may_be).or_else(|| (0..newer).find(may_be))
    });
    carried.min().map(|index| &records[index])
}

/// Finds the record that a failed one goes back to, as long as nothing went back yet.
pub fn way_back(records: &[Arc<Record>]) -> Option<&Arc<Record>> {
    let verdict = records.first()?.verdict.as_ref().filter(|verdict| !verdict.lifted)?;
    let gone_back = verdict.back.iter().find(|back| *back.record != *records[0].digest())?;
    records.iter().find(|record| *record.digest() == *gone_back.record)
}

/// Where the variables were taken away, the workload's own metadata still say whose it is, and the
/// newest record says what was applied to it.
pub fn noted<'a>(
    policy: &PolicyObject,
    records: &'a [Arc<Record>],
    workloads: &[&Workload],
) -> Option<&'a Arc<Record>> {
    let ours = |workload: &&&Workload| {
        let governed = OwnershipNote::read(workload.governed.as_deref())
            .filter(|_| workload.own.governed && workload.own.policy_label);
        governed.is_some_and(|governed| {
            governed.policy == *policy.uid && governed.workload.as_deref() == Some(&*workload.uid)
        })
    };
    let applied = &records.first()?.applied;
    let index = |workload: &&Workload| {
        let noted = applied.iter().find(|applied| applied.uid == *workload.uid)?;
        let has_failed = |record: &Record| record.has_failed_on(workload.kind.as_str(), &workload.key.name);
        records.iter().position(|record| *record.digest() == *noted.record && !has_failed(record))
    };
    workloads.iter().filter(ours).filter_map(index).min().map(|index| &records[index])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Applied, Before};
    use crate::plan::testing::fixtures::{self, governed, policy, record, workload};

    #[test]
    fn a_record_is_in_force_where_a_workload_carries_its_revision() {
        let (old, new) = (record("mfa", 1, "aal1"), record("mfa", 2, "highest_available"));
        let records = [new.clone(), old.clone()];
        let in_force =
            |workload: &Workload| Standing::of(&policy("mfa"), &records, [workload].into_iter()).in_force;
        assert_eq!(in_force(&governed("mfa", &old)), Some(old));
        assert_eq!(in_force(&governed("mfa", &new)), Some(new.clone()));
        assert_eq!(in_force(&workload(1)), None, "a record alone is no proof");
        assert_eq!(in_force(&governed("neighbour", &new)), None, "nor is what another policy applied");
    }

    #[test]
    fn where_the_variables_are_gone_the_metadata_and_the_record_tell() {
        let mut record = record("mfa", 1, "highest_available");
        let mut stripped = governed("mfa", &record);
        stripped.containers[0].env = Vec::new().into();
        stripped.own.env = Vec::new().into();
        let applied =
            Applied { uid: stripped.uid.to_string(), ..fixtures::applied(record.digest(), Before::Nothing) };
        Arc::make_mut(&mut record).applied = vec![applied];
        let records = [record.clone()];
        let in_force =
            |workload: &Workload| Standing::of(&policy("mfa"), &records, [workload].into_iter()).in_force;
        assert_eq!(in_force(&stripped), Some(record.clone()));
        let copied = Workload { uid: "another".into(), ..stripped };
        assert_eq!(in_force(&copied), None);
    }
}
