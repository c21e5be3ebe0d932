//! What pods answered, as long as it counts.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use smol_str::SmolStr;
use tokio::time::Instant;

use crate::controller::expiring::Expiring;
use crate::controller::memory::clock::at;
use crate::controller::probe::permits::{Permit, Permits};
use crate::model::{Answer, Levels, Millis, NoPermit, Proof, Workload};
use crate::plan::Question;

/// How long an entry that nobody looks at is kept: its workload is gone.
pub const FORGET: Duration = Duration::from_secs(2 * 3_600);

/// Cache of the answers of pods.
#[derive(Debug, Default)]
pub struct ProbeCache {
    known: Mutex<Expiring<SmolStr, Arc<Known>>>,
    rooms: Permits,
}

/// Answers of the pods of one workload.
#[derive(Debug)]
pub struct Known {
    pub question: Question,
    /// Resource version of the workload when its pods were listed: it changes when pods come, go or get
    /// ready.
    pub resource_version: SmolStr,
    pub told: Vec<CachedReply>,
    pub proof: Proof,
    /// The weakest that they demand.
    pub levels: Option<Levels>,
    pub asked: Instant,
    pub wrong_since: Option<Since>,
    /// Questions in a row that settled nothing.
    pub times: u32,
    pub again: Instant,
}

/// Times are by the clock that nobody can set.
#[derive(Clone, Copy, Debug)]
pub enum Since {
    /// Before this process began.
    Ever,
    Then(Instant),
}

impl Since {
    /// By the clock that says `now`.
    pub fn millis(self, now: Millis) -> Millis {
        match self {
            Self::Ever => 0,
            Self::Then(instant) => at(instant, now),
        }
    }
}

#[derive(Debug)]
pub struct CachedReply {
    pub run: u64,
    pub answer: Answer,
    pub at: Instant,
}

impl Known {
    pub fn is_fresh(&self, workload: &Workload) -> bool {
        self.resource_version == workload.resource_version && Instant::now() < self.again
    }
}

impl ProbeCache {
    fn known(&self) -> MutexGuard<'_, Expiring<SmolStr, Arc<Known>>> {
        self.known.lock()
    }

    /// Whoever asks the pods of the workload holds it meanwhile: silent ones must not take all looks.
    pub fn room(&self, workload: &Workload) -> Result<Permit<'_>, NoPermit> {
        self.rooms.take(&workload.key.namespace, &workload.uid)
    }

    /// Answers to this question.
    pub fn answers(&self, workload: &Workload, question: &Question) -> Option<Arc<Known>> {
        let all = self.known();
        let (known, _) = all.get(&workload.uid, Instant::now())?;
        (known.question == *question).then(|| known.clone())
    }

    pub fn keep(&self, workload: &Workload, known: Arc<Known>) {
        let until = known.again + FORGET;
        self.known().insert(workload.uid.clone(), known, until, Instant::now());
    }
}
