//! Cases of `lint`.

use super::*;

const HEAD: &str =
    "apiVersion: mfa-operator.dev/v1alpha1\nkind: MfaPolicy\nmetadata: {name: kratos}\nspec:\n";

fn findings(spec: &str) -> Vec<(usize, usize, String, String)> {
    let review = review(&format!("{HEAD}{spec}"), Server::default());
    review
        .findings
        .into_iter()
        .map(|found| (found.place.line, found.place.column, found.field, found.message))
        .collect()
}

#[test]
fn a_sound_policy_is_found_beside_other_kinds_and_in_lists() {
    let policy = "{apiVersion: mfa-operator.dev/v1alpha1, kind: MfaPolicy, metadata: {name: kratos}, spec: {targetRefs: [{name: kratos}], requiredAAL: {whoami: aal1}}}";
    let text =
        format!("kind: Service\n---\n{policy}\n---\nkind: List\nitems: [{policy}, {{kind: Secret}}]\n---\n");
    let review = review(&text, Server::default());
    assert_eq!(review.findings, []);
    assert!(review.policies.len() == 2 && review.policies.iter().all(|found| found.policy.is_some()));
}

#[test]
fn each_fault_has_its_place_and_its_field() {
    let found =
        findings("  targetRefs:\n    - name: kratos\n      cotainer: x\n  requiredAAL:\n    whoami: aal2\n");
    assert_eq!((found[0].0, found[0].1, &*found[0].2), (7, 7, "spec.targetRefs[0].cotainer"));
    assert!(found[0].3.contains("kubectl explain mfapolicy.spec.targetRefs"), "{}", found[0].3);
    assert_eq!((found[1].0, found[1].1, &*found[1].2), (9, 5, "spec.requiredAAL.whoami"));
    assert!(found[1].3.contains("highest_available"), "{}", found[1].3);
}

#[test]
fn a_value_of_another_type_is_named_and_not_repeated() {
    let found = findings(
        "  targetRefs: [{name: kratos}]\n  requiredAAL: {whoami: aal1}\n  methods: {totp: {enabled: true, issuer: 1_000}}\n",
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0, &*found[0].2), (7, "spec.methods.totp.issuer"));
    assert!(
        found[0].3.contains("a string") && found[0].3.contains("quotes") && !found[0].3.contains("1000"),
        "{}",
        found[0].3
    );
    let missing = findings("  targetRefs: [{container: x}]\n  requiredAAL: {whoami: aal1}\n");
    assert_eq!(&*missing[0].2, "spec.targetRefs[0]");
    assert!(missing[0].3.contains("name is missing"), "{}", missing[0].3);
}

#[test]
fn nulls_and_empty_lists_are_as_if_left_out() {
    assert_eq!(
        findings(
            "  targetRefs: [{name: kratos}]\n  requiredAAL: {whoami: aal1}\n  acknowledge: []\n  methods: null\n"
        ),
        []
    );
}
