//! What is weighed on a target, by the whole decision.

#[path = "../../../../tests/support/order.rs"]
#[allow(clippy::duplicate_mod, reason = "two rooms go by one table")]
#[expect(dead_code, reason = "what the cluster says of a row is asked elsewhere")]
mod table;

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::api::Reason;
use crate::document::Budget;
use crate::model::{Before, ConfigMapView, MountedFile};
use crate::plan::checks::conflicts::refusals;
use crate::plan::plan;
use crate::plan::steps::{ConfigMapStep, Step};
use crate::plan::testing::fixtures::{
    applied as noted, container, governed, observed, record, stand, target, workload,
};
use crate::policy::{DeletionPolicy, parse};

const READABLE: &str = "{}";

fn asking(mut observed: Observed, spec: Value) -> Observed {
    let mut whole =
        json!({"targetRefs": [{"name": "kratos"}], "requiredAAL": {"settings": "highest_available"}});
    whole.as_object_mut().expect("a map").extend(spec.as_object().cloned().expect("a map"));
    let policy = Arc::make_mut(observed.policy.as_mut().expect("a policy"));
    policy.spec = parse("mfa", &serde_json::from_value(whole).expect("a spec"));
    assert!(policy.spec.is_ok(), "{:?}", policy.spec);
    stand(&mut observed);
    observed
}

fn reading(mut observed: Observed, base: &str) -> Observed {
    observed.targets[0].base = Some(Arc::from([Layer::read(base, &mut Budget::default())]));
    observed
}

/// What another policy left with a level at whoami, on a server whose own file demands none.
fn after(memory: impl FnOnce(&mut OwnershipNote)) -> Observed {
    let mut left = governed("gone", &record("gone", 1, "highest_available"));
    let mut remembers = OwnershipNote::read(left.governed.as_deref()).expect("a memory");
    memory(&mut remembers);
    left.governed = Some(remembers.write().into());
    asking(reading(observed(vec![target(left)]), "session: {whoami: {required_aal: aal1}}"), json!({}))
}

fn retained() -> Observed {
    after(|memory| memory.deletion_policy = DeletionPolicy::Retain)
}

/// Why the target is not written.
fn refused(observed: &Observed) -> Option<String> {
    let plan = plan(observed);
    let Step::Refused { reason, message, .. } = &plan.targets[0].step else { return None };
    assert_eq!(*reason, Reason::InvalidSpec, "{message}");
    assert!(plan.config_map.is_none() && plan.record.is_none(), "nothing is written");
    Some(message.clone())
}

fn names(observed: &Observed, words: &str) {
    let message = refused(observed).expect("it is refused");
    assert!(message.contains(words), "{words} is not in: {message}");
}

/// The policy itself had the record with this level in force on the target, whichever workload that was.
fn having(mut observed: Observed, whoami: &str) -> Observed {
    let mut newest = record("mfa", 1, whoami);
    let entry = noted(newest.digest(), Before::Nothing);
    Arc::make_mut(&mut newest).applied = vec![entry];
    observed.records = vec![newest];
    observed
}

#[test]
fn what_was_to_stay_is_not_left_out() {
    assert_eq!(refused(&after(|_| {})), None, "what was to be reverted may go");
    let on = reading(after(|_| {}), "selfservice: {methods: {totp: {enabled: true}}}");
    names(&asking(on, json!({"methods": {"totp": {"enabled": false}}})), "MethodSwitchedOff:totp");
    let stays: [fn(&mut OwnershipNote); 3] = [
        |memory| memory.deletion_policy = DeletionPolicy::Retain,
        |memory| memory.crd = "of another definition".into(),
        |memory| memory.workload = Some("another one".into()),
    ];
    for memory in stays {
        names(&after(memory), "spec.requiredAAL.whoami");
    }
    for level in ["highest_available", "aal1"] {
        let stated =
            asking(retained(), json!({"requiredAAL": {"settings": "highest_available", "whoami": level}}));
        assert_eq!(refused(&stated), None, "{level} was weighed by the cluster");
    }
}

#[test]
fn where_the_files_cannot_be_read_what_is_left_out_may_be_weaker() {
    let mut unread = retained();
    unread.targets[0].base = None;
    names(&unread, "spec.requiredAAL.whoami");
}

