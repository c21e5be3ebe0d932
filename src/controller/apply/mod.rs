//! Every write of a plan, in its order.

pub mod answers;
pub mod config_map;
pub mod notes;
pub mod outcome;
pub mod pod;
pub mod records;
pub mod release;
pub mod requests;
pub mod status;
pub mod workload;

use std::sync::Arc;

use tracing::warn;

use crate::api as wire;
use crate::api::EventReason;
use crate::controller::apply::answers::Written;
use crate::controller::apply::outcome::Outcome;
use crate::controller::apply::release::undo;
use crate::controller::context::Context;
use crate::controller::error::Error;
use crate::controller::report;
use crate::model::PolicyObject;
use crate::plan::{
    AnnotationFix, ConfigMapStep, Failure, Notice, Observed, Plan, Planned, Server, Step, StuckPod,
    WriteResults, applied_before, manifest, retrying,
};
use crate::policy::Delivery;

/// Carries out a plan for a policy that stands, and writes its status.
pub async fn write(
    context: &Context,
    observed: &Observed,
    policy: &Arc<PolicyObject>,
    decided: &Plan,
) -> Outcome {
    for name in &observed.ignored {
        if context.memory.tell_once(&format!("ignored {} {name}", policy.uid)) {
            let message = format!(
                "ControllerRevision {name} bears this policy's label and is not what this operator wrote: it decides nothing; find out who made it, and delete it"
            );
            context.events.about_policy(
                &policy.key,
                &policy.uid,
                Notice { warning: true, reason: EventReason::RecordIgnored, message },
            );
        }
    }
    let mut answers = WriteResults::default();
    let mut outcome = Outcome::default();
    if let Failure::Detected(verdict) = &decided.failure {
        notes::judged(context, observed, policy, decided, verdict)
            .await
            .unwrap_or_else(|error| outcome.failed(error));
    }
    if let Failure::Retrying(verdict) = &decided.failure {
        // It is tried again: whoever comes next has to know before anything of it is written.
        let applied = applied_before(observed, decided);
        match notes::verdict(context, policy, decided, verdict, &applied).await {
            Ok(()) => {
                context.events.about_policy(&policy.key, &policy.uid, retrying(policy, verdict, observed.now))
            }
            Err(error) => outcome.failed(error),
        }
    }
    if let Some(desired) = &decided.desired {
        let mut adopted = Vec::new();
        for data in &decided.adopted {
            adopted.push(records::adopt(context, policy, data).await);
        }
        let config_map = async {
            match &decided.config_map {
                Some(step) => config_map::config_map(context, observed, policy, desired, step).await,
                None => Ok(Written::Done(())),
            }
        };
        let record = async {
            match &decided.record {
                Some(step) => records::record(context, observed, policy, decided, desired, step).await,
                None => Ok(Written::Done(())),
            }
        };
        let begins = || {
            observed.records.first().is_some_and(|newest| newest.applied != applied_before(observed, decided))
        };
        let at_once = decided.reloads.is_empty() && (decided.record.is_some() || !begins());
        let (config_map, record) = if at_once {
            let (config_map, record) = tokio::join!(config_map, record);
            (Some(config_map), record)
        } else {
            // What pods answered, and what stood there, must be noted before that changes.
            let noted = match decided.record {
                Some(_) => record.await,
                None => notes::reloads(context, observed, policy, decided).await.map(Written::Done),
            };
            let config_map =
                if noted.as_ref().is_ok_and(Written::is_done) { Some(config_map.await) } else { None };
            (config_map, noted)
        };
        if matches!(&config_map, Some(Ok(Written::Done(())))) {
            let file = matches!(
                decided.config_map,
                Some(ConfigMapStep::Create { .. } | ConfigMapStep::Repair { .. })
            );
            answers.file_written = file;
            report::config_map_written(context, policy, desired, decided.config_map.as_ref());
        }
        answers.recorded = decided.record.is_some() && record.as_ref().is_ok_and(Written::is_done);
        for answer in adopted.into_iter().chain(config_map).chain([record]) {
            match answer {
                Ok(Written::Done(())) => {}
                Ok(Written::Refused(refused)) => answers.refused = answers.refused.or(Some(refused)),
                Err(error) => outcome.failed(error),
            }
        }
        if outcome.error.is_none() {
            write_targets(context, observed, policy, decided, &mut answers, &mut outcome).await;
        }
    }
    outcome.refused = answers.refused.is_some() || answers.targets.values().any(Result::is_err);
    // Where the new cannot be had, the old is kept.
    let keep = outcome.refused || outcome.error.is_some();
    let reverted = if keep { Vec::new() } else { undo(context, observed, decided, &mut outcome).await };
    remember(context, observed, policy, decided, &mut outcome).await;
    let note = async {
        match decided.failure {
            Failure::Detected(_) => Ok(()),
            _ => notes::applied(context, observed, policy, decided, &answers, &reverted).await,
        }
    };
    // After an error it is not known how things stand: the next look tells.
    let stale = matches!(outcome.error, Some(Error::Stale));
    let tell = async {
        if stale { Ok(None) } else { report::status(context, observed, policy, decided, &answers).await }
    };
    let (noted, told) = tokio::join!(note, tell);
    match noted.and(told) {
        Ok(again) => outcome.again = again,
        Err(error) => outcome.failed(error),
    }
    for pod in &decided.stuck {
        replace_stuck(context, policy, pod, &mut outcome).await;
    }
    for name in &decided.prune {
        records::prune(context, &policy.key.namespace, name)
            .await
            .unwrap_or_else(|error| outcome.failed(error));
    }
    outcome
}

