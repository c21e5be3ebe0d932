//! The memory of a policy as the screens show it.

use k8s_openapi::jiff::Timestamp;

use crate::cli::kubectl::view;
use crate::controller::Recorded;
use crate::model::Applied;
use crate::server::kratos::revision;

/// The records of the policy with this uid, the newest first.
pub fn revisions(mut records: Vec<Recorded>, uid: &str) -> Vec<view::Revision> {
    records.retain(|recorded| *recorded.record.owner_uid == *uid);
    records.sort_by_key(|recorded| std::cmp::Reverse(recorded.record.revision));
    // Only the newest says what was applied where.
    let applied = records.first().map(|newest| newest.record.applied.clone()).unwrap_or_default();
    let named = |is: &dyn Fn(&Applied) -> bool| {
        applied
            .iter()
            .filter(|applied| is(applied))
            .map(|applied| format!("{} {}", applied.kind, applied.name))
            .collect::<Vec<_>>()
    };
    let view = |Recorded { created, record }: &Recorded| {
        let (settings, whoami) = record.data.overlay.required_levels();
        let on = record.data.overlay.factors().into_iter().filter(crate::policy::Factor::enabled);
        let standing = record.verdict.as_ref().filter(|verdict| !verdict.lifted);
        view::Revision {
            number: record.revision,
            revision: revision(&record.data.overlay, record.data.delivery),
            created: Timestamp::from_second(*created).map(|at| at.to_string()).unwrap_or_default(),
            delivery: record.data.delivery.as_str().into(),
            settings: settings.map(|level| level.as_str().into()),
            whoami: whoami.map(|level| level.as_str().into()),
            methods: on.map(|factor| factor.name().into()).collect(),
            in_force_on: named(&|applied| applied.record == record.digest() && applied.rolled_out),
            rolling_on: named(&|applied| applied.record == record.digest() && !applied.rolled_out),
            good_on: named(&|applied| applied.good.iter().any(|good| *good == record.digest())),
            failed: standing
                .map(|verdict| format!("{} {}: {}", verdict.kind, verdict.name, verdict.evidence)),
        }
    };
    records.iter().map(view).collect()
}
