//! Pods that should have been asked and were not, because too many looks ask: what is not known for that, and
//! what is told.

use smol_str::SmolStr;

use crate::model::workload::Workload;

/// Why there is no room to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPermit {
    /// At the next look there may be.
    ForNow,
    /// No permit was found for a minute.
    Starved,
}

/// Pods that were not asked for want of room: what rests on their answers is not known now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbesSkipped {
    /// Those of some workload, and that passes: nothing is told before it has.
    pub for_now: bool,
    /// Uids of the workloads of which that must be told, so that nothing older is claimed any more.
    pub starved: Vec<SmolStr>,
}

impl ProbesSkipped {
    pub fn add(&mut self, workload: &Workload, why: NoPermit) {
        match why {
            NoPermit::ForNow => self.for_now = true,
            NoPermit::Starved if self.is_starved(workload) => {}
            NoPermit::Starved => self.starved.push(workload.uid.clone()),
        }
    }

    #[must_use]
    pub fn is_starved(&self, workload: &Workload) -> bool {
        self.starved.contains(&workload.uid)
    }

    /// What is told of the target, and what to do.
    #[must_use]
    pub fn of(&self, workload: &Workload) -> Option<String> {
        self.is_starved(workload).then(|| format!(
            "the pods of {workload} could not be asked for a minute, because others that do not answer take the time: find the policies whose Effective is Unreachable, of this namespace first, and let the operator reach the admin ports of their pods, or set spec.verification.mode of those to Off. It goes on by itself"
        ))
    }
}
