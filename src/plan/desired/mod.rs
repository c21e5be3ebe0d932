//! What a target shall have.

pub mod in_force;
pub mod pod_marker;
pub mod previous_settings;
pub mod read_back;
pub mod server;
pub mod wanted;
pub mod wiring;

use std::sync::Arc;

use smol_str::SmolStr;

use crate::model::{Data, OwnershipNote, PolicyObject, TargetData};
use crate::policy::{DeletionPolicy, FieldConflicts};
use crate::server::kratos::Rendered;

/// The settings to deliver.
#[derive(Clone, Debug)]
pub struct Desired {
    pub rendered: Rendered,
    pub config_map: SmolStr,
    pub field_conflicts: FieldConflicts,
    pub deletion_policy: DeletionPolicy,
    /// Targets with the container found in each.
    pub targets: Vec<TargetData>,
}

impl Desired {
    /// Makes the same policy with other settings.
    #[must_use]
    pub fn with(&self, rendered: Rendered, config_map: &str) -> Self {
        Self { rendered, config_map: config_map.into(), ..self.clone() }
    }

    #[must_use]
    pub fn data(&self) -> Data {
        Data {
            overlay: self.rendered.overlay.clone(),
            delivery: self.rendered.delivery,
            config_map_name: self.config_map.to_string(),
            targets: self.targets.clone(),
        }
    }

    #[must_use]
    pub fn governed(
        &self,
        policy: &PolicyObject,
        crd_uid: &str,
        workload_uid: Option<&str>,
    ) -> OwnershipNote {
        OwnershipNote {
            deletion_policy: self.deletion_policy,
            policy: policy.uid.to_string(),
            crd: crd_uid.into(),
            workload: workload_uid.map(Into::into),
        }
    }
}

/// What one target shall have.
#[derive(Clone, Debug)]
pub struct Goal {
    pub desired: Arc<Desired>,
    /// Digest of its record; empty where nothing of a policy shall be there. None where it is left as it is.
    pub record: Option<SmolStr>,
}

impl Goal {
    /// Whether it is not known what the target shall have.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.record.is_none()
    }

    /// Digest of its record; empty where there is none.
    #[must_use]
    pub fn digest(&self) -> SmolStr {
        self.record.clone().unwrap_or_default()
    }
}
