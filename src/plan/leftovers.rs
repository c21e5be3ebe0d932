//! What a policy that is gone left in force on purpose: one that comes after it drops nothing of that unnoticed.

use std::borrow::Cow;

use super::{Container, Governed, Observed, Workload, claim_config_map, manifest, risks, target};
use crate::policy::{DeletionPolicy, Policy, Rejection, levels_left_out, transition};
use crate::server::kratos::Overlay;

/// Whether a target has something of that, so that it matters what the policy leaves out.
pub(super) fn stand(observed: &Observed) -> bool {
    risks::governed(observed).any(|(_, workload, ..)| has_variables(observed, workload)) || file(observed).is_some()
}

/// The config map of the policy, where another one left it and a target reads it: what it says has to be read.
#[must_use]
pub fn file(observed: &Observed) -> Option<&str> {
    let policy = observed.policy.as_ref()?;
    let map = observed.config_map(&observed.standing.config_map(policy)?)?;
    let left = claim_config_map(map, policy).is_ok() && stays(observed, map.governed.as_deref(), None);
    let read = |container: &Container| container.files.iter().flatten().any(|file| file.is_of(&map.name));
    (left && risks::governed(observed).any(|(_, _, container, _)| read(container))).then_some(&*map.name)
}

/// What `spec` would drop of what a target has of that.
pub(super) fn dropped(observed: &Observed, workload: &Workload, container: &Container, spec: &Policy) -> Vec<Rejection> {
    let variables = has_variables(observed, workload).then(|| variables(workload)).flatten().map(Cow::Owned);
    let is_read = |_: &&Overlay| container.files.iter().flatten().any(|file| file.is_of(&spec.config_map));
    let file = observed.left_file.as_ref().filter(is_read).map(Cow::Borrowed);
    let mut dropped: Vec<Rejection> = Vec::new();
    for left in variables.into_iter().chain(file) {
        let found = levels_left_out(left.required_levels(), spec).chain(transition(&left.factors(), spec));
        for rejection in found.collect::<Vec<_>>() {
            if !dropped.contains(&rejection) {
                dropped.push(rejection);
            }
        }
    }
    dropped
}

fn has_variables(observed: &Observed, workload: &Workload) -> bool {
    let memory = workload.governed.as_deref().filter(|_| workload.own.governed);
    !workload.own.env.is_empty() && target::known(observed, workload).is_none() && stays(observed, memory, Some(workload))
}

/// Whether this is what remains of another policy, and was meant to.
fn stays(observed: &Observed, memory: Option<&str>, workload: Option<&Workload>) -> bool {
    let Some(memory) = Governed::read(memory) else { return true };
    let made_by_this = observed.policy.as_ref().is_some_and(|policy| *policy.uid == *memory.policy);
    let same_object = workload.is_none_or(|workload| memory.workload.as_deref() == Some(&*workload.uid));
    // Who deletes one that is to be reverted has said that all of it shall go.
    let reverts = memory.deletion_policy == DeletionPolicy::Revert && same_object && memory.crd == *observed.crd_uid;
    !made_by_this && !reverts
}

/// Our variables on a workload, in whichever container they stand.
fn variables(workload: &Workload) -> Option<Overlay> {
    let own = |container: &Container, name: &str| workload.owns(&container.name, name);
    let entries = workload.containers.iter().flat_map(|container| container.env.iter().filter(|entry| own(container, &entry.name)));
    let own: Vec<_> = entries.filter_map(|entry| Some((entry.name.as_str(), manifest::spoken(entry.value.as_deref()?)))).collect();
    Overlay::from_variables(&own)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::fixtures::{applied, governed, observed, record, stand, target};
    use crate::plan::{Before, refusals};
    use crate::policy::parse;

    /// A policy that asks for a level in settings alone, on what another one left with one at whoami.
    fn after(memory: impl FnOnce(&mut Governed)) -> Observed {
        let mut left = governed("gone", &record("gone", 1, "highest_available"));
        let mut remembers = Governed::read(left.governed.as_deref()).expect("a memory");
        memory(&mut remembers);
        left.governed = Some(remembers.write().into());
        let mut observed = observed(vec![target(left)]);
        let spec = serde_json::json!({"targetRefs": [{"name": "kratos"}], "requiredAAL": {"settings": "highest_available"}});
        let policy = Arc::make_mut(observed.policy.as_mut().expect("a policy"));
        policy.spec = parse("mfa", &serde_json::from_value(spec).expect("a spec"));
        stand(&mut observed);
        observed
    }

    fn fields(observed: &Observed) -> Vec<String> {
        refusals(observed).into_iter().map(|rejection| rejection.field).collect()
    }

    #[test]
    fn what_was_to_stay_is_not_left_out() {
        assert!(fields(&after(|_| {})).is_empty(), "what was to be reverted may go");
        let stays: [fn(&mut Governed); 3] = [
            |memory| memory.deletion_policy = DeletionPolicy::Retain,
            |memory| memory.crd = "of another definition".into(),
            |memory| memory.workload = Some("another one".into()),
        ];
        for memory in stays {
            assert_eq!(fields(&after(memory)), ["spec.requiredAAL.whoami"]);
        }
        let mut unknown = after(|_| {});
        Arc::make_mut(unknown.targets[0].workload.as_mut().expect("a workload")).own.governed = false;
        assert_eq!(fields(&unknown), ["spec.requiredAAL.whoami"], "a memory that is not ours says nothing");
    }

    #[test]
    fn what_the_policy_applied_itself_is_no_leftover() {
        let retained = || after(|memory| memory.deletion_policy = DeletionPolicy::Retain);
        let mut noted = retained();
        let mut newest = record("mfa", 1, "highest_available");
        Arc::make_mut(&mut newest).applied = vec![applied(newest.clone().digest(), Before::Nothing)];
        noted.records = vec![newest];
        assert!(fields(&noted).is_empty());
        let uid = retained().policy.expect("a policy").uid.to_string();
        let remembered = after(move |memory| (memory.deletion_policy, memory.policy) = (DeletionPolicy::Retain, uid));
        assert!(fields(&remembered).is_empty(), "its records may be gone");
    }
}