#[test]
fn a_first_policy_is_weighed_by_the_servers_own_file() {
    let first = |base: &str, spec: Value| asking(reading(observed(vec![target(workload(1))]), base), spec);
    let on = "selfservice: {methods: {totp: {enabled: true}, webauthn: {enabled: true, config: {rp: {id: a.example, display_name: A}}}}}";
    names(&first(on, json!({"methods": {"totp": {"enabled": false}}})), "MethodSwitchedOff:totp");
    let keys = json!({"webauthn": {"enabled": true, "rp": {"id": "b.example", "displayName": "B"}}});
    names(&first(on, json!({"methods": keys})), "RelyingPartyChanged:b.example");
    let said = json!({"methods": keys, "acknowledge": ["RelyingPartyChanged:b.example"]});
    assert_eq!(refused(&first(on, said)), None);
    assert_eq!(refused(&first(on, json!({"methods": {"totp": {"enabled": true}}}))), None);
    let mut unread = first(on, json!({"methods": keys}));
    unread.targets[0].base = None;
    assert_eq!(refused(&unread), None, "what cannot be read stops nothing");
}

#[test]
fn an_edit_is_refused_as_a_whole_and_what_is_in_force_stays() {
    let newest = record("mfa", 1, "highest_available");
    let mut observed = observed(vec![target(governed("mfa", &newest))]);
    let mut newest = newest.clone();
    let entry = noted(newest.clone().digest(), Before::Nothing);
    Arc::make_mut(&mut newest).applied = vec![entry];
    observed.records = vec![newest];
    let edited = asking(reading(observed, "session: {whoami: {required_aal: aal1}}"), json!({}));
    let rejections = refusals(&edited);
    assert!(rejections.len() == 1 && rejections[0].field == "spec.requiredAAL.whoami", "{rejections:?}");
    assert!(refusals(&reading(edited.clone(), READABLE)).is_empty(), "the server itself demands as much");
    assert_eq!(refused(&edited), None, "it is no matter of one target");
    assert!(is_weighed(&edited));
}

/// Else a server that is made anew would be without its policy for what was acknowledged long ago.
#[test]
fn a_workload_that_is_made_anew_has_what_it_had() {
    let off = json!({"requiredAAL": {"whoami": "highest_available"}});
    let mut anew = having(
        asking(
            reading(observed(vec![target(workload(1))]), "selfservice: {methods: {totp: {enabled: true}}}"),
            off,
        ),
        "highest_available",
    );
    Arc::make_mut(anew.targets[0].workload.as_mut().expect("a workload")).uid = "another".into();
    stand(&mut anew);
    assert_eq!(refused(&anew), None);
    assert!(refusals(&anew).is_empty());
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
}

/// One that was let go under Retain, and is named again by a policy that demands less by now.
#[test]
fn what_the_policy_itself_let_go_is_anybodys() {
    let uid = retained().policy.expect("a policy").uid.to_string();
    let mut again = having(
        after(move |memory| (memory.deletion_policy, memory.policy) = (DeletionPolicy::Retain, uid)),
        "aal1",
    );
    Arc::make_mut(&mut again.records[0]).applied[0].first = None;
    stand(&mut again);
    names(&again, "spec.requiredAAL.whoami");
}

/// A policy whose spec is refused keeps up what it applied, and takes nothing with that.
#[test]
fn a_record_takes_nothing_either() {
    let mut refusing = retained();
    let mut newest = record("mfa", 1, "aal1");
    Arc::make_mut(&mut newest).data.overlay = Overlay::default();
    refusing.standing.in_force = Some(newest.clone());
    refusing.standing.rejections = vec![Rejection { field: "spec".into(), message: "no".into() }];
    refusing.records = vec![newest];
    names(&refusing, "spec.requiredAAL.whoami");
}

