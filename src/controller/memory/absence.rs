//! How long nothing is undone of a policy that is gone.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Millis, Pauses};

/// Number of policies from which on many are gone, if they are also one in [`PART`] of all.
pub const MANY: usize = 5;

pub const PART: usize = 10;

/// A policy that is gone.
#[derive(Debug)]
pub struct Gone {
    pub since: Instant,
    /// Nothing of it is left: it is held as long as it counts among the many.
    pub over: bool,
    /// It was told that it is one of many.
    pub told: bool,
}

impl Gone {
    pub fn now() -> Self {
        Self { since: Instant::now(), over: false, told: false }
    }

    pub fn counts(&self, pauses: Pauses) -> bool {
        !self.over || left(pauses.many_gone, self.since.elapsed()).is_some()
    }
}

/// How many gone ones are many beside so many that are there.
pub fn many(there: usize) -> usize {
    MANY.max(there.div_ceil(PART - 1))
}

/// What is left of the pause, rounded up: a look that comes a moment early has to come again, and
/// nothing else may come to pass that would bring it.
pub fn left(pause: Millis, gone: Duration) -> Option<Millis> {
    let gone = Millis::try_from(gone.as_millis()).unwrap_or(Millis::MAX);
    Some(pause - gone).filter(|left| *left > 0)
}
