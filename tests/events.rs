//! docs/events.md explains every reason that an event can have, and no other; the arguments of the program keep
//! strangers away from what changes the log.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test reads files and runs programs; src's pure rooms do not")]

use std::collections::BTreeSet;
use std::process::Command;

use mfa_operator::api::EventReason;

#[test]
fn every_reason_is_explained_and_none_that_is_not_there() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/events.md")).expect("the page is there");
    let explained: BTreeSet<_> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let told: BTreeSet<_> = EventReason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(told.len(), EventReason::ALL.len(), "a reason is listed twice");
    assert_eq!(explained, told);
}

/// No other machine may turn the log up or down.
#[test]
fn the_log_is_changed_from_within_alone() {
    for address in ["0.0.0.0:8081", "[::]:8081", "10.0.0.1:8081", "8081"] {
        let run = Command::new(env!("CARGO_BIN_EXE_mfa-operator")).args(["run", "--admin-listen", address]).output().expect("it runs");
        let complaint = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(!run.status.success() && complaint.contains("--admin-listen"), "{address}: {complaint}");
    }
}
