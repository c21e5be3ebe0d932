//! Condition types and reasons, each word once.

use strum::{EnumString, IntoStaticStr};

/// Types of `status.conditions[]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumString, IntoStaticStr)]
pub enum ConditionType {
    /// The spec, its targets, claims and ownership are in order.
    Accepted,
    /// Every target's pods run the current revision.
    RolledOut,
    /// The pods themselves confirm that they run it.
    Effective,
    /// Something in a workload can beat the policy. Present only while true.
    Overridden,
    /// All that can be told says that the policy is enforced.
    Ready,
    /// kstatus: the operator works on it, or waits for something that may resolve by itself. Present only
    /// while true.
    Reconciling,
    /// kstatus: it goes no further without an edit. Present only while true.
    Stalled,
}

impl ConditionType {
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Reasons of conditions. The same words name the events that tell of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumString, IntoStaticStr)]
pub enum Reason {
    Accepted,
    InvalidSpec,
    NotKratos,
    TargetNotFound,
    Unreadable,
    ContainerNotFound,
    NotWired,
    TargetClaimed,
    ConfigMapTaken,
    FieldConflict,
    WriteRefused,
    RolledOut,
    NoPods,
    PodsOfAnotherOwner,
    Progressing,
    Waiting,
    TargetPaused,
    Crashing,
    RolledBack,
    Suspended,
    Overridden,
    Confirmed,
    HashesAgree,
    NotSupported,
    Off,
    Unreachable,
    Mismatch,
    Ready,
}

impl Reason {
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether nothing but an edit resolves it. Everything else that keeps a policy from being
    /// ready may resolve by itself, for example later in the same GitOps apply.
    #[must_use]
    pub fn is_stalled(self) -> bool {
        matches!(
            self,
            Self::InvalidSpec
                | Self::NotKratos
                | Self::Unreadable
                | Self::ContainerNotFound
                | Self::TargetClaimed
                | Self::ConfigMapTaken
                | Self::FieldConflict
                | Self::RolledBack
                | Self::Suspended
                | Self::Overridden
                | Self::Mismatch
        )
    }
}
