//! How things stand with a failure.

use crate::model::FailedRevision;

/// How things stand with a failure of what the policy asks for.
#[derive(Clone, Debug, Default)]
pub enum Failure {
    /// None is noted, and none is seen.
    #[default]
    None,
    /// It is seen now: it is noted, and acted on by the next look.
    Detected(FailedRevision),
    /// It is noted and in force: targets have what they had before, or go back to it.
    RolledBack(FailedRevision),
    /// It is noted and not in force any more: that is noted, so that what is tried again counts as in force.
    Retrying(FailedRevision),
    /// It is noted, and the revision runs well everywhere by now: the note is removed.
    Recovered,
}

impl Failure {
    /// The failure for which targets go back, or went.
    #[must_use]
    pub fn rolled_back(&self) -> Option<&FailedRevision> {
        match self {
            Self::RolledBack(verdict) => Some(verdict),
            Self::None | Self::Detected(_) | Self::Retrying(_) | Self::Recovered => None,
        }
    }
}
