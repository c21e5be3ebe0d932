//! What the pods of a target can prove, and how that is told.

use std::fmt::Display;

use smol_str::SmolStr;

use super::pod::Pod;

use crate::api::Reason;

/// What the pods of a target prove, the worst first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// They do not run it, and had the time.
    Mismatch(String),
    Unreachable(String),
    /// They may still be about to run it, or to be asked.
    Pending(String),
    /// No answer can tell.
    NotSupported(String),
    Agree {
        /// The one digest, where it is to be remembered.
        answer: Option<SmolStr>,
    },
    Confirmed,
    NoPods,
}

impl Proof {
    /// A pod of the target that does not answer.
    pub fn unreachable(target: &impl Display, pod: &Pod) -> Proof {
        Proof::Unreachable(format!(
            "pod {} of {target} does not answer at its admin port /admin/health/config: let the operator reach it, or correct spec.verification.port",
            pod.name
        ))
    }

    /// A pod of the target that cannot be asked.
    pub fn unasked(target: &impl Display, pod: &Pod) -> Proof {
        Proof::NotSupported(format!(
            "pod {} of {target} is not asked: it is on the network of its node, has no address, or no port of the name in spec.verification.port",
            pod.name
        ))
    }

    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Mismatch(_) => Reason::Mismatch,
            Self::Unreachable(_) => Reason::Unreachable,
            Self::Pending(_) => Reason::Progressing,
            Self::NotSupported(_) => Reason::NotSupported,
            Self::Agree { .. } => Reason::HashesAgree,
            Self::Confirmed => Reason::Confirmed,
            Self::NoPods => Reason::NoPods,
        }
    }

    /// Whether asking again soon would tell nothing new.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::NotSupported(_) | Self::Agree { .. } | Self::Confirmed | Self::NoPods)
    }

    #[must_use]
    pub fn message(self) -> String {
        match self {
            Self::Mismatch(message)
            | Self::Unreachable(message)
            | Self::Pending(message)
            | Self::NotSupported(message) => message,
            Self::Agree { .. } => {
                "all ready pods of each target answer one and the same digest of their configuration".into()
            }
            Self::Confirmed => "every ready pod answers the revision of the policy".into(),
            Self::NoPods => "no pod is ready to be asked".into(),
        }
    }
}
