//! What another policy left in force on purpose, when it went or let go: one that comes after it drops nothing of
//! that unnoticed.

use smol_str::SmolStr;

use super::{Container, Desired, Governed, Observed, PolicyObject, TargetView, Workload, WorkloadId, adopted, claim_config_map, target};
use crate::api::rules;
use crate::policy::{Delivery, Rejection, factors_lost, levels_left_out};
use crate::server::kratos::Overlay;

/// A file that another policy left, and that is read.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftFile {
    pub config_map: SmolStr,
    /// None where it is no file of ours any more.
    pub overlay: Option<Overlay>,
    /// Those whose pod template mounts it, and whether a policy delivered it to them.
    pub mounted_by: Vec<(WorkloadId, bool)>,
}

/// The config map of the policy, where another one left it: what it says has to be read.
#[must_use]
pub fn left_file(observed: &Observed) -> Option<&str> {
    let policy = observed.policy.as_ref()?;
    let map = observed.config_map(&observed.standing.config_map(policy)?)?;
    let mut applied = observed.records.first().into_iter().flat_map(|newest| &newest.applied);
    let is_written =
        applied.any(|applied| observed.record(&applied.record).is_some_and(|record| *record.data.config_map_name == *map.name));
    let made_by_this = |memory: &Governed| *policy.uid == *memory.policy;
    let left = !is_written && claim_config_map(map, policy).is_ok() && stays(observed, map.governed.as_deref(), None, made_by_this);
    left.then_some(&*map.name)
}

/// What writing the file would drop of that, and what to do.
pub(super) fn file_dropped(observed: &Observed, policy: &PolicyObject, desired: &Desired) -> Option<String> {
    let left = observed.left_file.as_ref().filter(|left| left.config_map == desired.config_map)?;
    let is_target = |(id, _): &(WorkloadId, bool)| {
        let mut targets = observed.targets.iter().filter(|view| (view.kind, &view.name) == (id.kind, &id.key.name));
        targets.any(|view| view.holder.as_ref().is_none_or(|holder| *holder == policy.key.name))
    };
    let other_name = |message: &str| vec![Rejection { field: "spec.delivery.configMapName".into(), message: message.into() }];
    let dropped = match &left.overlay {
        // What becomes of the file must follow from what becomes of those to whom it was delivered.
        _ if desired.rendered.delivery != Delivery::ConfigFile || !left.mounted_by.iter().any(is_target) => {
            other_name(rules::LEFT_TO_OTHERS)
        }
        _ if left.mounted_by.iter().any(|reader| reader.1 && !is_target(reader)) => other_name(rules::LEFT_TO_OTHERS),
        None => other_name(rules::LEFT_UNREADABLE),
        Some(overlay) => left_out(observed, policy, desired, overlay),
    };
    told(&format!("ConfigMap {}", desired.config_map), &dropped)
}

/// What taking the target would drop of that, and what to do.
pub(super) fn target_dropped(
    observed: &Observed,
    policy: &PolicyObject,
    desired: &Desired,
    view: &TargetView,
    workload: &Workload,
    container: &Container,
) -> Option<String> {
    if !is_left(observed, policy, view, workload) {
        return None;
    }
    let rejection = |field: &str, message: &str| vec![Rejection { field: field.into(), message: message.into() }];
    let is_file = desired.rendered.delivery == Delivery::ConfigFile;
    let dropped = if workload.own.env.iter().any(|(inside, _)| *inside != container.name) {
        rejection("spec.targetRefs[].container", rules::LEFT_IN_ANOTHER_CONTAINER)
    } else if is_file && !workload.is_given_a_file() {
        rejection("spec.delivery.type", rules::LEFT_AS_VARIABLES)
    } else if !is_file && workload.is_given_a_file() {
        rejection("spec.delivery.type", rules::LEFT_AS_FILE)
    } else if is_file {
        // The file says all of it.
        Vec::new()
    } else {
        let left = Overlay::from_variables(&adopted::own_variables(workload, container));
        left.map(|left| left_out(observed, policy, desired, &left)).unwrap_or_default()
    };
    told(&view.to_string(), &dropped)
}

fn told(place: &str, dropped: &[Rejection]) -> Option<String> {
    let dropped: Vec<_> = dropped.iter().map(ToString::to_string).collect();
    (!dropped.is_empty()).then(|| format!("{place} has what an earlier policy left in force. {}", dropped.join("; ")))
}

fn left_out(observed: &Observed, policy: &PolicyObject, desired: &Desired, left: &Overlay) -> Vec<Rejection> {
    let wanted = &desired.rendered.overlay;
    let acknowledged = observed.standing.accepted(policy).map(|spec| spec.acknowledge.as_slice()).unwrap_or_default();
    let levels = levels_left_out(left.required_levels(), wanted.required_levels());
    levels.chain(factors_lost(&left.factors(), &wanted.factors(), acknowledged)).collect()
}

