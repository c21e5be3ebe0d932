//! The stable names of advice and of risks, which `spec.acknowledge` takes. docs/advisories.md explains each.

/// What is no fault and still worth a thought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Advice {
    NoSecondFactor,
    LookupSecretAlone,
    StricterWhoami,
    StricterSettings,
    NoRecoveryForLostFactor,
    RecoveryIsSecondFactor,
    DowntimeLikely,
    NoDrainDelay,
    UntargetedServer,
    SessionCache,
    OriginsNotCovered,
    NotCompared,
}

impl Advice {
    pub const ALL: [Self; 12] = [
        Self::NoSecondFactor,
        Self::LookupSecretAlone,
        Self::StricterWhoami,
        Self::StricterSettings,
        Self::NoRecoveryForLostFactor,
        Self::RecoveryIsSecondFactor,
        Self::DowntimeLikely,
        Self::NoDrainDelay,
        Self::UntargetedServer,
        Self::SessionCache,
        Self::OriginsNotCovered,
        Self::NotCompared,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSecondFactor => "NoSecondFactor",
            Self::LookupSecretAlone => "LookupSecretAlone",
            Self::StricterWhoami => "StricterWhoami",
            Self::StricterSettings => "StricterSettings",
            Self::NoRecoveryForLostFactor => "NoRecoveryForLostFactor",
            Self::RecoveryIsSecondFactor => "RecoveryIsSecondFactor",
            Self::DowntimeLikely => "DowntimeLikely",
            Self::NoDrainDelay => "NoDrainDelay",
            Self::UntargetedServer => "UntargetedServer",
            Self::SessionCache => "SessionCache",
            Self::OriginsNotCovered => "OriginsNotCovered",
            Self::NotCompared => "NotCompared",
        }
    }
}

/// What is refused until it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Risk {
    SettingsBypass,
    /// Followed by a colon and the method.
    MethodSwitchedOff,
    /// Followed by a colon and the new id.
    RelyingPartyChanged,
    CodeCountsForEveryone,
}

impl Risk {
    pub const ALL: [Self; 4] = [Self::SettingsBypass, Self::MethodSwitchedOff, Self::RelyingPartyChanged, Self::CodeCountsForEveryone];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SettingsBypass => "SettingsBypass",
            Self::MethodSwitchedOff => "MethodSwitchedOff",
            Self::RelyingPartyChanged => "RelyingPartyChanged",
            Self::CodeCountsForEveryone => "CodeCountsForEveryone",
        }
    }
}
