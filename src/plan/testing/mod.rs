//! What tests of decisions are made from.

pub mod fixtures;
pub mod simulation;
