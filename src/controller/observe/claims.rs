//! Which policies would have a workload, out of the caches: who of them holds it is decided in the pure core.

use std::sync::Arc;

use crate::controller::context::Context;
use crate::controller::observe::records;
use crate::controller::store::Tables;
use crate::controller::store::held::Named;
use crate::model::{Key, PolicyObject, Workload};
use crate::plan::{Candidate, Claim, claim};
use crate::server::kratos::Overlay;

/// Finds the policy that holds the workload.
pub fn by(
    context: &Context,
    tables: &Tables,
    workload: &Workload,
    probe_cache: Option<&PolicyObject>,
) -> Option<Claim> {
    let mut naming = tables.policies.found_by(&Named::Workload(workload.id()));
    // The index knows what is named now. A policy keeps what it has until a look has accepted that it names
    // it no more: one whose spec is refused, or that is suspended, gives up nothing.
    let keeps = |policy: &Arc<PolicyObject>| {
        policy.spec.is_err() || policy.suspend || !context.memory.has_let_go(&policy.uid, policy.generation)
    };
    let governor = workload.governor().and_then(|name| tables.policies.get(&workload.key.beside(name)));
    naming.extend(governor.filter(keeps));
    naming.extend(probe_cache.and_then(|probe_cache| tables.policies.get(&probe_cache.key)));
    naming.sort_by(|a, b| a.key.cmp(&b.key));
    naming.dedup_by(|a, b| a.key == b.key);
    // One without a spec that can be read asks for nothing that is known.
    let candidate = |key: &Key, uid: &str, policy: Option<&PolicyObject>| {
        let records = records::records(tables, key, uid);
        let noted = || records.first().into_iter().flat_map(|newest| &newest.applied);
        let applied = noted().any(|applied| applied.uid == *workload.uid && !applied.record.is_empty())
            // What a note says that cannot be read is not known: it may be this.
            || records.iter().any(|record| record.unread.is_some()) && workload.governor() == Some(&key.name);
        let first = noted()
            .filter(|applied| applied.is_of(workload.kind, &workload.key.name))
            .find_map(|applied| applied.first);
        let governs = applied || workload.governor() == Some(&key.name);
        // One that is being deleted keeps what it has, one that holds still, or cannot be read, also what it
        // had: they gain nothing.
        let (keeps, gains) =
            policy.map_or((true, false), |policy| (!policy.deleting, !policy.deleting && !policy.suspend));
        let stays = governs || (keeps && first.is_some()) || gains;
        let settings =
            policy.and_then(|policy| policy.spec.as_ref().ok()).map(Overlay::of).unwrap_or_default();
        let created = policy.map_or(i64::MAX, |policy| policy.created);
        stays.then(|| Candidate { name: key.name.clone(), created, applied, first, settings })
    };
    let mut candidates: Vec<_> =
        naming.iter().filter_map(|policy| candidate(&policy.key, &policy.uid, Some(policy))).collect();
    let unreadable =
        tables.policies.all_unreadable().filter(|(key, _)| key.namespace == workload.key.namespace);
    candidates.extend(unreadable.filter_map(|(key, found)| candidate(key, &found.uid, None)));
    let label = workload.policy_label.as_ref().map(|name| workload.key.beside(name));
    let pauses = |key: &Key| context.memory.claim_pause(key).is_some();
    let label_pauses = label.is_some_and(|key| !tables.policies.is_there(&key) && pauses(&key));
    claim(workload, &candidates, label_pauses)
}
