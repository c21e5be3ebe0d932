//! The fence: until when this process may write. It is asked by every socket that writes go through,
//! immediately before each byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::election::Uptime;

/// Time since the machine started. It goes on while the process is stopped and, unlike the clock of
/// `Instant`, while the machine sleeps.
pub(super) fn uptime() -> Uptime {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// Shared by all who write.
#[derive(Clone, Debug)]
pub struct Fence(Arc<AtomicU64>);

impl Fence {
    /// Nothing may be written before [`Fence::open_until`].
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(AtomicU64::new(0)))
    }

    /// Makes a fence that is always open, for an operator without election.
    #[must_use]
    pub fn open() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }

    pub(super) fn open_until(&self, until: Uptime) {
        self.0.store(u64::try_from(until.as_nanos()).unwrap_or_default(), Ordering::SeqCst);
    }

    pub(super) fn close(&self) {
        self.0.store(0, Ordering::SeqCst);
    }

    #[must_use]
    pub fn is_open(&self) -> bool {
        uptime().as_nanos() < u128::from(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_closes_by_itself() {
        let fence = Fence::closed();
        let shared = fence.clone();
        assert!(!shared.is_open());
        fence.open_until(uptime() + Duration::from_secs(60));
        assert!(shared.is_open());
        fence.open_until(uptime());
        assert!(!shared.is_open(), "its time is over, and nobody closed it");
        assert!(Fence::open().is_open());
        let alone = Fence::open();
        alone.close();
        assert!(!alone.is_open());
    }
}
