//! What is remembered on the newest record, and which records are kept.

pub mod applied;
pub mod last_applied;
pub mod prune;
