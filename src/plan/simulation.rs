//! A cluster of plain values: what a plan would do to what was observed. It knows no API server and no
//! conflict; what those decide is tested on real ones.

use std::sync::Arc;

use super::fixtures::{container, pod};
use super::record::record_name;
use super::{
    Content, Desired, Goal, Governed, Health, MountedFile, Observed, OwnFields, Plan, Pod, Record, RecordStep, Report, Step, Workload,
    WorkloadStatus, applied_after, applied_before, applied_judged, plan,
};
use crate::plan::{ConfigMapStep, ConfigMapView};

/// How the pods of a revision fare.
pub(super) type Fate = fn(&Desired) -> bool;

/// Looks and writes, as the controller does, until a look finds nothing to do; answers the last plan.
pub(super) fn settle(observed: &mut Observed, survives: Fate) -> Plan {
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
pub(super) fn act(observed: &mut Observed, decided: &Plan) -> bool {
    let policy = observed.policy.clone().expect("a policy");
    let mut report = Report { targets: decided.steps.iter().map(|_| None).collect(), ..Report::default() };
    let before = (observed.records.clone(), observed.config_maps.clone());
    if decided.judged.is_some() {
        let applied = applied_judged(observed, decided);
        edit_newest(observed, |record| {
            record.verdict.clone_from(&decided.judged);
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
        && matches!(decided.config_map, Some(ConfigMapStep::Create { .. } | ConfigMapStep::Repair { .. } | ConfigMapStep::Annotate(_)))
    {
        observed.config_maps = vec![file(observed, desired)];
        report.file_written = true;
    }
    let mut written = Vec::new();
    for (index, (step, goal)) in decided.steps.iter().zip(&decided.goals).enumerate() {
        if let (Step::Write { .. }, Some(workload)) = (step, observed.targets[index].workload.clone()) {
            let after = Arc::new(with(&workload, observed, goal));
            report.targets[index] = Some(Ok(after.clone()));
            written.push((index, after));
        }
    }
    let applied = applied_after(observed, decided, &report, &[]);
    edit_newest(observed, |record| {
        record.applied = applied;
        if decided.acquitted {
            record.verdict = None;
        } else if decided.lifted.is_some() {
            record.verdict.clone_from(&decided.lifted);
        }
    });
    let wrote = !written.is_empty();
    for (index, workload) in written {
        observed.targets[index].workload = Some(workload.clone());
        // Old pods stay until new ones serve.
        let pods = observed.targets[index].pods.take().unwrap_or_else(|| vec![pod(&[])]);
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

fn remember(observed: &mut Observed, decided: &Plan, step: &RecordStep, applied: Vec<super::Applied>) {
    let policy = observed.policy.as_ref().expect("a policy");
    let data = decided.desired.as_ref().expect("something is desired").data();
    match step {
        RecordStep::Create { revision } => {
            let name = record_name(&policy.key.name, &policy.uid, &decided.digest).into();
            let record = Record { name, owner_uid: policy.uid.clone(), revision: *revision, data, applied, verdict: None };
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
        content: Some(super::content(&desired.rendered).into()),
        holder: None,
        claimant: false,
        mounted: false,
    }
}

/// The workload with our fields as the goal has them.
fn with(workload: &Workload, observed: &Observed, goal: &Goal) -> Workload {
    let policy = observed.policy.as_ref().expect("a policy");
    let own: Vec<_> = goal.desired.variables().iter().map(|variable| (variable.name.as_str(), variable.value.as_str())).collect();
    let files = workload.containers[0].files.clone();
    let governed: Governed = goal.desired.governed(policy, &observed.crd_uid, Some(&workload.uid));
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
        containers: vec![super::Container { files, ..container(&own) }],
        ..workload.clone()
    }
}

/// The controllers of the cluster: pods of the template start, and replace the old ones where they survive.
pub(super) fn run(observed: &mut Observed, survives: Fate) -> bool {
    let mut moved = false;
    let goals = plan(observed).goals;
    let now = observed.now;
    for (view, goal) in observed.targets.iter_mut().zip(goals) {
        let Some(workload) = view.workload.clone() else { continue };
        if workload.status.observed_generation == workload.generation && super::is_done(&workload) {
            continue;
        }
        let template = Pod { containers: workload.containers.clone(), ..pod(&[]) };
        let mark = goal.desired.mark(&workload, "kratos");
        let lives = survives(&goal.desired) || !mark.is_on(&template, "kratos");
        let (status, pods) = if lives {
            let done = WorkloadStatus {
                observed_generation: workload.generation,
                total: 1,
                updated: 1,
                ready: 1,
                available: 1,
                ..Default::default()
            };
            (done, vec![Pod { name: "new".into(), uid: "new".into(), ready_since: now, ..template }])
        } else {
            let crash = super::Trouble { finished: now, ..super::fixtures::crash(2) };
            let failing = Pod {
                name: "new".into(),
                uid: "new".into(),
                ready: false,
                unready: vec!["kratos".into()],
                troubles: vec![crash],
                ..template
            };
            let old = view.pods.iter().flatten().filter(|pod| pod.ready).map(|pod| Pod { health: Some(Health::Well), ..pod.clone() });
            let stuck = WorkloadStatus {
                observed_generation: workload.generation,
                total: 2,
                updated: 1,
                ready: 1,
                available: 1,
                ..Default::default()
            };
            (stuck, old.chain([failing]).collect())
        };
        moved |= status != workload.status;
        view.pods = Some(pods);
        view.content = Some(Content { digest: "content".into(), annotations: Vec::new(), changed: 0 });
        view.well_since = Some(0);
        view.workload = Some(Arc::new(Workload { status, ..(*workload).clone() }));
    }
    moved
}

/// A target whose server reads the file of the policy.
pub(super) fn wired(workload: Workload, config_map: &str) -> Workload {
    let mut workload = workload;
    workload.containers[0].files = vec![Some(MountedFile { config_map: config_map.into(), key: "kratos.yaml".into(), reloads: true })];
    workload
}

mod laws {
    //! What holds after any edits, whichever of them the pods survive.

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::plan::fixtures::{edit, observed, targets};
    use crate::plan::{Standing, Verdict};

    #[derive(Clone, Debug)]
    struct Edit {
        whoami: &'static str,
        minutes: u8,
        by_file: bool,
    }

    /// Pods survive every age of an even number of minutes.
    const EVEN: Fate = |desired| !desired.rendered.file.contains("1m\"") && !desired.rendered.file.contains("3m\"");

    fn edits() -> impl Strategy<Value = Vec<Edit>> {
        let one = (prop_oneof![Just("aal1"), Just("highest_available")], 1..5_u8, prop::bool::weighted(0.2));
        // What running pods make of a file is not simulated: every one of theirs survives.
        let survives = |minutes: u8, by_file: bool| if by_file { minutes & !1 | 2 } else { minutes };
        let edit = move |(whoami, minutes, by_file)| Edit { whoami, minutes: survives(minutes, by_file), by_file };
        prop::collection::vec(one.prop_map(edit), 1..6)
    }

    fn spec(edit: &Edit) -> Value {
        let delivery = if edit.by_file { "ConfigFile" } else { "Environment" };
        json!({
            "requiredAAL": {"whoami": edit.whoami},
            "privilegedSessionMaxAge": format!("{}m", edit.minutes),
            "delivery": {"type": delivery},
        })
    }

    fn verdict(observed: &Observed) -> Option<Verdict> {
        plan(observed).verdict
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn it_comes_to_rest_and_what_is_in_force_survives(number in 1..4_usize, edits in edits()) {
            let mut observed = observed(targets(number));
            for view in &mut observed.targets {
                let wired = wired((**view.workload.as_ref().expect("a workload")).clone(), "mfa-mfa");
                view.workload = Some(Arc::new(wired));
            }
            let mut last_good: Vec<Option<String>> = vec![None; number];
            for one in &edits {
                edit(&mut observed, spec(one));
                let at_rest = settle(&mut observed, EVEN);
                // A plan after apply is empty.
                let writes = at_rest.steps.iter().any(|step| matches!(step, Step::Write { .. }));
                prop_assert!(!writes && at_rest.judged.is_none() && at_rest.record.is_none() && at_rest.config_map.is_none(), "{at_rest:#?}");
                let fails = one.minutes % 2 == 1;
                prop_assert!(verdict(&observed).is_none() || fails);
                for (index, (view, goal)) in observed.targets.iter().zip(&at_rest.goals).enumerate() {
                    let workload = view.workload.as_ref().expect("a workload");
                    prop_assert!(crate::plan::is_done(workload), "a pod does not run");
                    let asked = *goal.digest() == *at_rest.digest;
                    if asked {
                        last_good[index] = Some(goal.desired.rendered.revision.clone());
                    } else if !one.by_file && goal.desired.rendered.delivery == crate::policy::Delivery::Environment {
                        // A rollback's end state is the last good state.
                        let now = (!goal.digest().is_empty()).then(|| goal.desired.rendered.revision.clone());
                        prop_assert_eq!(now, last_good[index].clone());
                    }
                }
                // What is noted is enough to go on from.
                let again = Observed { standing: Standing::default(), ..observed.clone() };
                let workloads: Vec<_> = again.targets.iter().filter_map(|view| view.workload.clone()).collect();
                let policy = again.policy.clone().expect("a policy");
                let standing = Standing::of(&policy, &again.records, workloads.iter().map(|workload| &**workload));
                let restarted = Observed { standing, ..again };
                prop_assert!(!plan(&restarted).steps.iter().any(|step| matches!(step, Step::Write { .. })), "a restart writes");
            }
        }
    }
}
