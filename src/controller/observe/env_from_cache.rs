//! What config maps hold that containers take variables from, as long as it counts.

use std::time::Duration;

use parking_lot::Mutex;
use smol_str::SmolStr;
use tokio::time::Instant;

use crate::controller::expiring::Expiring;
use crate::model::{EnvFrom, Millis, Workload};

/// More than any container takes: the rest is told as not looked at.
pub const MOST: usize = 16;

/// Names kept of one ConfigMap of `envFrom`: more than any container takes. The rest is told as not looked
/// at.
pub const MOST_NAMES: usize = 32;

/// How long what was read is good for, and by how much workloads differ in that.
pub const GOOD_FOR: Duration = Duration::from_secs(540);

pub const SPREAD: u64 = 120_000;

/// What was read, by the uid of the workload. Lost at a restart, and read again.
#[derive(Debug, Default)]
pub struct Known(Mutex<Expiring<SmolStr, Read>>);

#[derive(Debug)]
pub struct Read {
    /// Generation of the workload for which it was read.
    generation: i64,
    container: SmolStr,
    /// Without its end, which is by the clock that nobody can set.
    found: EnvFrom,
}

impl Known {
    pub fn get(&self, workload: &Workload, container: &str, now: Millis) -> Option<EnvFrom> {
        let (known, moment) = (self.0.lock(), Instant::now());
        let (read, until) = known.get(&workload.uid, moment)?;
        let is_same = read.generation == workload.generation && read.container == container;
        let left = until.saturating_duration_since(moment);
        is_same.then(|| EnvFrom { until: Some(after(now, left)), ..read.found.clone() })
    }

    pub fn put(&self, workload: &Workload, container: &str, found: EnvFrom, good_for: Duration) {
        let now = Instant::now();
        let read = Read { generation: workload.generation, container: container.into(), found };
        self.0.lock().insert(workload.uid.clone(), read, now + good_for, now);
    }
}

/// Spreads the next reads of workloads, so that they do not come at once.
pub fn spread(uid: &str) -> Duration {
    Duration::from_millis(uid.bytes().fold(0, |sum, byte| (sum * 31 + u64::from(byte)) % SPREAD))
}

pub fn after(now: Millis, pause: Duration) -> Millis {
    now.saturating_add(Millis::try_from(pause.as_millis()).unwrap_or(Millis::MAX))
}
