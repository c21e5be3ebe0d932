//! A cluster of plain values: what a plan would do to what was observed. It knows no API server and no
//! conflict; what those decide is tested on real ones.

mod laws;

use std::sync::Arc;

use crate::model::{
    ConfigMapView, Health, MountedFile, OwnFields, OwnershipNote, Pod, Record, Workload, WorkloadStatus,
    record_name,
};
use crate::plan::desired::{Desired, Goal};
use crate::plan::failure::state::Failure;
use crate::plan::history::applied::{applied_after, applied_before, applied_judged};
use crate::plan::input::{Content, Observed};
use crate::plan::outcome::Plan;
use crate::plan::plan;
use crate::plan::report::results::WriteResults;
use crate::plan::steps::{ConfigMapStep, Planned, RecordStep, Step, TargetPlan};
use crate::plan::testing::fixtures::{container, pod};

/// How the pods of a revision fare.
pub type Fate = fn(&Desired) -> bool;

/// Looks and writes, as the controller does, until a look finds nothing to do; answers the last plan.
pub fn settle(observed: &mut Observed, survives: Fate) -> Plan {
    for _ in 0..40 {
        let decided = plan(observed);
        let changed = act(observed, &decided);
        let moved = run(observed, survives);
        if !changed && !moved {
            return decided;
        }
        observed.now += 20_000;
    }
    panic!("it never ends: {:#?}", plan(observed));
}

/// Carries out a plan; answers whether anything was written.
pub fn act(observed: &mut Observed, decided: &Plan) -> bool {
    let policy = observed.policy.clone().expect("a policy");
    let mut report = WriteResults::default();
    let before = (observed.records.clone(), observed.config_maps.clone());
    if let Failure::Detected(verdict) = &decided.failure {
        let applied = applied_judged(observed, decided, verdict);
        edit_newest(observed, |record| {
            record.verdict = Some(verdict.clone());
            record.applied = applied;
        });
        return true;
    }
    if let Some(step) = &decided.record {
        let applied = applied_before(observed, decided);
        remember(observed, decided, step, applied);
        report.recorded = true;
    }
    if let Some(desired) = &decided.desired
        && matches!(
            decided.config_map,
            Some(ConfigMapStep::Create { .. } | ConfigMapStep::Repair { .. } | ConfigMapStep::Annotate(_))
        )
    {
        observed.config_maps = vec![file(observed, desired)];
        report.file_written = true;
    }
    let mut written = Vec::new();
    for (index, Planned { view, goal, step }) in decided.over(&observed.targets).enumerate() {
        if let (Step::Write { .. }, Some(workload)) = (step, &view.workload) {
            let after = Arc::new(with(workload, observed, goal));
            report.targets.insert(workload.uid.clone(), Ok(after.clone()));
            written.push((index, after));
        }
    }
    let applied = applied_after(observed, decided, &report, &[]);
    edit_newest(observed, |record| {
        record.applied = applied;
        match &decided.failure {
            Failure::Recovered => record.verdict = None,
            Failure::Retrying(verdict) => record.verdict = Some(verdict.clone()),
            Failure::None | Failure::Detected(_) | Failure::RolledBack(_) => {}
        }
    });
    let wrote = !written.is_empty();
    for (index, workload) in written {
        let before = observed.targets[index].workload.replace(workload.clone()).expect("it was written over");
        // Old pods stay until new ones serve.
        let pods = observed.targets[index].pods.take();
        let pods = pods.unwrap_or_else(|| vec![Pod { containers: before.containers.clone(), ..pod(&[]) }]);
        observed.targets[index].pods = Some(pods.into_iter().filter(|pod| pod.ready).collect());
        observed.policy = Some(policy.clone());
    }
    wrote || before != (observed.records.clone(), observed.config_maps.clone())
}

fn edit_newest(observed: &mut Observed, edit: impl FnOnce(&mut Record)) {
    if let Some(newest) = observed.records.first_mut() {
        edit(Arc::make_mut(newest));
    }
}

fn remember(observed: &mut Observed, decided: &Plan, step: &RecordStep, applied: Vec<crate::model::Applied>) {
    let policy = observed.policy.as_ref().expect("a policy");
    let data = decided.desired.as_ref().expect("something is desired").data();
    match step {
        RecordStep::Create { revision } => {
            let name = record_name(&policy.key.name, &policy.uid, &decided.digest).into();
            let record = Record {
                name,
                owner_uid: policy.uid.clone(),
                revision: *revision,
                data,
                applied,
                verdict: None,
                unread: None,
            };
            observed.records.insert(0, Arc::new(record));
        }
        RecordStep::Renew { name, revision } => {
            let index = observed.records.iter().position(|record| record.name == *name).expect("it is there");
            let mut record = observed.records.remove(index);
            let renewed = Arc::make_mut(&mut record);
            (renewed.revision, renewed.applied) = (*revision, applied);
            observed.records.insert(0, record);
        }
    }
}

