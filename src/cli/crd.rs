//! `mfa-operator crd`

use std::process::ExitCode;

pub fn run() -> ExitCode {
    match serde_json::to_value(crate::api::crd()).map(|crd| crate::document::to_plain_yaml(&crd)) {
        Ok(Ok(yaml)) => crate::cli::output::print(&format!(
            "# Generated from src/api by `make generate`. Do not edit.\n{yaml}"
        )),
        Ok(Err(error)) => crate::cli::output::fail(&error),
        Err(error) => crate::cli::output::fail(&error),
    }
}
