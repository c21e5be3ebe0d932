//! The validated policy: what every later step may rely on. Parsing a spec yields either a
//! [`Policy`] or the list of [`Rejection`]s, each with its field and the remedy.

use smol_str::SmolStr;

mod factor;
mod parse;
mod words;

pub use factor::{Factor, RelyingParty};
pub use parse::{is_object_name, nanoseconds, parse, parse_verification};
pub use words::{DeletionPolicy, Delivery, FieldConflicts, Kind, Level, OnFailure, VerificationMode};

/// A spec that passed every rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub targets: Vec<Target>,
    pub settings: Option<Level>,
    pub whoami: Option<Level>,
    /// In Go's duration syntax, from a minute to a day.
    pub privileged_session_max_age: Option<SmolStr>,
    /// At most one of each kind, in the order of [`Factor`].
    pub factors: Vec<Factor>,
    pub delivery: Delivery,
    pub config_map: SmolStr,
    pub history_limit: usize,
    /// In milliseconds.
    pub progress_timeout: i64,
    pub on_failure: OnFailure,
    pub verification: Verification,
    pub field_conflicts: FieldConflicts,
    pub deletion_policy: DeletionPolicy,
    pub acknowledge: Vec<SmolStr>,
}

impl Policy {
    /// Whether it takes this advice or risk on purpose.
    #[must_use]
    pub fn acknowledges(&self, word: &str) -> bool {
        self.acknowledge.iter().any(|known| **known == *word)
    }
}

/// How pods are asked what they run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    pub mode: VerificationMode,
    /// Name or number of a container port.
    pub port: SmolStr,
    /// In milliseconds.
    pub timeout: i64,
}

impl Default for Verification {
    fn default() -> Self {
        Self { mode: VerificationMode::default(), port: "http-admin".into(), timeout: 2_000 }
    }
}

/// A workload that the policy names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub kind: Kind,
    pub name: SmolStr,
    pub container: Option<SmolStr>,
}

/// Why a spec is refused: data for the user, who must edit something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Path of the field, for example `spec.requiredAAL.settings`.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}
