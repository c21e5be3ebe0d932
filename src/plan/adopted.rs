//! What stood on a target before a policy came to it, read back as something to go back to.

use super::target::{known, target_data};
use super::{Container, Data, Desired, Observed, Plan, Step, TargetView, Workload, manifest};
use crate::policy::Delivery;
use crate::server::kratos::{Overlay, REVISION, revision, variables};

/// What stands on targets that this policy is about to write for the first time, and that had fields of
/// ours before: it is what they can go back to.
pub(super) fn adopted(observed: &Observed, plan: &Plan, desired: &Desired) -> Vec<Data> {
    let mut found: Vec<Data> = Vec::new();
    for (step, view) in plan.steps.iter().zip(&observed.targets) {
        let (Step::Write { container, rolls: true, .. }, Some(workload)) = (step, &view.workload) else { continue };
        if known(observed, workload).is_some() {
            continue;
        }
        let read = read_back(workload, container, desired, view);
        found.extend(read.filter(|data| observed.record(&data.digest()).is_none() && data.digest() != desired.data().digest()));
    }
    found
}

/// The variables of ours in a container, each as (name, what the process sees).
pub(super) fn own_variables<'a>(workload: &Workload, container: &'a Container) -> Vec<(&'a str, String)> {
    let own = container.env.iter().filter(|entry| workload.owns(&container.name, &entry.name));
    own.filter_map(|entry| Some((entry.name.as_str(), manifest::spoken(entry.value.as_deref()?)))).collect()
}

/// The variables of ours on a workload as the record of a revision, if they are exactly one.
pub(super) fn read_back(workload: &Workload, container: &str, desired: &Desired, view: &TargetView) -> Option<Data> {
    let own = own_variables(workload, workload.containers.iter().find(|live| *live.name == *container)?);
    let (_, named) = own.iter().find(|(name, _)| *name == REVISION)?;
    let overlay = Overlay::from_variables(&own)?;
    let data = Data {
        overlay,
        delivery: Delivery::Environment,
        config_map_name: desired.config_map.to_string(),
        targets: vec![target_data(view, container)],
    };
    let whole = variables(&data.overlay, data.delivery).len() == own.len();
    (whole && revision(&data.overlay, data.delivery) == *named && data.is_sound()).then_some(data)
}
