//! `mfa-operator names`: for `make generate`, what the chart's admission rules hold the operator to: names of
//! what it may write, and forms of what it may write there.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use crate::api::{self, rules};
use crate::leader::{HOLDER_SUFFIX, Terms};
use crate::model as record;
use crate::policy::{Delivery, Kind};
use crate::server::kratos::{self, ValueForm};

pub fn run() -> ExitCode {
    let (settings, whoami) = kratos::level_variables();
    let variables: Map<_, Value> =
        kratos::governed_variables().into_iter().map(|(name, form)| (name, form.into())).collect();
    let names = json!({
        "manager": api::MANAGER,
        "variables": variables,
        "longestVariable": kratos::LONGEST_VARIABLE,
        "levelVariables": [settings, whoami],
        "revisionVariable": kratos::REVISION,
        "file": kratos::governed_file(),
        "policyLabel": api::POLICY_LABEL,
        "governedAnnotation": api::GOVERNED_ANNOTATION,
        "appliedAnnotation": api::APPLIED_ANNOTATION,
        "verdictAnnotation": api::VERDICT_ANNOTATION,
        "allowAnnotation": api::ALLOW_ANNOTATION,
        "configKey": api::CONFIG_KEY,
        "configMapSuffix": rules::CONFIG_MAP_SUFFIX,
        "record": {
            "name": record::NAME_PATTERN,
            "overlay": overlay(),
            "deliveries": [Delivery::Environment.as_str(), Delivery::ConfigFile.as_str()],
            "kinds": Kind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
            "longestName": rules::MAX_NAME,
            "targets": rules::MAX_TARGETS,
        },
        "lease": {"seconds": Terms::default().duration.as_secs(), "holderSuffix": HOLDER_SUFFIX},
    });
    crate::cli::output::print(&format!("{names:#}\n"))
}

/// The tree of an overlay with every key. At its leaves stand `true` for true or false, the form of a text,
/// or the form of an item and how many there may be.
fn overlay() -> Value {
    let mut tree = json!({});
    for (path, form) in kratos::forms() {
        *path.split('.').fold(&mut tree, |at, key| &mut at[key]) = match (form.as_text(), &form) {
            (None, _) => true.into(),
            (Some(item), ValueForm::List { most, .. }) => json!([item, most]),
            (Some(text), _) => text.into(),
        };
    }
    tree
}
