//! Why something cannot be.

use crate::api::Reason;

/// Why something cannot be, for the status.
pub type Refusal = (Reason, String);
