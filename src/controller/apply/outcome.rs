//! How the writes of one pass ended.

use std::time::Duration;

use crate::controller::error::Error;

/// How the writes of one look ended, those of the targets aside.
#[derive(Default)]
pub struct Outcome {
    /// The cluster refused something.
    pub refused: bool,
    /// The first error. The look goes on past it, so that one object holds up no other and the
    /// status is written.
    pub error: Option<Error>,
    /// When the status has its turn, where it waits for that.
    pub again: Option<Duration>,
}

impl Outcome {
    pub fn failed(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }
}
