//! The one order on settings: whether a configuration demands at least as much as the one whose place it
//! takes. Edits, what a policy left, and a server's own files are weighed by it alike, each merged with the
//! files of the target.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use smol_str::SmolStr;

use super::levels::{SETTINGS_LEVEL, WHOAMI_LEVEL};
use super::variables::governed_paths;
use super::{Layer, Merged, Overlay, Value};
use crate::api::{Risk, rules};
use crate::document::Leaf;
use crate::policy::{Delivery, Level, Policy, Rejection, nanoseconds};

const RP_ID: &str = "selfservice.methods.webauthn.config.rp.id";

/// A configuration, and what a policy states of it.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    pub merged: &'a Merged,
    pub stated: &'a Overlay,
}

/// What the cluster has seen of a change before the operator weighs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Both are of one policy: what it stated, and what it states.
    Edit,
    /// The policy is new to what stands there: what it states, and nothing else.
    First,
}

/// Why `new` may not take the place of `old`: what is weaker and not stated, and what needs a word that is
/// not `acknowledged`.
#[must_use]
pub fn weakened(old: Side<'_>, new: Side<'_>, change: Change, acknowledged: &[SmolStr]) -> Vec<Rejection> {
    let refusals = refusals(old, new, change, Verdict::Weaker);
    refusals
        .into_iter()
        .filter(|refusal| !refusal.is_taken(acknowledged))
        .map(|refusal| refusal.rejection)
        .collect()
}

/// The fields of `new` that would be refused if what is not known of `old` demanded more.
#[must_use]
pub fn not_compared(old: Side<'_>, new: Side<'_>) -> Vec<String> {
    refusals(old, new, Change::First, Verdict::Unknown)
        .into_iter()
        .map(|refusal| refusal.rejection.field)
        .collect()
}

/// Whether one overlay demands at least what the other does, and the other does not, whatever lies under
/// them.
#[must_use]
pub fn is_stricter(one: &Overlay, other: &Overlay) -> bool {
    let merged = |overlay| Merged::of(None, &Layer::default(), overlay, Delivery::Environment);
    let (one, other) = (merged(one), merged(other));
    let demands = |new: &Merged, old: &Merged| {
        let passes =
            |path: &String| ordered(path).1.compare(&old.value(path), &new.value(path)) == Verdict::Passes;
        governed_paths().iter().all(passes)
    };
    demands(&one, &other) && !demands(&other, &one)
}

/// What an edit needs a word for by the rules of the definition, which see what a policy states and no file.
#[must_use]
pub fn transition(old: &Overlay, new: &Policy) -> Vec<Rejection> {
    let asked = Overlay::of(new);
    let alone = |overlay: &Overlay| Merged::of(Some(&[]), &Layer::default(), overlay, Delivery::Environment);
    let (before, after) = (alone(old), alone(&asked));
    let (old, new_side) = (Side { merged: &before, stated: old }, Side { merged: &after, stated: &asked });
    let refusals = refusals(old, new_side, Change::Edit, Verdict::Weaker)
        .into_iter()
        .filter(|refusal| refusal.word.is_some());
    refusals.filter(|refusal| !refusal.is_taken(&new.acknowledge)).map(|refusal| refusal.rejection).collect()
}

