//! Two clocks: the one of the wall, and the one that nobody can set.

use tokio::time::Instant;

use crate::model::Millis;

/// An instant by the clock that says `now`.
pub fn at(instant: Instant, now: Millis) -> Millis {
    now - Millis::try_from(instant.elapsed().as_millis()).unwrap_or(Millis::MAX)
}
