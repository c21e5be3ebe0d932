//! Who holds a workload, case by case.

use super::*;
use crate::document::Document;
use crate::plan::testing::fixtures::workload;
use crate::policy::{DeletionPolicy, parse};

fn candidate(name: &str, created: i64, applied: bool) -> Candidate {
    Candidate { name: name.into(), created, applied, first: None, settings: Overlay::default() }
}

fn asking(spec: &str) -> Overlay {
    let spec = format!("{{targetRefs: [{{name: kratos}}], {spec}}}");
    let spec = Document::parse(&spec).expect("YAML").typed().expect("a spec");
    Overlay::of(&parse("mfa", &spec).expect("it is valid"))
}

/// One that nothing was applied to, which asks for this.
fn wanting(name: &str, created: i64, spec: &str) -> Candidate {
    Candidate { settings: asking(spec), ..candidate(name, created, false) }
}

/// One that has kept the name since then.
fn keeping(name: &str, created: i64, first: Millis) -> Candidate {
    Candidate { first: Some(first), ..candidate(name, created, false) }
}

fn labelled(policy: &str, own: bool) -> Workload {
    let mut workload = workload(1);
    workload.policy_label = Some(policy.into());
    workload.own.policy_label = own;
    workload
}

/// With the label and the memory of the workload that it was made after.
fn copied(policy: &str) -> Workload {
    let mut copy = labelled(policy, true);
    let workload = Some("the one before".into());
    let memory = OwnershipNote {
        deletion_policy: DeletionPolicy::Retain,
        policy: "uid".into(),
        crd: "crd".into(),
        workload,
    };
    copy.governed = Some(memory.write().into());
    copy.own.governed = true;
    copy
}

fn holder(workload: &Workload, candidates: &[Candidate], label_pauses: bool) -> Option<SmolStr> {
    claim(workload, candidates, label_pauses).map(|claim| claim.holder)
}

const SPECS: [&str; 5] = [
    "requiredAAL: {whoami: aal1}",
    "requiredAAL: {whoami: highest_available}",
    "requiredAAL: {settings: highest_available, whoami: highest_available}",
    "requiredAAL: {whoami: highest_available}, privilegedSessionMaxAge: 5m",
    "requiredAAL: {whoami: highest_available}, privilegedSessionMaxAge: 10m",
];

proptest::proptest! {
    /// Somebody gets it where anybody wants it, whatever the order in which they are found, and one that is
    /// younger, asks for no more and has kept nothing changes nothing. Nobody loses it to age who is
    /// stricter.
    #[test]
    fn it_is_total_order_free_and_stable(
        claims in proptest::collection::vec((0..4_i64, proptest::bool::weighted(0.1), proptest::option::weighted(0.2, 0..3_i64), 0..SPECS.len()), 1..6),
        label in proptest::option::of(0..7_usize),
        (own, pauses) in (proptest::bool::ANY, proptest::bool::weighted(0.2)),
        turn in 0..6_usize,
    ) {
        let named = |(index, (created, applied, first, spec)): (usize, &(i64, bool, Option<i64>, usize))| Candidate {
            name: format!("policy-{index}").into(),
            created: *created,
            applied: *applied,
            first: *first,
            settings: asking(SPECS[*spec]),
        };
        let mut candidates: Vec<_> = claims.iter().enumerate().map(named).collect();
        let mut workload = workload(1);
        workload.policy_label = label.map(|index| format!("policy-{index}").into());
        workload.own.policy_label = own;
        let found = claim(&workload, &candidates, pauses);
        proptest::prop_assert!(found.is_some());
        let count = candidates.len();
        candidates.rotate_left(turn % count);
        proptest::prop_assert_eq!(&claim(&workload, &candidates, pauses), &found);
        let holder = found.map(|claim| claim.holder);
        let is_free = |candidate: &Candidate| !candidate.applied && candidate.first.is_none();
        if candidates.iter().all(is_free) && !(own && workload.policy_label.is_some()) {
            let own = candidates.iter().find(|candidate| Some(&candidate.name) == holder.as_ref()).expect("one of them");
            proptest::prop_assert!(candidates.iter().all(|other| !stricter(other, own)));
        }
        candidates.push(wanting("younger", 9, "requiredAAL: {settings: aal1, whoami: aal1}"));
        proptest::prop_assert_eq!(&claim(&workload, &candidates, pauses).map(|claim| claim.holder), &holder);
    }
}

