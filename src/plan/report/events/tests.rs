//! What is news of a status, and what is not.

use super::*;
use crate::model::{LastCondition, LastStatus};
use crate::plan::testing::fixtures;

/// A status that says these things of its conditions: (type, status, reason, message).
fn status(revision: &str, conditions: &[(ConditionType, &str, Reason, &str)]) -> MfaPolicyStatus {
    let condition = |(type_, status, reason, message): &(ConditionType, &str, Reason, &str)| Condition {
        type_: type_.as_str().into(),
        status: (*status).into(),
        reason: reason.as_str().into(),
        message: (*message).into(),
        ..Condition::default()
    };
    MfaPolicyStatus {
        revision: Some(revision.into()),
        conditions: conditions.iter().map(condition).collect(),
        ..MfaPolicyStatus::default()
    }
}

fn ready(revision: &str) -> MfaPolicyStatus {
    let all = [
        (ConditionType::Accepted, "True", Reason::Accepted, "in order"),
        (ConditionType::RolledOut, "True", Reason::RolledOut, "every pod"),
        (ConditionType::Ready, "True", Reason::Ready, "every pod"),
    ];
    status(revision, &all)
}

fn refused(message: &str) -> MfaPolicyStatus {
    let all = [
        (ConditionType::Accepted, "False", Reason::InvalidSpec, message),
        (ConditionType::RolledOut, "False", Reason::Progressing, "the last accepted policy"),
        (ConditionType::Ready, "False", Reason::InvalidSpec, message),
    ];
    status("mfa-1", &all)
}

/// A policy of this generation whose status said this of the generation before.
fn after(generation: i64, last: &MfaPolicyStatus) -> PolicyObject {
    let find =
        |type_: ConditionType| last.conditions.iter().find(|condition| condition.type_ == type_.as_str());
    let kept = |condition: &Condition| LastCondition {
        type_: ConditionType::from_word(&condition.type_).expect("one of ours"),
        status: if condition.status == "True" { "True" } else { "False" },
        since: k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
    };
    let digest =
        |condition: Option<&Condition>| condition.map_or(0, |condition| message_digest(&condition.message));
    let status = LastStatus {
        running: None,
        digest: 1,
        conditions: last.conditions.iter().map(kept).collect(),
        reason: find(ConditionType::Ready).map(|ready| ready.reason.as_str().into()).unwrap_or_default(),
        generation: generation - 1,
        revision: last.revision.as_deref().map(Into::into),
        message: digest(find(ConditionType::Ready)),
        overridden: digest(find(ConditionType::Overridden)),
        transitions: Box::default(),
    };
    PolicyObject { generation, status, ..fixtures::policy("mfa") }
}

fn told(policy: &PolicyObject, next: &MfaPolicyStatus, reason: Reason) -> Vec<&'static str> {
    news(policy, &Plan::default(), next, reason).notices.iter().map(|notice| notice.reason.as_str()).collect()
}

#[test]
fn what_stays_is_not_told_again() {
    assert_eq!(told(&after(2, &ready("mfa-1")), &ready("mfa-1"), Reason::Ready), [""; 0]);
    let same = PolicyObject { generation: 1, ..after(2, &refused("no such word")) };
    assert_eq!(
        told(&same, &refused("another word of the cluster"), Reason::InvalidSpec),
        [""; 0],
        "nobody edited it"
    );
    assert_eq!(
        told(&after(2, &refused("no")), &refused("no"), Reason::InvalidSpec),
        [""; 0],
        "edited elsewhere"
    );
}

#[test]
fn what_begins_and_ends_is_told() {
    assert_eq!(
        told(&after(2, &MfaPolicyStatus::default()), &ready("mfa-1"), Reason::Ready),
        ["RolledOut", "Ready"]
    );
    assert_eq!(
        told(&after(2, &ready("mfa-1")), &ready("mfa-2"), Reason::Ready),
        ["RolledOut"],
        "a roll that was over at once"
    );
    assert_eq!(told(&after(2, &ready("mfa-1")), &refused("no"), Reason::InvalidSpec), ["InvalidSpec"]);
    assert_eq!(
        told(&after(3, &refused("no")), &refused("not that either"), Reason::InvalidSpec),
        ["InvalidSpec"]
    );
    assert_eq!(told(&after(3, &refused("no")), &ready("mfa-1"), Reason::Ready), ["Ready"], "no roll ended");
}

#[test]
fn each_override_is_told_and_none_twice() {
    let overridden = |message: &str| {
        let mut status = ready("mfa-1");
        status.conditions.retain(|condition| condition.type_ != "Ready");
        let more = [
            (ConditionType::Overridden, "True", Reason::Overridden, message),
            (ConditionType::Ready, "False", Reason::Overridden, message),
        ];
        status.conditions.extend(self::status("", &more).conditions);
        status
    };
    let begins = told(&after(2, &ready("mfa-1")), &overridden("SESSION"), Reason::Overridden);
    assert_eq!(begins, ["Overridden"]);
    assert_eq!(told(&after(2, &overridden("SESSION")), &overridden("SESSION"), Reason::Overridden), [""; 0]);
    assert_eq!(
        told(&after(2, &overridden("SESSION")), &overridden("SESSION; session"), Reason::Overridden),
        ["Overridden"]
    );
}

#[test]
fn a_level_that_falls_is_a_warning() {
    let aal = |settings: &str, whoami: &str| RunningAal { settings: settings.into(), whoami: whoami.into() };
    let change = |from, to| {
        level_changed(&Transition {
            from,
            to,
            cause: "Policy".into(),
            manager: Some("helm".into()),
            ..Transition::default()
        })
    };
    let up = change(aal("Unknown", "aal1"), aal("aal1", "highest_available"));
    assert!(!up.warning);
    let expected = "what the pods demand changed: settings from Unknown to aal1, whoami from aal1 to highest_available (cause: Policy, spec last set by helm)";
    assert_eq!(up.message, expected);
    let mixed = change(aal("aal1", "highest_available"), aal("highest_available", "aal1"));
    assert!(mixed.warning, "one of the two fell");
}
