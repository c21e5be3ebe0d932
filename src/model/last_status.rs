//! What the status said last, as far as the next one needs it.

use k8s_openapi::jiff::Timestamp;
use smol_str::SmolStr;
use strum::{EnumString, IntoStaticStr};

use crate::api::ConditionType;
use crate::policy::Level;

/// What must be known of the status last written: whether another differs, and what it leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastStatus {
    /// Digest of the status without its times; zero where there is none.
    pub digest: u64,
    pub conditions: Vec<LastCondition>,
    /// Reason of Ready; empty where there is none.
    pub reason: SmolStr,
    /// Generation of the spec that it speaks of.
    pub generation: i64,
    /// What is in force.
    pub revision: Option<SmolStr>,
    /// Digest of the message of Ready, and of Overridden where that is there.
    pub message: u64,
    pub overridden: u64,
    /// The weakest levels that pods run; none where it tells none.
    pub running: Option<Levels>,
    /// The changes of the enforced level that it tells of, the newest last.
    pub transitions: Box<[Transition]>,
}

/// Levels as (settings, whoami); none where the server's own configuration decides.
pub type Levels = (Option<Level>, Option<Level>);

/// A change of the enforced level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    pub time: Timestamp,
    pub from: Levels,
    pub to: Levels,
    pub generation: i64,
    pub revision: Option<SmolStr>,
    pub manager: Option<SmolStr>,
    pub cause: Cause,
}

/// Why the enforced level changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
pub enum Cause {
    /// An edit of the policy, or pods that followed one.
    Policy,
    RolledBack,
    /// Somebody else changed the workload.
    Drift,
}

impl Cause {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastCondition {
    pub type_: ConditionType,
    /// `True`, `False`, or else `Unknown`.
    pub status: &'static str,
    pub since: Timestamp,
}

/// A level as the status says it.
#[must_use]
pub fn level_word(level: Option<Level>) -> &'static str {
    level.map_or("Unknown", Level::as_str)
}
