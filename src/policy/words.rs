//! The closed sets of words that a spec may use.

/// An assurance level as Kratos names it. The order is from weak to strong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Aal1,
    HighestAvailable,
}

impl Level {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aal1 => "aal1",
            Self::HighestAvailable => "highest_available",
        }
    }

    /// The level that `word` names, if Kratos knows it.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Aal1, Self::HighestAvailable].into_iter().find(|level| level.as_str() == word)
    }
}

/// What a target is. Workloads whose pods end by themselves are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    #[default]
    Deployment,
    StatefulSet,
    DaemonSet,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Deployment, Self::StatefulSet, Self::DaemonSet];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }

    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the settings reach the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Delivery {
    #[default]
    Environment,
    ConfigFile,
}

impl Delivery {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "Environment",
            Self::ConfigFile => "ConfigFile",
        }
    }

    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Environment, Self::ConfigFile].into_iter().find(|delivery| delivery.as_str() == word)
    }
}

/// What to do about a field that another manager set to another value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldConflicts {
    #[default]
    Refuse,
    TakeOver,
}

impl FieldConflicts {
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "Refuse" => Some(Self::Refuse),
            "TakeOver" => Some(Self::TakeOver),
            _ => None,
        }
    }
}

/// What happens to a revision that new pods do not survive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    #[default]
    Rollback,
    Hold,
}

impl OnFailure {
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "Rollback" => Some(Self::Rollback),
            "Hold" => Some(Self::Hold),
            _ => None,
        }
    }
}

/// Whether pods are asked, and what their silence means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerificationMode {
    #[default]
    IfSupported,
    Required,
    Off,
}

impl VerificationMode {
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "IfSupported" => Some(Self::IfSupported),
            "Required" => Some(Self::Required),
            "Off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// What becomes of a governed workload when its policy is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum DeletionPolicy {
    #[default]
    Revert,
    Retain,
}

impl DeletionPolicy {
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "Revert" => Some(Self::Revert),
            "Retain" => Some(Self::Retain),
            _ => None,
        }
    }
}
