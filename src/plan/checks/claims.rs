//! One policy per workload: who holds it.

#[cfg(test)]
mod tests;

use smol_str::SmolStr;

use crate::model::{ConfigMapView, Millis, OwnershipNote, PolicyObject, Workload};
use crate::server::kratos::{Overlay, is_stricter};

/// A policy that may hold a workload.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub name: SmolStr,
    /// Seconds since the Unix epoch.
    pub created: i64,
    /// A record says that it applied to this very workload.
    pub applied: bool,
    /// Since when it has kept the workload of this kind and name, whatever its uid, by its records.
    pub first: Option<Millis>,
    /// What it asks for.
    pub settings: Overlay,
}

/// Who holds a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub holder: SmolStr,
    /// Another one that would have it as well: neither had it before, and neither is stricter.
    pub over: Option<SmolStr>,
}

/// The policy that holds `workload` among those that would have it: the one that governs this very object, by
/// its records or, where they say nothing, by the label; else the one that has kept that name the longest;
/// else the stricter, whatever the server's own files say; else the older, then the first by name. A policy
/// that is gone keeps its workload while `label_pauses`, so that one that is recreated finds it as it was.
#[must_use]
pub fn claim(workload: &Workload, candidates: &[Candidate], label_pauses: bool) -> Option<Claim> {
    let alone = |holder: &SmolStr| Some(Claim { holder: holder.clone(), over: None });
    let by_age = |a: &&Candidate, b: &&Candidate| (a.created, &a.name).cmp(&(b.created, &b.name));
    let label = workload.governor();
    // The label is written with the apply, the record after it: where two records claim the
    // workload, the label tells which of them came last.
    let applied = candidates
        .iter()
        .filter(|candidate| candidate.applied)
        .min_by(|a, b| (Some(&a.name) != label).cmp(&(Some(&b.name) != label)).then(by_age(a, b)));
    if let Some(applied) = applied {
        return alone(&applied.name);
    }
    let pausing = workload.policy_label.as_ref().filter(|_| workload.own.policy_label && label_pauses);
    let named = label.filter(|label| candidates.iter().any(|candidate| candidate.name == **label));
    if let Some(label) = pausing.or(named) {
        return alone(label);
    }
    let kept = candidates.iter().filter(|candidate| candidate.first.is_some());
    if let Some(kept) = kept.min_by(|a, b| a.first.cmp(&b.first).then(by_age(a, b))) {
        return alone(&kept.name);
    }
    let mut others: Vec<_> = candidates.iter().collect();
    others.sort_by(by_age);
    // Whoever is beaten once is beaten by all that come to lead later, so that one pass finds one whom nobody
    // beats.
    let holder =
        others.iter().copied().reduce(|first, next| if stricter(next, first) { next } else { first })?;
    let over = others.iter().find(|other| other.name != holder.name && !stricter(holder, other));
    Some(Claim { holder: holder.name.clone(), over: over.map(|over| over.name.clone()) })
}

fn stricter(one: &Candidate, other: &Candidate) -> bool {
    is_stricter(&one.settings, &other.settings)
}

/// Whether the policy may write this config map: it was made by this operator, for the policy of
/// this name, today's or one that is gone, or for another that holds it no more.
///
/// # Errors
/// Who holds it instead.
pub fn claim_config_map(found: &ConfigMapView, policy: &PolicyObject) -> Result<(), String> {
    let governed = OwnershipNote::read(found.governed.as_deref());
    let own_label = found.own && found.policy_label.as_deref() == Some(&*policy.key.name);
    let made_for_this = governed.as_ref().is_some_and(|governed| governed.policy == *policy.uid);
    match &found.holder {
        _ if own_label && governed.is_some() => Ok(()),
        // Its label or manager was taken away, the annotation still names this very policy.
        _ if made_for_this => Ok(()),
        Some(other) if found.own => Err(format!("the policy {other}")),
        None if found.own && found.policy_label.is_some() && governed.is_some() => Ok(()),
        _ => Err("somebody else".into()),
    }
}
