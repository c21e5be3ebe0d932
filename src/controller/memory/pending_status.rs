//! What a status that could not be written would have told.

use crate::plan::News;

/// What a status is about to tell, until it is known to be written.
#[derive(Debug)]
pub struct Untold {
    pub news: News,
    /// The policy was suspended, or is no more.
    pub turned: bool,
    pub revision: Option<String>,
    pub targets: String,
}
