//! A policy as it is stored.

use smol_str::SmolStr;

use crate::model::key::Key;
use crate::model::last_status::LastStatus;
use crate::policy::{DeletionPolicy, Policy, Rejection, Verification};

/// A policy as stored.
#[derive(Clone, Debug)]
pub struct PolicyObject {
    pub key: Key,
    pub uid: SmolStr,
    pub resource_version: SmolStr,
    pub generation: i64,
    /// Seconds since the Unix epoch.
    pub created: i64,
    pub deleting: bool,
    pub spec: Result<Policy, Vec<Rejection>>,
    /// `spec.deletionPolicy` as written, even where the rest of the spec is refused.
    pub deletion_policy: DeletionPolicy,
    /// `spec.suspend` as written, even where the rest of the spec is refused.
    pub suspend: bool,
    /// Digest of [`crate::api::RETRY_ANNOTATION`]; empty where it is not set.
    pub retry: SmolStr,
    /// Field manager that changed the spec last, if that is known.
    pub manager: Option<SmolStr>,
    /// `spec.verification` as written, even where the rest of the spec is refused.
    pub verification: Verification,
    pub status: LastStatus,
}

impl PolicyObject {
    /// What shall happen to its workloads when it goes, as they remember it: one that is suspended
    /// leaves everything as it is.
    #[must_use]
    pub fn remembered_deletion_policy(&self) -> DeletionPolicy {
        if self.suspend { DeletionPolicy::Retain } else { self.deletion_policy }
    }
}
