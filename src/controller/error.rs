//! Errors of the world.

use crate::model::bounded;

/// An error of the world: it backs off and is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Api(#[from] kube::Error),
    #[error("what is to be remembered of the policy is longer than what is read back")]
    TooLong,
    #[error("it changed meanwhile")]
    Stale,
    #[error("the cluster refused a write; the event before this line says why")]
    Refused,
    #[error("the API server did not answer in time")]
    Deadline,
    #[error("the MfaPolicy definition is not there; install crds/mfapolicies.yaml")]
    NotServed,
    #[error("a task failed: {0}")]
    Panic(#[from] tokio::task::JoinError),
}

impl Error {
    /// Class of the error, in one word, for the metric.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Api(kube::Error::Api(status)) => match status.code {
                401 | 403 => "forbidden",
                400..=499 => "rejected",
                _ => "server",
            },
            Self::Api(kube::Error::Service(_) | kube::Error::HyperError(_)) => "unreachable",
            Self::Stale | Self::TooLong | Self::Refused | Self::Api(_) | Self::NotServed | Self::Panic(_) => {
                "other"
            }
        }
    }
}

/// An error for the log: the cluster's words in it may be another's.
pub fn words(error: &impl std::fmt::Display) -> String {
    bounded(&error.to_string())
}
