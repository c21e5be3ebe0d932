//! What a workload or a config map remembers of the policy that governs it.

use serde::{Deserialize, Serialize};

use crate::policy::DeletionPolicy;

/// The memory of what is governed: a JSON annotation on workloads and config maps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnershipNote {
    pub deletion_policy: DeletionPolicy,
    /// Uids.
    pub policy: String,
    pub crd: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
}

impl OwnershipNote {
    #[must_use]
    pub fn read(annotation: Option<&str>) -> Option<Self> {
        serde_json::from_str(annotation?).ok()
    }

    /// Whether it is of this definition, and what it is about ends with its policy.
    #[must_use]
    pub fn reverts(&self, crd_uid: &str) -> bool {
        self.crd == crd_uid && self.deletion_policy == DeletionPolicy::Revert
    }

    /// # Panics
    /// Never: strings and a word are JSON.
    #[must_use]
    pub fn write(&self) -> String {
        serde_json::to_string(self).expect("strings are JSON")
    }
}
