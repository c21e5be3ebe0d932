//! What is remembered, and how much of it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::time::Instant;

use crate::controller::expiring::Expiring;
use crate::controller::memory::absence::Gone;
use crate::controller::memory::pending_status::Untold;
use crate::model::{Key, Pauses, WorkloadId};

/// What only counts is written to a status so long after the last write, and after it began to differ: what
/// happens at once is written at once.
pub const STATUS_PACE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct Memory {
    pub state: Mutex<State>,
    pub pauses: Pauses,
    /// Nothing that takes its time is on its way.
    pub settled: bool,
}

/// Times are by the clock that nobody can set. A decision has one time, by the other clock: it gets each of
/// these as so long before that.
#[derive(Debug, Default)]
pub struct State {
    pub done: Expiring<SmolStr, Done>,
    pub gone: HashMap<Key, Gone>,
    pub told: HashSet<SmolStr>,
    /// By the uid of the policy, with the digest of the status that tells it.
    pub untold: HashMap<SmolStr, (u64, Untold)>,
    pub suspended: HashSet<SmolStr>,
    /// By the uid of the policy.
    pub statuses: Expiring<SmolStr, StatusPace>,
    /// By the uid of the policy, the generation that gave up some of what it governs.
    pub let_go: HashMap<SmolStr, i64>,
    pub failures: HashMap<Key, u32>,
    /// How often in a row a write met a version that was no longer the newest.
    pub stale: HashMap<Key, u32>,
    pub disagreements: Expiring<SmolStr, Option<Instant>>,
    /// Workloads that stay as they are, by the policy that their label names.
    pub left: HashMap<Key, Vec<WorkloadId>>,
    pub well_since: Expiring<SmolStr, Option<Instant>>,
    /// By the uid of the pod.
    pub sights: Expiring<SmolStr, Option<Sight>>,
}

/// Last sight of a pod.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    pub ready: bool,
    pub since: Instant,
    pub crashes: i32,
    /// When the last of them was first seen.
    pub crashed: Instant,
}

/// Writes to one object.
#[derive(Debug, Default)]
pub struct Done {
    pub rolls: Vec<Instant>,
    pub repairs: Vec<Instant>,
    pub rival: Option<SmolStr>,
}

/// When a status was written last, and since when it differs from what there is to say.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatusPace {
    pub written: Option<Instant>,
    pub differs: Option<Instant>,
}

impl StatusPace {
    pub fn left(self) -> Duration {
        let left = |since: Instant| STATUS_PACE.saturating_sub(since.elapsed());
        self.written.into_iter().chain(self.differs).map(left).max().unwrap_or_default()
    }
}