fn file(observed: &Observed, desired: &Desired) -> ConfigMapView {
    let policy = observed.policy.as_ref().expect("a policy");
    ConfigMapView {
        name: desired.config_map.clone(),
        uid: "map".into(),
        resource_version: "1".into(),
        deleting: false,
        policy_label: Some(observed.key.name.clone()),
        governed: Some(desired.governed(policy, &observed.crd_uid, None).write().into()),
        own: true,
        content: Some(crate::plan::config_map::content(&desired.rendered).into()),
        holder: None,
        claimant: false,
        mounted: false,
    }
}

/// The workload with our fields as the goal has them.
fn with(workload: &Workload, observed: &Observed, goal: &Goal) -> Workload {
    let policy = observed.policy.as_ref().expect("a policy");
    let own: Vec<_> = goal
        .desired
        .variables()
        .iter()
        .map(|variable| (variable.name.as_str(), variable.value.as_str()))
        .collect();
    let files = workload.containers[0].files.clone();
    let governed: OwnershipNote = goal.desired.governed(policy, &observed.crd_uid, Some(&workload.uid));
    Workload {
        generation: workload.generation + 1,
        policy_label: Some(observed.key.name.clone()),
        governed: Some(governed.write().into()),
        own: OwnFields {
            policy_label: true,
            governed: true,
            env: own.iter().map(|(name, _)| ("kratos".into(), (*name).into())).collect(),
            changed: Some(observed.now),
        },
        containers: vec![crate::model::Container { files, ..container(&own) }].into(),
        ..workload.clone()
    }
}

/// How the pods of a revision fare on a target that rolls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fare {
    Lives,
    Fails,
    /// One becomes ready beside the old ones, the next one fails.
    Beside,
    /// One becomes ready and no old one is left, the next one fails.
    Alone,
}

/// The controllers of the cluster: pods of the template start, and replace the old ones where they survive.
pub fn run(observed: &mut Observed, survives: Fate) -> bool {
    run_each(observed, |_, desired| if survives(desired) { Fare::Lives } else { Fare::Fails })
}

/// Runs one step in which each target fares by its index.
pub fn run_each(observed: &mut Observed, fare: impl Fn(usize, &Desired) -> Fare) -> bool {
    let mut moved = false;
    let decided = plan(observed);
    let now = observed.now;
    // What a template has is what was decided last, or an earlier record.
    let asked = decided.desired.clone();
    let recorded = observed.records.iter().filter_map(|record| {
        crate::plan::failure::rollback_targets::goal(observed, asked.as_deref()?, record.digest())
    });
    let recorded: Vec<_> = recorded.map(|goal| goal.desired).collect();
    for (index, (view, TargetPlan { goal, .. })) in
        observed.targets.iter_mut().zip(decided.targets).enumerate()
    {
        let Some(workload) = view.workload.clone() else { continue };
        if workload.status.observed_generation == workload.generation && crate::model::is_done(&workload) {
            continue;
        }
        let template = Pod { containers: workload.containers.clone(), ..pod(&[]) };
        let is_made = |desired: &&Arc<Desired>| desired.mark(&workload, "kratos").is_on(&template, "kratos");
        let made = [&goal.desired].into_iter().chain(&recorded).find(is_made);
        let fare = made.map_or(Fare::Lives, |desired| fare(index, desired));
        let ready = Pod { name: "new".into(), uid: "new".into(), seen: now, ..template.clone() };
        let crash = crate::model::Trouble { finished: now, ..crate::plan::testing::fixtures::crash(2) };
        let failing = Pod {
            name: "new".into(),
            uid: "new".into(),
            ready: false,
            unready: vec!["kratos".into()],
            troubles: vec![crash],
            ..template
        };
        let serve = view
            .pods
            .iter()
            .flatten()
            .filter(|pod| pod.ready)
            .map(|pod| Pod { health: Some(Health::Well), ..pod.clone() });
        let is_new = |pod: &Pod| pod.containers == workload.containers;
        let pods: Vec<_> = match fare {
            Fare::Lives => vec![ready],
            Fare::Fails => serve.chain([failing]).collect(),
            Fare::Beside => serve.filter(|pod| !is_new(pod)).chain([ready, failing]).collect(),
            Fare::Alone => vec![ready, failing],
        };
        let count = |pods: usize| i32::try_from(pods).unwrap_or(i32::MAX);
        let serving = count(pods.iter().filter(|pod| pod.ready).count());
        let status = WorkloadStatus {
            observed_generation: workload.generation,
            total: count(pods.len()),
            updated: 1,
            ready: serving,
            available: serving,
            ..Default::default()
        };
        moved |= status != workload.status;
        view.pods = Some(pods);
        view.content = Some(Content { digest: "content".into(), changed: 0 });
        view.well_since = Some(0);
        view.workload = Some(Arc::new(Workload { status, ..(*workload).clone() }));
    }
    moved
}

/// A target whose server reads the file of the policy.
pub fn wired(workload: Workload, config_map: &str) -> Workload {
    let mut workload = workload;
    workload.containers[0].files =
        vec![Some(MountedFile { config_map: config_map.into(), key: "kratos.yaml".into(), reloads: true })]
            .into();
    workload
}
