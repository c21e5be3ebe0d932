//! `mfa-operator names`: for `make generate`, the names that the chart's admission rules confine the operator to.

use std::process::ExitCode;

use crate::{api, server::kratos};

pub(super) fn run() -> ExitCode {
    let names = serde_json::json!({
        "variables": kratos::governed_names(),
        "file": kratos::governed_file(),
        "policyLabel": api::POLICY_LABEL,
        "governedAnnotation": api::GOVERNED_ANNOTATION,
        "appliedAnnotation": api::APPLIED_ANNOTATION,
        "verdictAnnotation": api::VERDICT_ANNOTATION,
        "allowAnnotation": api::ALLOW_ANNOTATION,
        "configKey": api::CONFIG_KEY,
    });
    super::output::print(&format!("{names:#}\n"))
}
