//! The MFA operator: one `MfaPolicy` becomes the configuration of an identity server,
//! and every pod of that server is made to demand the assurance level that the policy states.
//!
//! `ARCHITECTURE.md` has the map. Dependencies point down:
//! controller → plan → server → document, and all of them → policy and api.

pub mod admin;
pub mod api;
pub mod cli;
pub mod controller;
pub mod document;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod http;
pub mod leader;
pub mod lint;
pub mod model;
pub mod plan;
pub mod policy;
pub mod server;
pub mod telemetry;