/// Whether the target has something of that.
fn is_left(observed: &Observed, policy: &PolicyObject, view: &TargetView, workload: &Workload) -> bool {
    let has = !workload.own.env.is_empty();
    // One that the policy let go, and names again, is as it was left then.
    let is_of = |named: &super::TargetData| named.kind == view.kind.as_str() && *named.name == *view.name;
    let is_named = observed.records.first().is_none_or(|newest| newest.data.targets.iter().any(is_of));
    let applied = is_named && target::known(observed, workload).is_some_and(|known| !known.record.is_empty());
    let memory = workload.governed.as_deref().filter(|_| workload.own.governed);
    let made_by_this = |memory: &Governed| is_named && *policy.uid == *memory.policy;
    has && !applied && stays(observed, memory, Some(workload), made_by_this)
}

/// Whether this is what remains of another policy, and was meant to.
fn stays(observed: &Observed, memory: Option<&str>, workload: Option<&Workload>, made_by_this: impl Fn(&Governed) -> bool) -> bool {
    let Some(memory) = Governed::read(memory) else { return true };
    let same_object = workload.is_none_or(|workload| memory.workload.as_deref() == Some(&*workload.uid));
    // Who deletes one that is to be reverted has said that all of it shall go.
    let may_go = same_object && memory.reverts(&observed.crd_uid);
    !made_by_this(&memory) && !may_go
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::plan::fixtures::{applied, container, governed, observed, record, stand, target};
    use crate::plan::{Before, ConfigMapView, Step, plan};
    use crate::policy::{DeletionPolicy, parse};

    /// A policy that asks for a level in settings alone, on what another one left with one at whoami.
    fn after(memory: impl FnOnce(&mut Governed)) -> Observed {
        let mut left = governed("gone", &record("gone", 1, "highest_available"));
        let mut remembers = Governed::read(left.governed.as_deref()).expect("a memory");
        memory(&mut remembers);
        left.governed = Some(remembers.write().into());
        asking(observed(vec![target(left)]), json!({}))
    }

    fn retained() -> Observed {
        after(|memory| memory.deletion_policy = DeletionPolicy::Retain)
    }

    fn asking(mut observed: Observed, spec: Value) -> Observed {
        let mut whole = json!({"targetRefs": [{"name": "kratos"}], "requiredAAL": {"settings": "highest_available"}});
        whole.as_object_mut().expect("a map").extend(spec.as_object().cloned().expect("a map"));
        let policy = Arc::make_mut(observed.policy.as_mut().expect("a policy"));
        policy.spec = parse("mfa", &serde_json::from_value(whole).expect("a spec"));
        assert!(policy.spec.is_ok(), "{:?}", policy.spec);
        stand(&mut observed);
        observed
    }

    /// Why the target is not written.
    fn refused(observed: &Observed) -> Option<String> {
        let plan = plan(observed);
        let Step::Refused { reason, message, .. } = &plan.steps[0] else { return None };
        assert_eq!(*reason, crate::api::Reason::InvalidSpec, "{message}");
        assert!(plan.config_map.is_none() && plan.record.is_none(), "nothing is written");
        Some(message.clone())
    }

    /// Why the file is not written; none where it is, or nothing is.
    fn file_refused(observed: &Observed) -> Option<String> {
        let plan = plan(observed);
        let Some(crate::plan::ConfigMapStep::Refused((reason, message))) = plan.config_map else { return None };
        assert_eq!(reason, crate::api::Reason::InvalidSpec, "{message}");
        assert!(plan.record.is_none(), "nothing new goes out");
        Some(message)
    }

    fn names(observed: &Observed, field: &str) {
        let message = refused(observed).expect("it is refused");
        assert!(message.contains(field), "{field} is not in: {message}");
    }

    #[test]
    fn what_was_to_stay_is_not_left_out() {
        assert_eq!(refused(&after(|_| {})), None, "what was to be reverted may go");
        let stays: [fn(&mut Governed); 3] = [
            |memory| memory.deletion_policy = DeletionPolicy::Retain,
            |memory| memory.crd = "of another definition".into(),
            |memory| memory.workload = Some("another one".into()),
        ];
        for memory in stays {
            names(&after(memory), "spec.requiredAAL.whoami");
        }
        let mut unknown = after(|_| {});
        Arc::make_mut(unknown.targets[0].workload.as_mut().expect("a workload")).own.governed = false;
        names(&unknown, "spec.requiredAAL.whoami");
        let stated = asking(retained(), json!({"requiredAAL": {"whoami": "highest_available"}}));
        assert_eq!(refused(&stated), None);
    }

    #[test]
    fn it_stays_where_it_stands() {
        let whole = json!({"requiredAAL": {"whoami": "highest_available"}, "targetRefs": [{"name": "kratos", "container": "courier"}]});
        let mut elsewhere = retained();
        let workload = Arc::make_mut(elsewhere.targets[0].workload.as_mut().expect("a workload"));
        let mut courier = container(&[]);
        courier.name = "courier".into();
        workload.containers.push(courier);
        elsewhere.targets[0].container = Some("courier".into());
        names(&asking(elsewhere, whole), "container");
        let file = json!({"requiredAAL": {"whoami": "highest_available"}, "delivery": {"type": "ConfigFile"}});
        names(&asking(retained(), file), "spec.delivery");
    }

    #[test]
    fn what_the_policy_applied_itself_is_no_leftover() {
        let mut noted = retained();
        let mut newest = record("mfa", 1, "highest_available");
        Arc::make_mut(&mut newest).applied = vec![applied(newest.clone().digest(), Before::Nothing)];
        noted.records = vec![newest];
        assert_eq!(refused(&noted), None);
        let uid = retained().policy.expect("a policy").uid.to_string();
        let remembered = after(move |memory| (memory.deletion_policy, memory.policy) = (DeletionPolicy::Retain, uid));
        assert_eq!(refused(&remembered), None, "its records may be gone");
    }

    /// One that was let go under Retain, and is named again by a policy that demands less by now.
    #[test]
    fn what_the_policy_itself_let_go_is_one() {
        let uid = retained().policy.expect("a policy").uid.to_string();
        let mut again = after(move |memory| (memory.deletion_policy, memory.policy) = (DeletionPolicy::Retain, uid));
        let mut newest = record("mfa", 1, "highest_available");
        let digest = newest.digest().to_owned();
        let data = Arc::make_mut(&mut newest);
        data.applied = vec![applied(&digest, Before::Nothing)];
        data.data.targets[0].name = "another".into();
        again.records = vec![newest];
        names(&again, "spec.requiredAAL.whoami");
    }

    /// A policy whose spec is refused keeps up what it applied, and takes nothing with that.
    #[test]
    fn a_record_takes_no_leftover_either() {
        let mut refusing = retained();
        let mut newest = record("mfa", 1, "aal1");
        Arc::make_mut(&mut newest).data.overlay = crate::server::kratos::Overlay::default();
        refusing.standing.in_force = Some(newest.clone());
        refusing.standing.rejections = vec![Rejection { field: "spec".into(), message: "no".into() }];
        refusing.records = vec![newest];
        names(&refusing, "spec.requiredAAL.whoami");
    }

    /// Whichever workload reads it.
    #[test]
    fn a_file_that_was_left_is_read_before_it_is_written() {
        let mut observed = asking(observed(vec![target(crate::plan::fixtures::workload(1))]), json!({}));
        let memory = Governed { deletion_policy: DeletionPolicy::Retain, policy: "gone".into(), crd: "crd".into(), workload: None };
        let left = ConfigMapView {
            name: "mfa-mfa".into(),
            uid: "map".into(),
            resource_version: "1".into(),
            deleting: false,
            policy_label: Some("gone".into()),
            governed: Some(memory.write().into()),
            own: true,
            content: Some("of another".into()),
            holder: None,
            claimant: false,
            mounted: false,
        };
        observed.config_maps = vec![left];
        assert_eq!(left_file(&observed), Some("mfa-mfa"));
        assert_eq!(file_refused(&observed), None, "nobody reads it");
        let reader = observed.targets[0].workload.as_ref().expect("a workload").id();
        let overlay = Some(record("gone", 1, "highest_available").data.overlay.clone());
        observed.left_file = Some(LeftFile { config_map: "mfa-mfa".into(), overlay, mounted_by: vec![(reader, true)] });
        let message = file_refused(&observed).expect("it is not delivered as a file");
        assert!(message.contains("configMapName"), "{message}");
        let mut file = asking(observed.clone(), json!({"delivery": {"type": "ConfigFile"}}));
        let message = file_refused(&file).expect("a level is left out");
        assert!(message.contains("spec.requiredAAL.whoami"), "{message}");
        let stated = json!({"requiredAAL": {"whoami": "highest_available"}, "delivery": {"type": "ConfigFile"}});
        let stated = asking(observed.clone(), stated);
        assert_eq!(file_refused(&stated), None);
        for (delivered, refused) in [(false, false), (true, true)] {
            let mut shared = stated.clone();
            let mut other = crate::plan::fixtures::workload(1).id();
            other.key.name = "courier".into();
            shared.left_file.as_mut().expect("a file").mounted_by.push((other, delivered));
            assert_eq!(file_refused(&shared).is_some(), refused, "delivered to the other: {delivered}");
        }
        let left = file.left_file.as_mut().expect("a file");
        left.overlay = None;
        let message = file_refused(&file).expect("nobody knows what is in it");
        assert!(message.contains("cannot be read"), "{message}");
        file.targets[0].holder = Some("another".into());
        assert_eq!(file_refused(&file), None, "no target is its own: nothing is written");
        observed.config_maps[0].governed = Some(Governed { deletion_policy: DeletionPolicy::Revert, ..memory.clone() }.write().into());
        assert_eq!(left_file(&observed), None, "it was to be emptied");
        let policy = observed.policy.as_ref().expect("a policy").uid.to_string();
        observed.config_maps[0].governed = Some(Governed { policy, ..memory }.write().into());
        assert_eq!(left_file(&observed), None, "it is its own");
    }
}
