//! Condition types and reasons, each word once.

/// Types of `status.conditions[]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    const ALL: [Self; 7] = [
        Self::Accepted,
        Self::RolledOut,
        Self::Effective,
        Self::Overridden,
        Self::Ready,
        Self::Reconciling,
        Self::Stalled,
    ];

    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|type_| type_.as_str() == word)
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::RolledOut => "RolledOut",
            Self::Effective => "Effective",
            Self::Overridden => "Overridden",
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

/// Reasons of conditions. The same words name the events that tell of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    const ALL: [Self; 28] = [
        Self::Accepted,
        Self::InvalidSpec,
        Self::NotKratos,
        Self::TargetNotFound,
        Self::Unreadable,
        Self::ContainerNotFound,
        Self::NotWired,
        Self::TargetClaimed,
        Self::ConfigMapTaken,
        Self::FieldConflict,
        Self::WriteRefused,
        Self::RolledOut,
        Self::NoPods,
        Self::PodsOfAnotherOwner,
        Self::Progressing,
        Self::Waiting,
        Self::TargetPaused,
        Self::Crashing,
        Self::RolledBack,
        Self::Suspended,
        Self::Overridden,
        Self::Confirmed,
        Self::HashesAgree,
        Self::NotSupported,
        Self::Off,
        Self::Unreachable,
        Self::Mismatch,
        Self::Ready,
    ];

    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::InvalidSpec => "InvalidSpec",
            Self::NotKratos => "NotKratos",
            Self::TargetNotFound => "TargetNotFound",
            Self::Unreadable => "Unreadable",
            Self::ContainerNotFound => "ContainerNotFound",
            Self::NotWired => "NotWired",
            Self::TargetClaimed => "TargetClaimed",
            Self::ConfigMapTaken => "ConfigMapTaken",
            Self::FieldConflict => "FieldConflict",
            Self::WriteRefused => "WriteRefused",
            Self::RolledOut => "RolledOut",
            Self::NoPods => "NoPods",
            Self::PodsOfAnotherOwner => "PodsOfAnotherOwner",
            Self::Progressing => "Progressing",
            Self::Waiting => "Waiting",
            Self::TargetPaused => "TargetPaused",
            Self::Crashing => "Crashing",
            Self::RolledBack => "RolledBack",
            Self::Suspended => "Suspended",
            Self::Overridden => "Overridden",
            Self::Confirmed => "Confirmed",
            Self::HashesAgree => "HashesAgree",
            Self::NotSupported => "NotSupported",
            Self::Off => "Off",
            Self::Unreachable => "Unreachable",
            Self::Mismatch => "Mismatch",
            Self::Ready => "Ready",
        }
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
