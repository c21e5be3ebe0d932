//! Tests that need an API server but no pods: admission, ownership, what is written and when.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test has a clock, files and a client; src's pure rooms have not"
)]

#[path = "../support/mod.rs"]
mod support;

mod admission;
mod audit;
mod claims;
mod config_file;
mod config_file_faults;
mod definition;
mod drift;
mod kinds;
mod merged;
mod objects;
mod ownership;
mod refusals;
mod restart;
mod reversal;
mod rights;
mod scene;
mod sharing;
mod steady;
mod suspended;
mod wire;