pub async fn write_targets(
    context: &Context,
    observed: &Observed,
    policy: &PolicyObject,
    decided: &Plan,
    answers: &mut WriteResults,
    outcome: &mut Outcome,
) {
    for Planned { view, goal, step } in decided.over(&observed.targets) {
        let desired = &*goal.desired;
        let (Step::Write { adopted, take_over, rolls, drift, .. }, Ok(Server { workload, container })) =
            (step, view.server())
        else {
            continue;
        };
        let container = &*container.name;
        // Without its config map and record nothing new goes out; what is in force is kept up all the same,
        // and what fails is taken back.
        let old = !drift.is_empty()
            || (decided.failure.rolled_back().is_some()
                && desired.rendered.delivery == Delivery::Environment);
        if answers.refused.is_some() && !old {
            continue;
        }
        let governed = desired.governed(policy, &observed.crd_uid, Some(&workload.uid)).write();
        let body = manifest::workload(workload, &policy.key.name, &governed, container, desired);
        match workload::workload(context, workload, &body, container, adopted, *take_over).await {
            Ok(Written::Done(written)) => {
                report::wrote(context, policy, workload, *rolls, drift, &written.taken_from, desired);
                view.over.iter().for_each(|over| report::taken_by_age(context, policy, workload, over));
                answers.targets.insert(workload.uid.clone(), Ok(written.workload));
            }
            Ok(Written::Refused(refused)) => {
                answers.targets.insert(workload.uid.clone(), Err(refused));
            }
            Err(error) => outcome.failed(error),
        }
    }
}

/// Corrects what workloads and config maps remember, whatever else was refused.
pub async fn remember(
    context: &Context,
    observed: &Observed,
    policy: &PolicyObject,
    decided: &Plan,
    outcome: &mut Outcome,
) {
    for memory in &decided.annotation_fixes {
        match memory {
            AnnotationFix::Workload { workload, governed } => {
                let body = manifest::annotated(workload, &observed.key.name, governed);
                let own = [wire::POLICY_LABEL.to_owned(), wire::GOVERNED_ANNOTATION.to_owned()].into();
                match workload::workload(context, workload, &body, "", &own, false).await {
                    Ok(Written::Done(_)) => {}
                    Ok(Written::Refused(refusal)) => report::refused(context, workload, refusal, outcome),
                    Err(error) => outcome.failed(error),
                }
            }
            AnnotationFix::ConfigMap { map, governed } => {
                match config_map::annotate_config_map(context, &policy.key.namespace, map, governed).await {
                    Ok(Written::Done(())) => {}
                    Ok(Written::Refused((_, message))) => {
                        outcome.refused = true;
                        warn!("{message}");
                    }
                    Err(error) => outcome.failed(error),
                }
            }
        }
    }
}

/// Lets a StatefulSet replace a pod of an earlier revision that does not survive.
pub async fn replace_stuck(context: &Context, policy: &PolicyObject, pod: &StuckPod, outcome: &mut Outcome) {
    let StuckPod { name, uid, .. } = pod;
    match pod::delete_pod(context, &policy.key.namespace, pod).await {
        Ok(Written::Done(())) => {
            let message = format!(
                "pod {name} does not survive an earlier revision and its StatefulSet waits for it: it was deleted"
            );
            context.events.about_policy(
                &policy.key,
                &policy.uid,
                Notice { warning: true, reason: EventReason::StuckPodDeleted, message },
            );
        }
        // The status names the pod and what to do.
        Ok(Written::Refused((_, message))) => {
            if context.memory.tell_once(&format!("stuck {uid} {message}")) {
                warn!("{message}");
            }
        }
        Err(error) => outcome.failed(error),
    }
}