/// How the values of a leaf are ordered. Where the strictest takes the place, or the weakest is replaced, the
/// other need not be known.
#[derive(Clone, Copy)]
enum Rule {
    /// A higher level is stricter.
    Level,
    /// A shorter age is stricter.
    Age,
    /// On is stricter than off, which the message speaks of.
    Method(&'static str),
    /// Neither is: on it makes a mailbox a second factor, off it shuts out who has no other.
    Code,
    /// Only the same passes, or any where there was none.
    RelyingParty,
    /// Origins: passes with the same items in any order, or any where there were none.
    Origins,
    /// What people are shown.
    Free,
    /// Only the same passes.
    Other,
}

/// The field of a leaf, and how its values are ordered. A leaf that is not listed here passes only as it is.
fn ordered(path: &str) -> (&str, Rule) {
    match path {
        SETTINGS_LEVEL => ("spec.requiredAAL.settings", Rule::Level),
        WHOAMI_LEVEL => ("spec.requiredAAL.whoami", Rule::Level),
        "selfservice.flows.settings.privileged_session_max_age" => {
            ("spec.privilegedSessionMaxAge", Rule::Age)
        }
        "selfservice.methods.totp.enabled" => ("spec.methods.totp", Rule::Method(rules::TOTP_OFF.1)),
        "selfservice.methods.webauthn.enabled" => {
            ("spec.methods.webauthn", Rule::Method(rules::WEBAUTHN_OFF.1))
        }
        "selfservice.methods.lookup_secret.enabled" => {
            ("spec.methods.lookupSecret", Rule::Method(rules::LOOKUP_SECRET_OFF.1))
        }
        "selfservice.methods.code.mfa_enabled" => ("spec.methods.code", Rule::Code),
        RP_ID => ("spec.methods.webauthn.rp.id", Rule::RelyingParty),
        "selfservice.methods.webauthn.config.rp.origins" => {
            ("spec.methods.webauthn.rp.origins", Rule::Origins)
        }
        "selfservice.methods.totp.config.issuer" => ("spec.methods.totp.issuer", Rule::Free),
        "selfservice.methods.webauthn.config.rp.display_name" => {
            ("spec.methods.webauthn.rp.displayName", Rule::Free)
        }
        other => (other, Rule::Other),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Passes,
    /// Or not known, where what it replaces is.
    Weaker,
    /// What it replaces is not known.
    Unknown,
}

impl Rule {
    fn compare(self, old: &Value<'_>, new: &Value<'_>) -> Verdict {
        match self {
            Self::Free => Verdict::Passes,
            Self::Level => {
                compared(level(old), level(new), (Some(Level::Aal1), Some(Level::HighestAvailable)))
            }
            Self::Age => compared(age(old), age(new), (None, None)),
            Self::Method(_) => compared(flag(old), flag(new), (Some(false), Some(true))),
            Self::RelyingParty | Self::Origins if *old == Value::Absent => Verdict::Passes,
            Self::Code | Self::RelyingParty | Self::Origins | Self::Other => match (old, new) {
                (Value::Unknown, Value::Unknown) => Verdict::Passes,
                (Value::Unknown, _) => Verdict::Unknown,
                _ if same(old, new) => Verdict::Passes,
                _ => Verdict::Weaker,
            },
        }
    }
}

/// Compares two values between the weakest and the strictest. None is not known.
fn compared<T: Ord>(old: Option<T>, new: Option<T>, (weakest, strictest): (Option<T>, Option<T>)) -> Verdict {
    let told = (old.is_some() && old == weakest) || (new.is_some() && new == strictest);
    match (old, new) {
        _ if told => Verdict::Passes,
        // What neither states is the same in both, whatever it is.
        (None, None) => Verdict::Passes,
        (None, Some(_)) => Verdict::Unknown,
        (Some(old), Some(new)) if new >= old => Verdict::Passes,
        (Some(_), _) => Verdict::Weaker,
    }
}

fn level(value: &Value<'_>) -> Option<Level> {
    match value {
        Value::Set(Leaf::Text(word)) => Level::from_word(word),
        Value::Absent => Some(Level::HighestAvailable),
        Value::Set(_) | Value::Unknown => None,
    }
}

fn age(value: &Value<'_>) -> Option<Reverse<i64>> {
    match value {
        Value::Set(Leaf::Text(text)) => nanoseconds(text).map(Reverse),
        Value::Set(_) | Value::Absent | Value::Unknown => None,
    }
}

fn flag(value: &Value<'_>) -> Option<bool> {
    match value {
        Value::Set(Leaf::Bool(on)) => Some(*on),
        Value::Absent => Some(false),
        Value::Set(_) | Value::Unknown => None,
    }
}

fn items<'a>(value: &Value<'a>) -> BTreeSet<&'a str> {
    match value {
        Value::Set(Leaf::List(items)) => items.iter().copied().collect(),
        Value::Set(_) | Value::Absent | Value::Unknown => BTreeSet::new(),
    }
}

fn same(old: &Value<'_>, new: &Value<'_>) -> bool {
    match (old, new) {
        (Value::Set(Leaf::List(_)), Value::Set(Leaf::List(_))) => items(old) == items(new),
        _ => old == new,
    }
}

/// What is refused, unless by its word.
struct Refusal {
    rejection: Rejection,
    word: Option<String>,
}

impl Refusal {
    fn is_taken(&self, acknowledged: &[SmolStr]) -> bool {
        self.word.as_ref().is_some_and(|word| acknowledged.iter().any(|known| **known == **word))
    }
}

/// What is refused of the leaves that compare so, in the order of their keys.
fn refusals(old: Side<'_>, new: Side<'_>, change: Change, verdict: Verdict) -> Vec<Refusal> {
    let stated = new.stated.document();
    let mut refusals: Vec<Refusal> = Vec::new();
    for path in governed_paths() {
        let (field, rule) = ordered(path);
        let (before, after) = (old.merged.value(path), new.merged.value(path));
        if rule.compare(&before, &after) != verdict {
            continue;
        }
        let risk = |risk: Risk, of: &str| Some(format!("{}:{of}", risk.as_str()));
        let off = |message: &str| {
            (message.to_owned(), risk(Risk::MethodSwitchedOff, field.rsplit('.').next().unwrap_or_default()))
        };
        // What the server's own configuration has is not repeated.
        let id = stated.text(RP_ID).unwrap_or(rules::NO_RELYING_PARTY);
        let (message, word) = match rule {
            Rule::Method(message) => off(message),
            Rule::Code if flag(&before) != Some(false) && flag(&after) != Some(true) => {
                off(rules::CODE_OFF.1)
            }
            Rule::RelyingParty => {
                let was = old.stated.document().text(RP_ID).map(str::to_owned);
                (rules::relying_party_changed(was.as_deref(), id), risk(Risk::RelyingPartyChanged, id))
            }
            Rule::Origins if change == Change::First || !items(&before).is_subset(&items(&after)) => {
                (rules::origins_changed(id), risk(Risk::RelyingPartyChanged, id))
            }
            _ if stated.has(path) => continue,
            _ => (rules::NOT_STATED.to_owned(), None),
        };
        // With another relying party come other origins.
        if word.is_none() || refusals.iter().all(|refusal| refusal.word != word) {
            refusals.push(Refusal { rejection: Rejection { field: field.into(), message }, word });
        }
    }
    refusals
}

#[cfg(test)]
mod tests;
