//! What a pod says when it is asked for its configuration.

use crate::document::is_digest;
use crate::server::kratos::is_revision;
use smol_str::SmolStr;

/// What a pod answered when it was asked for its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The digest of its merged configuration.
    Hash(SmolStr),
    /// The revision that stands in its configuration.
    Marker(SmolStr),
    /// Something else, which says nothing about it.
    Other,
    Unreachable,
    /// There was no time to ask it.
    NotYet,
}

/// Digits of a SHA-256 in hex.
const HASH_DIGITS: usize = 64;

impl Answer {
    /// Reads a body of one of the two known shapes. Nothing else is kept.
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        match std::str::from_utf8(body).map(str::trim_end) {
            Ok(text) if is_digest(text, HASH_DIGITS) => Self::Hash(text.into()),
            Ok(text) if is_revision(text) => Self::Marker(text.into()),
            _ => Self::Other,
        }
    }
}