#[test]
fn a_file_that_was_left_is_weighed_for_whoever_reads_it() {
    let mut observed = asking(reading(observed(vec![target(workload(1))]), READABLE), json!({}));
    let memory = OwnershipNote {
        deletion_policy: DeletionPolicy::Retain,
        policy: "gone".into(),
        crd: "crd".into(),
        workload: None,
    };
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
    let overlay = record("gone", 1, "highest_available").data.overlay.clone();
    let file =
        |by_others| Some(LeftFile { config_map: "mfa-mfa".into(), overlay: overlay.clone(), by_others });
    let refused_file = |observed: &Observed| match plan(observed).config_map {
        Some(ConfigMapStep::Refused((reason, message))) => {
            assert_eq!(reason, Reason::InvalidSpec, "{message}");
            Some(message)
        }
        _ => None,
    };
    assert_eq!(refused_file(&observed), None, "nobody reads it");
    observed.left_file = file(true);
    let message = refused_file(&observed).expect("others read it");
    assert!(message.contains("spec.requiredAAL.whoami") && message.contains("configMapName"), "{message}");
    let stated = asking(observed.clone(), json!({"requiredAAL": {"whoami": "highest_available"}}));
    assert_eq!(refused_file(&stated), None, "it says as much");
    observed.left_file = file(false);
    assert_eq!(refused_file(&observed), None, "who does not read it loses nothing");
    let server = Arc::make_mut(observed.targets[0].workload.as_mut().expect("a workload"));
    server.containers[0].files =
        vec![Some(MountedFile { config_map: "mfa-mfa".into(), key: "kratos.yaml".into(), reloads: true })]
            .into();
    let lowered = reading(observed.clone(), "session: {whoami: {required_aal: aal1}}");
    names(&lowered, "spec.requiredAAL.whoami");
    observed.left_file = file(true);
    observed.config_maps[0].governed =
        Some(OwnershipNote { deletion_policy: DeletionPolicy::Revert, ..memory }.write().into());
    assert_eq!(refused_file(&observed), None, "it was to be emptied");
}

/// What stands on the target before the policy of a row comes to it: its own, another one's, or the server's
/// own file.
#[derive(Clone, Copy, Debug)]
enum Had {
    Itself,
    Another,
    Nobody,
}

/// The policy with what a row asks for, on what was there.
fn put(row: &table::Row, had: Had, acknowledged: &[&str]) -> Observed {
    let overlay = |part| {
        Overlay::of(
            &parse("mfa", &serde_json::from_value(row.spec(part)).expect("a spec")).expect("it is valid"),
        )
    };
    let old = overlay(&row.old);
    let mut left = record("gone", 1, "highest_available");
    Arc::make_mut(&mut left).data.overlay = old.clone();
    let server = match had {
        Had::Itself => governed("mfa", &left),
        Had::Another => {
            let mut server = governed("gone", &left);
            let mut memory = OwnershipNote::read(server.governed.as_deref()).expect("a memory");
            memory.deletion_policy = DeletionPolicy::Retain;
            server.governed = Some(memory.write().into());
            server
        }
        Had::Nobody => workload(1),
    };
    let mut observed = observed(vec![target(server)]);
    if let Had::Itself = had {
        let entry = noted(left.clone().digest(), Before::Nothing);
        Arc::make_mut(&mut left).applied = vec![entry];
        observed.records = vec![left];
    }
    let own = match &row.file {
        Some(Value::String(_)) => None,
        Some(part) => {
            Some(vec![Layer::known(overlay(part.as_object().expect("a part of a spec")).document())])
        }
        None => Some(Vec::new()),
    };
    let below = matches!(had, Had::Nobody).then(|| Layer::known(old.document()));
    observed.targets[0].base = own.map(|files| files.into_iter().chain(below).collect());
    let mut spec = row.new.clone();
    // What other rules than the order say is not asked here.
    let words: Vec<_> = acknowledged.iter().copied().chain(["CodeCountsForEveryone"]).collect();
    spec.insert("acknowledge".into(), json!(words));
    asking(observed, Value::Object(spec))
}

/// Why it does not get there: as an edit, or on that target.
fn told_of(observed: &Observed) -> String {
    let rejections = observed.standing.rejections.iter().cloned().chain(refusals(observed));
    let edit: Vec<_> = rejections.map(|rejection| rejection.to_string()).collect();
    edit.into_iter().chain(refused(observed)).collect()
}

#[test]
fn every_row_is_decided_as_told_whoever_had_it_before() {
    for row in table::rows() {
        for (had, said) in [Had::Itself, Had::Another, Had::Nobody].into_iter().zip(row.operator.says()) {
            let told = told_of(&put(&row, had, &[]));
            match said {
                "passes" => assert_eq!(told, "", "{row:?}, {had:?}"),
                "state" => assert!(told.contains(rules::NOT_STATED), "{row:?}, {had:?}: {told}"),
                word => {
                    assert!(told.contains(word), "{row:?}, {had:?}: {told}");
                    assert_eq!(told_of(&put(&row, had, &[word])), "", "{row:?}, {had:?}: its word suffices");
                }
            }
        }
    }
}
