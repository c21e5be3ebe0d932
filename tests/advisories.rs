//! docs/advisories.md explains every name that a status or a refusal tells, and no other.
#![allow(clippy::disallowed_methods, reason = "a test reads files; src's pure rooms do not")]

use std::collections::BTreeSet;

use mfa_operator::api::{Advice, Risk};

fn explained() -> BTreeSet<String> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/advisories.md"))
        .expect("the page is there");
    page.lines().filter_map(|line| line.strip_prefix("### ")).map(Into::into).collect()
}

#[test]
fn every_name_is_explained_and_none_that_is_not_there() {
    let advice = Advice::ALL.iter().map(|advice| advice.as_str());
    let risks = Risk::ALL.iter().map(|risk| risk.as_str());
    let told: BTreeSet<String> = advice.chain(risks).map(Into::into).collect();
    assert_eq!(explained(), told);
}

/// `kubectl explain` names every risk.
#[test]
fn the_definition_names_every_risk() {
    let definition = serde_json::to_string(&mfa_operator::api::crd()).expect("a definition is JSON");
    for risk in Risk::ALL {
        assert!(definition.contains(risk.as_str()), "{} is not in the definition", risk.as_str());
    }
}
