//! The closed sets of words that a spec may use.

use strum::{EnumString, IntoStaticStr, VariantArray};

/// An assurance level as Kratos names it. The order is from weak to strong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Level {
    Aal1,
    HighestAvailable,
}

impl Level {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The level that `word` names, if Kratos knows it.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

/// What a target is. Workloads whose pods end by themselves are none.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, EnumString, IntoStaticStr, VariantArray,
)]
pub enum Kind {
    #[default]
    Deployment,
    StatefulSet,
    DaemonSet,
}

impl Kind {
    pub const ALL: &[Self] = Self::VARIANTS;

    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the settings reach the server.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    EnumString,
    IntoStaticStr,
)]
pub enum Delivery {
    #[default]
    Environment,
    ConfigFile,
}

impl Delivery {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

/// What to do about a field that another manager set to another value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString)]
pub enum FieldConflicts {
    #[default]
    Refuse,
    TakeOver,
}

impl FieldConflicts {
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

/// What happens to a revision that new pods do not survive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString)]
pub enum OnFailure {
    #[default]
    Rollback,
    Hold,
}

impl OnFailure {
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

/// Whether pods are asked, and what their silence means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString)]
pub enum VerificationMode {
    #[default]
    IfSupported,
    Required,
    Off,
}

impl VerificationMode {
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

/// What becomes of a governed workload when its policy is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, EnumString)]
pub enum DeletionPolicy {
    #[default]
    Revert,
    Retain,
}

impl DeletionPolicy {
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}
