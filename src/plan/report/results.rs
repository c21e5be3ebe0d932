//! How the writes of a plan ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::model::{Refusal, Workload};
use crate::plan::desired::Desired;
use crate::plan::input::{Observed, TargetView};
use crate::plan::outcome::Plan;
use crate::plan::verification::file::File;

/// How the writes of a plan ended.
#[derive(Debug, Default)]
pub struct WriteResults {
    /// By the uid of each target that was written: its workload as the cluster answered it, or the refusal.
    pub targets: BTreeMap<SmolStr, Result<Arc<Workload>, Refusal>>,
    /// Why the config map or the record could not be written.
    pub refused: Option<Refusal>,
    /// The file of the config map is what is desired, by a write of this plan.
    pub file_written: bool,
    /// The record of what is desired is the newest, by a write of this plan.
    pub recorded: bool,
}

impl WriteResults {
    /// Whether the config map holds the file that is desired, after the writes.
    pub fn file(&self, observed: &Observed, desired: &Desired) -> File {
        if self.file_written { File::AsDesired } else { File::found(observed, desired) }
    }

    /// The refusal that a target met.
    pub fn refusal(&self, view: &TargetView) -> Option<&Refusal> {
        self.targets.get(&view.workload.as_ref()?.uid)?.as_ref().err()
    }

    /// The target as it is after the writes.
    pub fn after(&self, view: &TargetView) -> TargetView {
        let written = view.workload.as_ref().and_then(|workload| self.targets.get(&workload.uid));
        match written {
            Some(Ok(written)) => TargetView { workload: Some(written.clone()), ..view.clone() },
            Some(Err(_)) | None => view.clone(),
        }
    }
}

/// How things stand after the writes.
pub struct After<'a> {
    pub observed: &'a Observed,
    pub plan: &'a Plan,
    /// The targets as they are now.
    pub views: &'a [TargetView],
    pub file: File,
}
