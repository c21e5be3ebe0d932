//! docs/events.md explains every reason that an event can have, and no other.
#![allow(clippy::disallowed_methods, reason = "a test reads files; src's pure rooms do not")]

use std::collections::BTreeSet;

use mfa_operator::api::EventReason;

#[test]
fn every_reason_is_explained_and_none_that_is_not_there() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/events.md"))
        .expect("the page is there");
    let explained: BTreeSet<_> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let told: BTreeSet<_> = EventReason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(told.len(), EventReason::ALL.len(), "a reason is listed twice");
    assert_eq!(explained, told);
}
