//! The memory of a policy: each revision is a ControllerRevision, whose data never changes and
//! whose annotation on the newest says what was applied where.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::api;
use crate::document::{Document, hex_digest};
use crate::model::key::Millis;
use crate::policy::{self, Delivery};
use crate::server::kratos::Overlay;

/// One remembered revision.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub name: SmolStr,
    pub owner_uid: SmolStr,
    /// Grows with each change; the newest has the highest.
    pub revision: i64,
    pub data: Data,
    pub applied: Vec<Applied>,
    /// Why it was taken back, if it was.
    pub verdict: Option<FailedRevision>,
    /// The annotation that holds one of these and cannot be read, if there is one: what it says is not known.
    pub unread: Option<&'static str>,
}

/// What a revision consists of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Data {
    pub overlay: Overlay,
    pub delivery: Delivery,
    pub config_map_name: String,
    pub targets: Vec<TargetData>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetData {
    pub kind: String,
    pub name: String,
    pub container: String,
}

/// A successful apply of a record to a target. What a newer operator noted beside is passed over, so that one
/// can go back to an older operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    pub kind: String,
    pub name: String,
    pub uid: String,
    pub container: String,
    /// Digest of the record that was applied.
    pub record: String,
    /// Revision of its overlay.
    pub revision: String,
    /// Since when the policy has kept the workload of this name, whatever its uid, in milliseconds since the
    /// Unix epoch. None before its first apply, and once it is dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Millis>,
    /// Its roll was seen done. Later scaling does not change that.
    pub rolled_out: bool,
    /// Its pods are about to read a new file, and have not been seen to do so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<Reload>,
    /// What its pods answered when they last agreed: the digest of their configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<SmolStr>,
    /// Digests of records whose roll here was done with at least one pod, the newest first. One that
    /// failed anywhere is not among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub good: Vec<SmolStr>,
    /// What stood here before the first apply.
    #[serde(default)]
    pub before: Before,
    /// When it was last written, pods ran well that the roll was to end before new ones serve: digest of
    /// what they were made from, our fields aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran_well: Option<SmolStr>,
}

impl Applied {
    /// When the file was written that its pods are about to read.
    #[must_use]
    pub fn file_since(&self) -> Option<Millis> {
        self.reload.as_ref().map(|reload| reload.since)
    }
}

/// What a target had of ours before a policy came to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Before {
    /// Nothing: without any good revision, that is what it goes back to.
    Nothing,
    /// Something that could not be read back, so that nothing goes back to it.
    #[default]
    Unknown,
}

/// A revision that new pods did not survive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedRevision {
    /// When it was found, in milliseconds since the Unix epoch.
    pub since: Millis,
    /// Generation of the policy then: another one is tried.
    pub generation: i64,
    /// Digest of the annotation [`api::RETRY_ANNOTATION`] then: so is another one.
    pub retry: SmolStr,
    /// Digest of everything else that decides whether the server starts: so is another one.
    pub content: SmolStr,
    /// How often this revision failed.
    pub attempts: u32,
    /// What is in force instead demands less.
    pub weaker: bool,
    /// It does not stand any more: the revision is tried again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lifted: bool,
    /// When somebody last had it tried again, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Millis>,
    pub kind: String,
    pub name: String,
    pub evidence: Evidence,
    /// What each target has meanwhile.
    pub back: Vec<Back>,
}

/// What a target has while a revision is not tried again: what it goes back to, or what it keeps, that
/// revision itself where it runs well on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Back {
    pub kind: SmolStr,
    pub name: SmolStr,
    /// Digest of the record; empty for no settings at all.
    pub record: SmolStr,
}

/// What told that a revision fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    pub pod: SmolStr,
    pub container: SmolStr,
    /// The kubelet's word, or one of ours.
    pub reason: SmolStr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

impl Back {
    #[must_use]
    pub fn is_of(&self, kind: policy::Kind, name: &str) -> bool {
        self.kind == kind.as_str() && self.name == name
    }
}

