//! What config maps hold that containers take variables from, as long as it counts.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::time::Instant;

use crate::model::{EnvFrom, Millis, Workload};

/// More than any container takes: the rest is told as not looked at.
pub const MOST: usize = 16;

/// Likewise of names in one of them.
pub const MOST_NAMES: usize = 32;

/// How long what was read is good for, and by how much workloads differ in that.
pub const GOOD_FOR: Duration = Duration::from_secs(540);

pub const SPREAD: u64 = 120_000;

/// What was read, by the uid of the workload. Lost at a restart, and read again.
#[derive(Debug, Default)]
pub struct Known(Mutex<HashMap<SmolStr, Read>>);

#[derive(Debug)]
pub struct Read {
    /// Of the workload, and which of its containers.
    generation: i64,
    container: SmolStr,
    /// Without its end, which is by the clock that nobody can set.
    found: EnvFrom,
    until: Instant,
}

impl Known {
    pub fn get(&self, workload: &Workload, container: &str, now: Millis) -> Option<EnvFrom> {
        let known = self.0.lock();
        let read = known
            .get(&workload.uid)
            .filter(|read| read.generation == workload.generation && read.container == container)?;
        let left = read.until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then(|| EnvFrom { until: Some(after(now, left)), ..read.found.clone() })
    }

    pub fn put(&self, workload: &Workload, container: &str, found: EnvFrom, good_for: Duration) {
        let mut known = self.0.lock();
        // Those that nobody asks for any more.
        known.retain(|_, read| read.until.elapsed() < GOOD_FOR);
        let until = Instant::now() + good_for;
        known.insert(
            workload.uid.clone(),
            Read { generation: workload.generation, container: container.into(), found, until },
        );
    }
}

/// So that not all are read at once.
pub fn spread(uid: &str) -> Duration {
    Duration::from_millis(uid.bytes().fold(0, |sum, byte| (sum * 31 + u64::from(byte)) % SPREAD))
}

pub fn after(now: Millis, pause: Duration) -> Millis {
    now.saturating_add(Millis::try_from(pause.as_millis()).unwrap_or(Millis::MAX))
}
