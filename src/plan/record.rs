//! The memory of a policy: each revision is a ControllerRevision, whose data never changes and
//! whose annotation on the newest says what was applied where.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Millis;
use crate::api;
use crate::document::{Document, hex_digest};
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

/// A successful apply of a record to a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Applied {
    pub kind: String,
    pub name: String,
    pub uid: String,
    pub container: String,
    /// Digest of the record that was applied.
    pub record: String,
    /// Revision of its overlay.
    pub revision: String,
    /// Its roll was seen done. Later scaling does not change that.
    pub rolled_out: bool,
    /// Its pods are about to read a new file, and have not been seen to do so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<Reload>,
    /// What its pods answered when they last agreed: the digest of their configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<SmolStr>,
}

/// A file that running pods read anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
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
        let targets = data.targets.iter().map(|target| api::TargetRef {
            group: api::APPS.into(),
            kind: target.kind.clone(),
            name: target.name.clone(),
            container: Some(target.container.clone()),
        });
        let spec = api::MfaPolicySpec {
            target_refs: targets.collect(),
            delivery: Some(api::Delivery { type_: data.delivery.as_str().into(), config_map_name: Some(data.config_map_name.clone()) }),
            ..data.overlay.spec()
        };
        let policy = policy::parse("stored", &spec).ok()?;
        (Overlay::of(&policy) == data.overlay && data.digest() == digest).then_some(data)
    }
}

/// More changes than any policy ever sees.
const PLAUSIBLE: i64 = 1 << 40;

impl Record {
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

/// Name of the record of `digest` for the policy with this name and uid.
#[must_use]
pub fn record_name(policy: &str, uid: &str, digest: &str) -> String {
    let uid: String = uid.chars().filter(char::is_ascii_hexdigit).take(8).collect();
    format!("{policy}-mfa-{digest}-{uid}")
}
