//! Objects that are there and cannot be read. Nothing that depends on what is in them is known: neither that
//! it is gone, nor that it is as it was.

use std::fmt;

use smol_str::SmolStr;

use crate::api::Reason;
use crate::model::key::Key;
use crate::model::record::Record;
use crate::model::refusal::Refusal;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub kind: &'static str,
    pub key: Key,
    pub uid: SmolStr,
    /// Its resource version.
    pub version: SmolStr,
    /// The policy that its label names.
    pub label: Option<SmolStr>,
    /// The field at which reading ended, as a path. Never what stands there.
    pub field: SmolStr,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.key.name)
    }
}

impl Unreadable {
    /// A record with a note that cannot be read, if it has one.
    #[must_use]
    pub fn note(policy: &Key, record: &Record) -> Option<Self> {
        let annotation = record.unread?;
        Some(Self {
            kind: "ControllerRevision",
            key: policy.beside(&record.name),
            uid: SmolStr::default(),
            version: SmolStr::default(),
            label: Some(policy.name.clone()),
            field: format!("metadata.annotations[{annotation}]").into(),
        })
    }

    /// What is wrong, and what to do.
    #[must_use]
    pub fn words(&self) -> String {
        format!(
            "{self} is there and cannot be read: its field {} is not what this operator expects. Nothing of it is changed, and what it holds is not known. Correct that field, or, where the API is newer than the operator, upgrade the operator",
            self.field
        )
    }

    #[must_use]
    pub fn is_config_map(&self, name: &str) -> bool {
        self.kind == "ConfigMap" && self.key.name == name
    }

    #[must_use]
    pub fn refusal(&self) -> Refusal {
        (Reason::Unreadable, self.words())
    }
}
