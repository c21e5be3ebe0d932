//! Tests that need an API server but no pods: admission, ownership, what is written and when.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test has a clock, files and a client; src's pure rooms have not"
)]

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "the end-to-end tests use more of it")]
#[path = "../e2e/kratos.rs"]
mod client;

mod account;
mod admission;
mod adoption;
mod advice;
mod audit;
mod between;
mod browser;
mod claims;
mod config_file;
mod config_file_faults;
mod confined_file;
mod confinement;
mod definition;
mod docs;
mod drift;
mod election;
mod failing;
mod faults;
mod guards;
mod history;
mod hostile;
mod kinds;
mod leftovers;
mod merged;
mod metrics;
mod mutation;
mod objects;
mod others;
mod overrides;
mod ownership;
mod pages;
mod plugin;
mod records;
mod refusals;
mod restart;
mod restored;
mod reversal;
mod rights;
mod risks;
mod runbook;
mod scene;
mod self_test;
mod server;
mod sharing;
mod signals;
mod stage;
mod stand_in;
mod steady;
mod stolen;
mod storms;
mod suspended;
mod tokens;
mod unreadable;
mod verification;
mod weakening;
mod who;
mod wire;
