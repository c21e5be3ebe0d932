//! The memory of a policy as the screens show it.

use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::ResourceExt;

use super::view;
use crate::controller::record;
use crate::plan::Applied;
use crate::server::kratos::revision;

/// The records of the policy with this uid, the newest first. What is none is left out.
pub(super) fn revisions(objects: &[ControllerRevision], uid: &str) -> Vec<view::Revision> {
    let read = |object: &ControllerRevision| Some((object.creation_timestamp()?.0.to_string(), record(object)?));
    let mut records: Vec<_> = objects.iter().filter_map(read).filter(|(_, record)| *record.owner_uid == *uid).collect();
    records.sort_by_key(|(_, record)| std::cmp::Reverse(record.revision));
    // Only the newest says what was applied where.
    let applied = records.first().map(|(_, newest)| newest.applied.clone()).unwrap_or_default();
    let named = |is: &dyn Fn(&Applied) -> bool| {
        applied.iter().filter(|applied| is(applied)).map(|applied| format!("{} {}", applied.kind, applied.name)).collect::<Vec<_>>()
    };
    let view = |(created, record): &(String, std::sync::Arc<crate::plan::Record>)| {
        let (settings, whoami) = record.data.overlay.required_levels();
        let on = record.data.overlay.factors().into_iter().filter(crate::policy::Factor::enabled);
        let standing = record.verdict.as_ref().filter(|verdict| !verdict.lifted);
        view::Revision {
            number: record.revision,
            revision: revision(&record.data.overlay, record.data.delivery),
            created: created.clone(),
            delivery: record.data.delivery.as_str().into(),
            settings: settings.map(|level| level.as_str().into()),
            whoami: whoami.map(|level| level.as_str().into()),
            methods: on.map(|factor| factor.name().into()).collect(),
            in_force_on: named(&|applied| applied.record == record.digest() && applied.rolled_out),
            rolling_on: named(&|applied| applied.record == record.digest() && !applied.rolled_out),
            good_on: named(&|applied| applied.good.iter().any(|good| *good == record.digest())),
            failed: standing.map(|verdict| format!("{} {}: {}", verdict.kind, verdict.name, verdict.evidence)),
        }
    };
    records.iter().map(view).collect()
}
