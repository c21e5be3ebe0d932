//! What the policy asks for, whatever becomes of it.

use std::sync::Arc;

use crate::model::PolicyObject;
use crate::plan::desired::{Desired, Goal};
use crate::plan::input::Observed;
use crate::plan::rollout::select::{self, Candidate};

/// What the policy asks for, whatever becomes of it.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    pub desired: Arc<Desired>,
    /// Digest of its record.
    pub digest: String,
    pub candidates: Vec<Candidate<'a>>,
}

impl<'a> Wanted<'a> {
    /// None where nothing valid is known.
    pub fn of(observed: &'a Observed, policy: &PolicyObject) -> Option<Self> {
        let desired = observed.standing.desired(policy)?;
        let candidates = select::candidates(observed, policy, &desired);
        let desired = Desired { targets: select::data(observed, &candidates), ..desired };
        Some(Self { digest: desired.data().digest(), desired: Arc::new(desired), candidates })
    }

    /// Makes the goal of a target out of what the policy asks for.
    pub fn goal(&self) -> Goal {
        Goal { desired: self.desired.clone(), record: Some(self.digest.as_str().into()) }
    }
}
