//! When what failed is tried again.

use std::sync::Arc;

use super::*;
use crate::plan::failure::verdict::again;

fn lax_with_keys() -> Value {
    with(
        lax(),
        "methods",
        json!({"webauthn": {"enabled": true, "rp": {"id": "example.com", "displayName": "Example"}}}),
    )
}

#[test]
fn a_verdict_falls_with_whatever_may_have_mended_it() {
    let mut observed = observed(targets(1));
    edit(&mut observed, json!({"requiredAAL": {"whoami": "highest_available"}}));
    settle(&mut observed, ALL_LIVE);
    // Not weaker, so that nothing is tried by itself.
    edit(&mut observed, lax_with_keys());
    const LAX_FAILS: Fate = |desired| whoami(desired) != Some(Level::Aal1);
    settle(&mut observed, LAX_FAILS);
    assert_eq!(told(&observed).0, Reason::RolledBack);
    observed.now += 1_000 * HOUR;
    assert_eq!(plan(&observed).failure.rolled_back().map(|verdict| verdict.weaker), Some(false));
    let falls = |edit: fn(&mut Observed)| {
        let mut edited = observed.clone();
        edit(&mut edited);
        stand(&mut edited);
        let plan = plan(&edited);
        plan.failure.rolled_back().is_none()
            && matches!(plan.targets[0].step, Step::Write { rolls: true, .. })
    };
    assert!(falls(|observed| Arc::make_mut(observed.policy.as_mut().expect("a policy")).generation += 1));
    assert!(falls(
        |observed| Arc::make_mut(observed.policy.as_mut().expect("a policy")).retry = "again".into()
    ));
    assert!(falls(
        |observed| observed.targets[0].content.as_mut().expect("it was read").digest = "mended".into()
    ));
    assert!(!falls(|observed| observed.targets[0].content = None), "what cannot be read is not mended");
    let mut mended = observed.clone();
    Arc::make_mut(mended.policy.as_mut().expect("a policy")).retry = "again".into();
    settle(&mut mended, ALL_LIVE);
    assert_eq!(told(&mended).0, Reason::Ready);
    assert!(
        mended.records.iter().all(|record| record.verdict.is_none()),
        "nothing is held against it any more"
    );
}

#[test]
fn who_wants_it_tried_again_and_again_counts_once_in_five_minutes() {
    let mut observed = observed(targets(1));
    edit(&mut observed, strict());
    settle(&mut observed, ALL_LIVE);
    edit(&mut observed, lax());
    const LAX_FAILS: Fate = |desired| whoami(desired) != Some(Level::Aal1);
    settle(&mut observed, LAX_FAILS);
    let ask = |observed: &mut Observed, word: &str| {
        Arc::make_mut(observed.policy.as_mut().expect("a policy")).retry = word.into()
    };
    let attempts = |observed: &Observed| {
        observed.records.iter().find_map(|record| Some(record.verdict.as_ref()?.attempts))
    };
    ask(&mut observed, "first");
    settle(&mut observed, LAX_FAILS);
    assert_eq!(
        (told(&observed).0, attempts(&observed)),
        (Reason::RolledBack, Some(2)),
        "the first counts at once"
    );
    let begun =
        observed.records.iter().find_map(|record| record.verdict.as_ref()?.asked).expect("it was asked for");
    // By the annotation, and by an edit that asks for the same.
    ask(&mut observed, "second");
    Arc::make_mut(observed.policy.as_mut().expect("a policy")).generation += 1;
    observed.now = begun + 299_999;
    assert!(plan(&observed).failure.rolled_back().is_some(), "five minutes are not over");
    assert!(told(&observed).1.contains("as was asked for"), "{}", told(&observed).1);
    assert_eq!(plan(&observed).again, Some(begun + 300_000));
    observed.now = begun + 300_000;
    settle(&mut observed, LAX_FAILS);
    assert_eq!(attempts(&observed), Some(3), "then it does");
    // What another clock wrote holds nobody up for ever.
    let digest = plan(&observed).digest;
    let index = observed.records.iter().position(|record| record.digest() == digest).expect("its record");
    Arc::make_mut(&mut observed.records[index]).verdict.as_mut().expect("a verdict").asked =
        Some(observed.now + 1_000 * HOUR);
    ask(&mut observed, "third");
    assert!(plan(&observed).failure.rolled_back().is_none());
}

/// However lately it was asked for: the way back that was noted then leads past what is good by now.
#[test]
fn what_fails_once_more_goes_back_to_what_was_good_meanwhile() {
    const LAX_FAILS: Fate = |desired| whoami(desired) != Some(Level::Aal1);
    let mut observed = observed(targets(1));
    edit(&mut observed, lax_with_keys());
    settle(&mut observed, LAX_FAILS);
    Arc::make_mut(observed.policy.as_mut().expect("a policy")).retry = "again".into();
    settle(&mut observed, LAX_FAILS);
    edit(&mut observed, strict());
    let good = settle(&mut observed, LAX_FAILS).digest;
    assert_eq!(told(&observed).0, Reason::Ready);
    edit(&mut observed, lax_with_keys());
    let back = settle(&mut observed, LAX_FAILS);
    assert_eq!((told(&observed).0, &*back.targets[0].goal.digest()), (Reason::RolledBack, &*good));
}

#[test]
fn what_left_the_server_weaker_is_tried_again_with_growing_pauses() {
    let mut observed = observed(targets(1));
    edit(&mut observed, lax());
    settle(&mut observed, STRICT_FAILS);
    edit(&mut observed, strict());
    settle(&mut observed, STRICT_FAILS);
    let mut pauses = Vec::new();
    for _ in 0..4 {
        let verdict = observed.records[0].verdict.clone().expect("a verdict");
        assert!(verdict.weaker);
        let at = again(&verdict).expect("it is tried again");
        pauses.push((at - verdict.since) / 60_000);
        observed.now = at - 1;
        assert!(plan(&observed).failure.rolled_back().is_some());
        observed.now = at;
        assert!(plan(&observed).failure.rolled_back().is_none());
        settle(&mut observed, STRICT_FAILS);
        assert_eq!(told(&observed).0, Reason::RolledBack);
    }
    assert_eq!(pauses, [30, 60, 120, 240]);
}
