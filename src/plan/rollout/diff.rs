//! What differs between a target and what it shall have, and which of that may be taken by force.

use std::collections::BTreeSet;

use crate::api;
use crate::model::{PolicyObject, Workload};
use crate::plan::desired::Desired;
use crate::plan::history::last_applied::known;
use crate::plan::input::Observed;
use crate::plan::manifest;
use crate::server::kratos::variables;

/// Fields that differ from what is desired, each with whether somebody else must have changed it
/// if our last apply was of the same revision; and whether the pod template is among them.
pub fn differences(
    observed: &Observed,
    policy: &PolicyObject,
    desired: &Desired,
    workload: &Workload,
    container: &str,
) -> (Vec<(String, bool)>, bool) {
    let mut fields = Vec::new();
    let mut rolls = false;
    let live = workload.containers.iter().find(|live| *live.name == *container);
    for variable in desired.variables() {
        let value = live
            .and_then(|live| live.env.iter().find(|entry| *entry.name == *variable.name))
            .and_then(|entry| entry.value.as_deref());
        let changed = value != Some(&*manifest::escape_dollar(&variable.value));
        rolls |= changed;
        if changed || !workload.owns(container, &variable.name) {
            fields.push((format!("env {}", variable.name), true));
        }
    }
    if workload.own.env.more {
        // A write of ours leaves none but what it names.
        rolls = true;
        fields.push(("fields of the manager mfa-operator".into(), false));
    }
    for (inside, name) in &workload.own.env {
        if **inside != *container || !desired.variables().iter().any(|variable| *variable.name == **name) {
            rolls = true;
            fields.push((format!("env {name}"), false));
        }
    }
    if workload.policy_label.as_deref() != Some(&policy.key.name) || !workload.own.policy_label {
        fields.push((format!("label {}", api::POLICY_LABEL), true));
    }
    let governed = desired.governed(policy, &observed.crd_uid, Some(&workload.uid)).write();
    if workload.governed.as_deref() != Some(&*governed) || !workload.own.governed {
        // A new deletion policy or a recreated policy changes it too: that is no drift.
        fields.push((governed_field(), !workload.own.governed));
    }
    (fields, rolls)
}

pub fn governed_field() -> String {
    format!("annotation {}", api::GOVERNED_ANNOTATION)
}

/// What this policy applied to this workload before, by its records or, until they are written,
/// by our entry in the live managedFields.
pub fn adopted(observed: &Observed, workload: &Workload, container: &str) -> BTreeSet<String> {
    let mut adopted: BTreeSet<_> = workload
        .own
        .env
        .iter()
        .filter(|(inside, _)| **inside == *container)
        .map(|(_, name)| name.to_string())
        .collect();
    if let Some(known) = known(observed, workload) {
        adopted.extend([api::POLICY_LABEL.to_owned(), api::GOVERNED_ANNOTATION.to_owned()]);
        let data = observed
            .record(&known.record)
            .filter(|_| known.container == container)
            .map(|record| &record.data);
        let set = data.map(|data| variables(&data.overlay, data.delivery)).unwrap_or_default();
        adopted.extend(set.into_iter().map(|variable| variable.name));
    }
    let own =
        [(api::POLICY_LABEL, workload.own.policy_label), (api::GOVERNED_ANNOTATION, workload.own.governed)];
    adopted.extend(own.into_iter().filter(|(_, own)| *own).map(|(key, _)| key.to_owned()));
    adopted
}

/// Whether a conflict on `field`, a path as the API server writes it, is about one of `adopted`.
#[must_use]
pub fn is_adopted(field: &str, container: &str, adopted: &BTreeSet<String>) -> bool {
    let keyed = [".metadata.labels.", ".metadata.annotations."];
    if let Some(key) = keyed.iter().find_map(|parent| field.strip_prefix(parent)) {
        return adopted.contains(key);
    }
    let Some(rest) =
        field.strip_prefix(&format!(".spec.template.spec.containers[name=\"{container}\"].env[name=\""))
    else {
        return false;
    };
    rest.split_once('"').is_some_and(|(name, _)| adopted.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_is_matched_to_the_variable_or_key_that_was_adopted() {
        let adopted = BTreeSet::from(["REVISION".to_owned(), api::POLICY_LABEL.to_owned()]);
        let env = |container: &str, name: &str| {
            format!(".spec.template.spec.containers[name=\"{container}\"].env[name=\"{name}\"].value")
        };
        assert!(is_adopted(&env("kratos", "REVISION"), "kratos", &adopted));
        assert!(!is_adopted(&env("kratos", "SESSION_WHOAMI_REQUIRED_AAL"), "kratos", &adopted));
        assert!(!is_adopted(&env("other", "REVISION"), "kratos", &adopted));
        assert!(is_adopted(".metadata.labels.mfa-operator.dev/policy", "kratos", &adopted));
        assert!(!is_adopted(".metadata.annotations.mfa-operator.dev/governed", "kratos", &adopted));
        assert!(!is_adopted(".spec.template.spec.containers[name=\"kratos\"].image", "kratos", &adopted));
    }
}
