//! What an edit may not do unnoticed: lock out the people who hold a factor.

use smol_str::SmolStr;

use super::{Factor, Level, Rejection};
use crate::api::{Risk, rules};

/// Compares what was in force with `new`.
#[must_use]
pub fn factors_lost(old: &[Factor], new: &[Factor], acknowledged: &[SmolStr]) -> Vec<Rejection> {
    let compared = |factor| [switched_off(factor, new, acknowledged), relying_party(factor, new, acknowledged)];
    old.iter().flat_map(compared).flatten().collect()
}

/// The levels, as (settings, whoami), that were in force and that `new` leaves to the server.
pub fn levels_left_out(old: (Option<Level>, Option<Level>), new: (Option<Level>, Option<Level>)) -> impl Iterator<Item = Rejection> {
    let of = |key: &str, old: Option<Level>, new: Option<Level>| {
        let lost = old == Some(Level::HighestAvailable) && new.is_none();
        lost.then(|| Rejection { field: format!("spec.requiredAAL.{key}"), message: rules::LEVEL_LEFT_OUT.into() })
    };
    [of("settings", old.0, new.0), of("whoami", old.1, new.1)].into_iter().flatten()
}

fn switched_off(old: &Factor, new: &[Factor], acknowledged: &[SmolStr]) -> Option<Rejection> {
    let stays = new.iter().any(|factor| factor.name() == old.name() && factor.enabled());
    let word = format!("{}:{}", Risk::MethodSwitchedOff.as_str(), old.name());
    let refused = old.enabled() && !stays && !acknowledged.contains(&word.as_str().into());
    refused.then(|| Rejection { field: format!("spec.methods.{}", old.name()), message: old.switched_off_message().into() })
}

fn relying_party(old: &Factor, new: &[Factor], acknowledged: &[SmolStr]) -> Option<Rejection> {
    let Factor::Webauthn { rp: Some(old), .. } = old else { return None };
    let id = new.iter().find_map(|factor| match factor {
        Factor::Webauthn { rp: Some(rp), .. } => Some(&*rp.id),
        _ => None,
    });
    let id = id.unwrap_or(rules::NO_RELYING_PARTY);
    let word = format!("{}:{id}", Risk::RelyingPartyChanged.as_str());
    let refused = id != &*old.id && !acknowledged.contains(&word.as_str().into());
    refused.then(|| Rejection { field: "spec.methods.webauthn.rp.id".into(), message: rules::relying_party_changed(Some(&old.id), id) })
}
