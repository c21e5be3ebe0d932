//! Which records are written, and which are kept.

use smol_str::SmolStr;

use crate::model::{Applied, PolicyObject, Record};
use crate::plan::desired::wanted::Wanted;
use crate::plan::input::Observed;
use crate::plan::steps::RecordStep;

pub fn record_step(observed: &Observed, policy: &PolicyObject, wanted: &Wanted<'_>) -> Option<RecordStep> {
    // The garbage collector takes the records of a policy that is being deleted.
    if policy.deleting {
        return None;
    }
    let highest = observed
        .records
        .iter()
        .filter(|record| record.is_plausible())
        .map(|record| record.revision)
        .max()
        .unwrap_or_default();
    match observed.records.iter().position(|record| record.digest() == wanted.digest) {
        Some(0) => None,
        Some(older) => {
            Some(RecordStep::Renew { name: observed.records[older].name.clone(), revision: highest + 1 })
        }
        None => Some(RecordStep::Create { revision: highest + 1 }),
    }
}

/// The limit never touches what is current, or applied somewhere.
pub fn prune(observed: &Observed, policy: &PolicyObject, current: &str, changes: bool) -> Vec<SmolStr> {
    let Ok(limits) = &policy.spec else { return Vec::new() };
    let applied = observed.records.first().map(|newest| newest.applied.as_slice()).unwrap_or_default();
    let back = |record: &Record, digest: &str| {
        record.verdict.iter().flat_map(|verdict| &verdict.back).any(|back| back.record == digest)
    };
    // What stands where nothing was written yet is of before all revisions.
    let unwritten = applied.iter().any(|applied| applied.record.is_empty());
    let needed = |record: &Record| {
        let digest = record.digest();
        let used = |applied: &Applied| {
            applied.record == digest || applied.good.first().is_some_and(|good| good == digest)
        };
        digest == current
            || (unwritten && record.revision == 0)
            || applied.iter().any(used)
            || observed.records.iter().any(|record| record.digest() == current && back(record, digest))
    };
    if changes {
        // The annotation moves first; the next look finds what it no longer needs.
        return Vec::new();
    }
    let (plausible, others): (Vec<_>, Vec<_>) =
        observed.records.iter().filter(|record| !needed(record)).partition(|record| record.is_plausible());
    // What a target would go back to should the current one fail is one of those that are kept, and kept even
    // if none is.
    let before = |record: &Record| {
        applied.iter().any(|applied| {
            applied.good.iter().find(|good| **good != current).is_some_and(|good| *good == record.digest())
        })
    };
    let plausible = plausible.into_iter().skip(limits.history_limit).filter(|record| !before(record));
    plausible.chain(others).map(|record| record.name.clone()).collect()
}
