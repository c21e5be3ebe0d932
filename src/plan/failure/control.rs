//! Whether a roll that fails fails for the policy: what shows that everything else is in order.

use crate::model::{Applied, Evidence, Health, Pod, Workload};
use crate::plan::failure::evidence::{Kind, Roll, holds_since, lasts, new_pods, old_pods, signs};
use crate::plan::input::TargetView;

/// What speaks against a roll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing that counts.
    Open,
    /// New pods do not survive, where old ones of the same making do.
    Failed(Evidence),
    /// New pods do not survive, and the policy may not be why.
    Unproven(Evidence, String),
}

/// Judges the roll of the target under way.
#[must_use]
pub fn judge(view: &TargetView, workload: &Workload, roll: &Roll<'_>, known: Option<&Applied>) -> Judgement {
    let pods = view.pods.as_deref().unwrap_or_default();
    let mut unproven = None;
    for sign in signs(workload, pods, roll) {
        if sign.kind == Kind::CannotStart
            && roll.config_map.is_none()
            && sign.evidence.reason == "CreateContainerConfigError"
        {
            // Variables of ours are literal: they refer to nothing.
            let why =
                "its container refers to something that is not there: see the events of the pod".to_owned();
            unproven = unproven.or(Some(Judgement::Unproven(sign.evidence, why)));
            continue;
        }
        if sign.kind == Kind::Unready && is_out_of_reach(sign.pod, pods) {
            let why = format!(
                "nothing comes back from pod {}, while others answer: its node may be lost",
                sign.pod.name
            );
            unproven = unproven.or(Some(Judgement::Unproven(sign.evidence, why)));
            continue;
        }
        match control(view, workload, pods, roll, sign.pod, known) {
            Ok(Control::Old) if holds_since(&sign, view.well_since, workload, roll) => {
                return Judgement::Failed(sign.evidence);
            }
            // An outage that has just ended may be what it fell over.
            Ok(Control::Old) => {}
            Ok(Control::Before) if lasts(&sign, sign.since, workload, roll) => {
                return Judgement::Failed(sign.evidence);
            }
            Ok(Control::Before) => {}
            Err(why) => unproven = unproven.or(Some(Judgement::Unproven(sign.evidence, why))),
        }
    }
    unproven.unwrap_or(Judgement::Open)
}

pub fn is_out_of_reach(pod: &Pod, pods: &[Pod]) -> bool {
    let answers = |pod: &Pod| !matches!(pod.health, None | Some(Health::Unreachable | Health::NotYet));
    pod.health == Some(Health::Unreachable) && pods.iter().any(answers)
}

/// What shows that the cluster and everything else is in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// An old pod that runs.
    Old,
    /// The old pods ran when the roll began that was to end them.
    Before,
}

/// Why the policy may not be what fails, where nothing shows that it is.
pub fn control(
    view: &TargetView,
    workload: &Workload,
    pods: &[Pod],
    roll: &Roll<'_>,
    failing: &Pod,
    known: Option<&Applied>,
) -> Result<Control, String> {
    let Some(content) = &view.content else {
        return Err("what else it is made from could not be read".into());
    };
    let old: Vec<_> = old_pods(pods, roll).collect();
    if old.is_empty() {
        let ran_well = known.and_then(|known| known.ran_well.as_ref());
        return match ran_well.filter(|_| workload.ends_old_first()) {
            Some(before) if *before == content.digest => Ok(Control::Before),
            Some(_) => Err("something else in its pod template or its files changed as well".into()),
            None => Err("no pod from before is left to compare it with".into()),
        };
    }
    let ready: Vec<_> = old.into_iter().filter(|pod| pod.ready).collect();
    if ready.is_empty() {
        return Err("no pod from before is ready either".into());
    }
    let known: Vec<_> = ready.into_iter().filter(|pod| pod.template.is_some()).collect();
    if known.is_empty() || failing.template.is_none() {
        return Err("the templates that its pods were made from could not be read".into());
    }
    let alike: Vec<_> = known.into_iter().filter(|pod| pod.template == failing.template).collect();
    if alike.is_empty() {
        return Err("something else in its pod template changed as well".into());
    }
    // It started with other files, and has kept them where the new ones are wrong.
    let alike: Vec<_> = alike.into_iter().filter(|pod| pod.created >= content.changed).collect();
    if alike.is_empty() {
        return Err("a ConfigMap that the server reads has changed since the pods from before started".into());
    }
    // Not all are asked, and not all can be heard: those that speak for themselves tell.
    let says = |health| alike.iter().find(|pod| pod.health == Some(health));
    if says(Health::Well).is_some() {
        return Ok(Control::Old);
    }
    if let Some(unwell) = says(Health::Unwell) {
        return Err(format!(
            "pod {} from before is Ready, but not well by its own word at /admin/health/ready (503, or no answer): its database may be away",
            unwell.name
        ));
    }
    if let Some(unasked) = says(Health::NotYet) {
        return Err(format!("pod {} from before has yet to be asked how it is", unasked.name));
    }
    Ok(Control::Old)
}

/// Whether an old pod like the failing ones runs well.
#[must_use]
pub fn runs_well(view: &TargetView, workload: &Workload, pods: &[Pod], roll: &Roll<'_>) -> bool {
    let mut suspects = new_pods(pods, roll).filter(|pod| !pod.ready);
    suspects.any(|suspect| matches!(control(view, workload, pods, roll, suspect, None), Ok(Control::Old)))
}