#[test]
fn the_one_that_applied_holds_it_however_young() {
    let candidates = [candidate("old", 1, false), candidate("young", 2, true), keeping("kept", 0, 1)];
    assert_eq!(holder(&workload(1), &candidates, false).as_deref(), Some("young"));
}

#[test]
fn of_two_that_applied_the_label_tells_the_last() {
    let candidates = [candidate("a", 1, true), candidate("b", 2, true)];
    assert_eq!(holder(&labelled("b", true), &candidates, false).as_deref(), Some("b"));
    assert_eq!(
        holder(&labelled("b", false), &candidates, false).as_deref(),
        Some("a"),
        "a label of somebody else's says nothing"
    );
}

#[test]
fn a_label_holds_for_a_policy_that_names_it_or_pauses() {
    let others = [keeping("other", 1, 1)];
    assert_eq!(holder(&labelled("gone", true), &others, true).as_deref(), Some("gone"));
    assert_eq!(holder(&labelled("gone", true), &others, false).as_deref(), Some("other"));
    let both = [keeping("other", 1, 1), candidate("named", 2, false)];
    assert_eq!(holder(&labelled("named", true), &both, false).as_deref(), Some("named"));
}

#[test]
fn what_was_made_after_another_has_its_label_for_nothing() {
    let both = [candidate("other", 1, false), candidate("named", 2, false)];
    assert_eq!(holder(&copied("named"), &both, false).as_deref(), Some("other"));
    assert_eq!(
        holder(&copied("gone"), &both, true).as_deref(),
        Some("gone"),
        "its policy may be restored after it"
    );
    let mut told = copied("named");
    told.own.governed = false;
    assert_eq!(
        holder(&told, &both, false).as_deref(),
        Some("named"),
        "what somebody else wrote takes it from nobody"
    );
}

#[test]
fn one_made_anew_goes_to_whom_it_had_first() {
    let stricter = wanting("stricter", 0, SPECS[2]);
    let candidates = [stricter, keeping("second", 1, 20), keeping("first", 3, 10), keeping("same", 4, 10)];
    for workload in [workload(1), copied("second")] {
        let claim = claim(&workload, &candidates, false).expect("somebody holds it");
        assert_eq!((&*claim.holder, claim.over), ("first", None));
    }
}

#[test]
fn where_nobody_had_it_the_stricter_gets_it() {
    // The older comes first; whether the younger gets it, and whether that was told to be decided by age.
    let rows = [
        ("requiredAAL: {whoami: aal1}", "requiredAAL: {whoami: highest_available}", true, false),
        ("requiredAAL: {whoami: highest_available}", "requiredAAL: {whoami: aal1}", false, false),
        // What is left out may be anything but more than the most.
        ("requiredAAL: {whoami: highest_available}", SPECS[2], true, false),
        (SPECS[4], SPECS[3], true, false),
        (SPECS[3], SPECS[4], false, false),
        (SPECS[0], "requiredAAL: {whoami: aal1}, methods: {totp: {enabled: true}}", true, false),
        (
            SPECS[1],
            "requiredAAL: {whoami: highest_available}, methods: {totp: {enabled: true, issuer: A}}",
            true,
            false,
        ),
        // Neither: the same, one more here and one there, or an age that the server may have shorter by
        // itself.
        (SPECS[1], SPECS[1], false, true),
        ("requiredAAL: {whoami: highest_available}, methods: {totp: {enabled: true}}", SPECS[2], false, true),
        (SPECS[3], SPECS[2], false, true),
        (SPECS[1], SPECS[3], false, true),
    ];
    for (older, younger, goes_to_younger, by_age) in rows {
        let candidates = [wanting("b-older", 1, older), wanting("a-younger", 2, younger)];
        let claim = claim(&workload(1), &candidates, false).expect("somebody holds it");
        let (holder, other) =
            if goes_to_younger { ("a-younger", "b-older") } else { ("b-older", "a-younger") };
        assert_eq!(
            (&*claim.holder, claim.over.as_deref()),
            (holder, by_age.then_some(other)),
            "{older} or {younger}"
        );
    }
}

#[test]
fn else_the_oldest_then_the_first_by_name() {
    let candidates = [candidate("b", 1, false), candidate("a", 1, false), candidate("0", 2, false)];
    let over = Some("b".into());
    assert_eq!(claim(&workload(1), &candidates, false), Some(Claim { holder: "a".into(), over }));
    assert_eq!(
        claim(&workload(1), &candidates[..1], false),
        Some(Claim { holder: "b".into(), over: None }),
        "nobody else wants it"
    );
    assert_eq!(holder(&workload(1), &[], false), None);
}
