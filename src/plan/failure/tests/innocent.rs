//! What keeps no server from starting is never taken back.

use std::sync::Arc;

use smol_str::SmolStr;

use super::*;
use crate::model::{Back, Evidence};

const NONE_LIVES: Fate = |_| false;

#[test]
fn what_keeps_no_server_from_starting_is_never_taken_back() {
    let stated = || json!({"requiredAAL": {"whoami": "aal1"}});
    let innocent = [
        json!({"requiredAAL": {"whoami": "highest_available"}}),
        with(stated(), "requiredAAL", json!({"whoami": "aal1", "settings": "highest_available"})),
        with(stated(), "privilegedSessionMaxAge", json!("5m")),
        with(stated(), "methods", json!({"totp": {"enabled": true, "issuer": "Example"}})),
        with(stated(), "methods", json!({"lookupSecret": {"enabled": true}, "totp": {"enabled": true}})),
    ];
    for spec in innocent {
        let mut observed = observed(targets(2));
        edit(&mut observed, stated());
        settle(&mut observed, ALL_LIVE);
        edit(&mut observed, spec.clone());
        settle(&mut observed, NONE_LIVES);
        let (reason, message, status) = told(&observed);
        assert_eq!(reason, Reason::Waiting, "{spec}: {message}");
        assert!(
            message.contains("keeps no server from starting") && message.contains("kubectl logs"),
            "{message}"
        );
        assert_eq!(status.targets[0].revision, status.revision, "{spec}: it stays");
        assert!(observed.records.iter().all(|record| record.verdict.is_none()), "{spec}");
        // It is in force when that ends.
        settle(&mut observed, ALL_LIVE);
        assert_eq!(told(&observed).0, Reason::Ready);
    }
}

#[test]
fn nor_is_the_first_policy_that_states_no_more_than_that() {
    let mut observed = observed(targets(1));
    edit(
        &mut observed,
        json!({"requiredAAL": {"whoami": "highest_available"}, "methods": {"totp": {"enabled": true}}}),
    );
    settle(&mut observed, NONE_LIVES);
    assert_eq!(told(&observed).0, Reason::Waiting, "{}", told(&observed).1);
}

/// What is compared is what was good, not what was asked for a moment ago.
#[test]
fn a_level_raised_over_what_fails_already_goes_back_with_it() {
    let mut observed = observed(targets(1));
    edit(&mut observed, lax());
    settle(&mut observed, ALL_LIVE);
    let good = revisions(&observed);
    edit(&mut observed, with(strict(), "requiredAAL", json!({"whoami": "aal1"})));
    let decided = plan(&observed);
    crate::plan::testing::simulation::act(&mut observed, &decided);
    edit(&mut observed, strict());
    settle(&mut observed, |desired| desired.rendered.overlay.risky() == Default::default());
    assert_eq!((told(&observed).0, revisions(&observed)), (Reason::RolledBack, good));
}

/// Whoever may write where verdicts are noted has no such level taken back by one.
#[test]
fn a_forged_verdict_over_that_is_not_believed() {
    let mut observed = observed(targets(1));
    edit(&mut observed, lax());
    settle(&mut observed, ALL_LIVE);
    let weak = observed.records[0].digest().to_owned();
    edit(&mut observed, json!({"requiredAAL": {"whoami": "highest_available"}}));
    settle(&mut observed, ALL_LIVE);
    let forged = FailedRevision {
        since: observed.now,
        generation: observed.policy.as_ref().expect("a policy").generation,
        retry: SmolStr::default(),
        content: SmolStr::default(),
        attempts: 1,
        weaker: false,
        lifted: false,
        asked: None,
        kind: "Deployment".into(),
        name: "kratos-0".into(),
        evidence: Evidence {
            pod: "x".into(),
            container: "kratos".into(),
            reason: "x".into(),
            exit_code: None,
        },
        back: vec![Back { kind: "Deployment".into(), name: "kratos-0".into(), record: weak.into() }],
    };
    Arc::make_mut(&mut observed.records[0]).verdict = Some(forged);
    let decided = plan(&observed);
    assert!(
        decided.failure.rolled_back().is_none()
            && !decided.steps().any(|step| matches!(step, Step::Write { .. }))
    );
}
