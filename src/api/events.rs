//! The stable reasons of events, each word once. docs/events.md explains each.

use super::Reason;

/// Why an event is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventReason {
    /// What Ready says now.
    Ready(Reason),
    RolloutStarted,
    RolledOut,
    LevelChanged,
    RolledBackWeaker,
    Retrying,
    Resumed,
    TakenByAge,
    DriftRepaired,
    StuckPodDeleted,
    RecordIgnored,
    ReversalDelayed,
    Reverted,
    LeftAsIs,
}

impl EventReason {
    pub const ALL: [Self; 36] = [
        Self::Ready(Reason::Ready),
        Self::Ready(Reason::Progressing),
        Self::Ready(Reason::NoPods),
        Self::Ready(Reason::InvalidSpec),
        Self::Ready(Reason::NotKratos),
        Self::Ready(Reason::TargetNotFound),
        Self::Ready(Reason::Unreadable),
        Self::Ready(Reason::ContainerNotFound),
        Self::Ready(Reason::NotWired),
        Self::Ready(Reason::TargetClaimed),
        Self::Ready(Reason::ConfigMapTaken),
        Self::Ready(Reason::FieldConflict),
        Self::Ready(Reason::WriteRefused),
        Self::Ready(Reason::Waiting),
        Self::Ready(Reason::TargetPaused),
        Self::Ready(Reason::Crashing),
        Self::Ready(Reason::RolledBack),
        Self::Ready(Reason::Suspended),
        Self::Ready(Reason::Overridden),
        Self::Ready(Reason::PodsOfAnotherOwner),
        Self::Ready(Reason::Mismatch),
        Self::Ready(Reason::Unreachable),
        Self::Ready(Reason::NotSupported),
        Self::RolloutStarted,
        Self::RolledOut,
        Self::LevelChanged,
        Self::RolledBackWeaker,
        Self::Retrying,
        Self::Resumed,
        Self::TakenByAge,
        Self::DriftRepaired,
        Self::StuckPodDeleted,
        Self::RecordIgnored,
        Self::ReversalDelayed,
        Self::Reverted,
        Self::LeftAsIs,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready(reason) => reason.as_str(),
            Self::RolloutStarted => "RolloutStarted",
            Self::RolledOut => Reason::RolledOut.as_str(),
            Self::LevelChanged => "LevelChanged",
            Self::RolledBackWeaker => "RolledBackWeaker",
            Self::Retrying => "Retrying",
            Self::Resumed => "Resumed",
            Self::TakenByAge => "TakenByAge",
            Self::DriftRepaired => "DriftRepaired",
            Self::StuckPodDeleted => "StuckPodDeleted",
            Self::RecordIgnored => "RecordIgnored",
            Self::ReversalDelayed => "ReversalDelayed",
            Self::Reverted => "Reverted",
            Self::LeftAsIs => "LeftAsIs",
        }
    }
}
