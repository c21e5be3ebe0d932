//! The rendered file, and whether the config map holds it.

use crate::model::Millis;
use crate::plan::config_map::content;
use crate::plan::desired::Desired;
use crate::plan::input::Observed;
use crate::policy::Delivery;

/// How often pods are asked that could not be reached, or answer otherwise than they should.
pub const ASK_AGAIN: Millis = 60_000;

/// Whether pods read the policy from a file, and not from their variables.
#[must_use]
pub fn is_by_file(desired: &Desired) -> bool {
    desired.rendered.delivery == Delivery::ConfigFile
}

/// Whether the config map holds the file that is desired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    AsDesired,
    Other,
}

impl File {
    /// Before anything is written.
    #[must_use]
    pub fn found(observed: &Observed, desired: &Desired) -> Self {
        match observed.config_map(&desired.config_map) {
            Some(found) if found.content.as_deref() == Some(&*content(&desired.rendered)) => Self::AsDesired,
            _ => Self::Other,
        }
    }
}

/// How long pods may take to read a new file. The kubelet needs up to a minute and a half.
pub const READ_WITHIN: Millis = 180_000;