impl std::fmt::Display for Evidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "container {} of pod {}: {}", self.container, self.pod, self.reason)?;
        self.exit_code.map_or(Ok(()), |code| write!(f, ", exit code {code}"))
    }
}

/// A file that running pods read anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reload {
    /// When it was written, in milliseconds since the Unix epoch.
    pub since: Millis,
    /// Digest of the file.
    pub file: SmolStr,
    /// What the pods answered before, each answer once; empty where they could not be asked.
    pub before: Vec<SmolStr>,
    /// Whether the answers must change; none where that cannot be known.
    pub changes: Option<bool>,
    /// The answer that must come back, where a stranger's file was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<SmolStr>,
}

impl Applied {
    #[must_use]
    pub fn is_of(&self, kind: policy::Kind, name: &str) -> bool {
        self.kind == kind.as_str() && self.name == name
    }
}

impl TargetData {
    #[must_use]
    pub fn target(&self) -> policy::Target {
        policy::Target {
            kind: policy::Kind::from_word(&self.kind).unwrap_or_default(),
            name: self.name.as_str().into(),
            container: Some(self.container.as_str().into()),
        }
    }
}

impl Data {
    /// Ten hex digits over the canonical form.
    ///
    /// # Panics
    /// Never: the data is a tree of strings and booleans.
    #[must_use]
    pub fn digest(&self) -> String {
        let document = Document::from_typed(self).expect("record data is a tree");
        hex_digest(&document.canonical(), 10)
    }

    /// Reads data that others may have written: it must be exactly what this operator would
    /// have stored under `digest`.
    #[must_use]
    pub fn read(stored: &serde_json::Value, digest: &str) -> Option<Self> {
        let data: Self = serde_json::from_value(stored.clone()).ok()?;
        let is_exact = serde_json::to_value(&data).is_ok_and(|again| again == *stored);
        (is_exact && data.is_sound() && data.digest() == digest).then_some(data)
    }

    /// Whether it is what an accepted policy would be remembered as.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let targets = self.targets.iter().map(|target| api::TargetRef {
            group: api::APPS.into(),
            kind: target.kind.clone(),
            name: target.name.clone(),
            container: Some(target.container.clone()),
        });
        let spec = api::MfaPolicySpec {
            target_refs: targets.collect(),
            delivery: Some(api::Delivery {
                type_: self.delivery.as_str().into(),
                config_map_name: Some(self.config_map_name.clone()),
            }),
            ..self.overlay.spec()
        };
        policy::parse("stored", &spec).is_ok_and(|policy| Overlay::of(&policy) == self.overlay)
    }
}

/// More changes than any policy ever sees.
const PLAUSIBLE: i64 = 1 << 40;

impl Record {
    /// Whether it was taken back on this target, and is not tried again.
    #[must_use]
    pub fn has_failed_on(&self, kind: &str, name: &str) -> bool {
        let keeps =
            |back: &Back| (&*back.kind, &*back.name) == (kind, name) && *back.record == *self.digest();
        self.verdict.as_ref().is_some_and(|verdict| !verdict.lifted && !verdict.back.iter().any(keeps))
    }

    /// Whether its number can be of our making. To count on from another one would end beyond all numbers.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        (0..=PLAUSIBLE).contains(&self.revision)
    }

    /// The digest in the name, `<policy>-mfa-<digest>-<8 of the uid>`.
    #[must_use]
    pub fn digest(&self) -> &str {
        digest_in_name(&self.name).unwrap_or_default()
    }
}

#[must_use]
pub fn digest_in_name(name: &str) -> Option<&str> {
    let mut parts = name.rsplit('-');
    parts.next()?;
    parts.next()
}

/// How that name ends, as a regular expression of RE2: no object of others is called so by chance.
pub const NAME_PATTERN: &str = "-mfa-[0-9a-f]{10}-[0-9a-f]{8}";

/// Name of the record of `digest` for the policy with this name and uid.
#[must_use]
pub fn record_name(policy: &str, uid: &str, digest: &str) -> String {
    let uid: String = uid.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    format!("{policy}-mfa-{digest}-{uid}")
}
