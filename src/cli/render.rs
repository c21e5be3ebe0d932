//! `mfa-operator render`: what a policy becomes, without a cluster.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::api::{self, MfaPolicy};
use crate::document;
use crate::policy;
use crate::server::kratos;

#[derive(Args)]
pub(super) struct Options {
    /// File with one MfaPolicy as YAML or JSON; - reads standard input
    #[arg(short, long, value_name = "FILE")]
    filename: PathBuf,

    /// The configuration file that the policy becomes, or its environment variables
    #[arg(long = "as", value_enum, default_value = "file")]
    form: Form,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    File,
    Env,
}

pub(super) fn run(options: &Options) -> ExitCode {
    let text = match read(&options.filename) {
        Ok(text) => text,
        Err(error) => return super::fail(&format!("{}: {error}", options.filename.display())),
    };
    let resource = match policy_in(&text) {
        Ok(resource) => resource,
        Err(error) => return super::fail(&format!("{}: {error}", options.filename.display())),
    };
    let name = resource.metadata.name.unwrap_or_default();
    match policy::parse(&name, &resource.spec) {
        Ok(policy) => {
            let rendered = kratos::render(&name, kratos::Overlay::of(&policy));
            match options.form {
                Form::File => print!("{}", rendered.file),
                Form::Env => rendered.variables.iter().for_each(|variable| println!("{}={}", variable.name, variable.value)),
            }
            ExitCode::SUCCESS
        }
        Err(rejections) => {
            for rejection in rejections {
                eprintln!("{}: {rejection}", options.filename.display());
            }
            ExitCode::FAILURE
        }
    }
}

/// The policy in `text`, which must be one and hold no field that a policy does not have: a
/// mistyped field would be lost without a word.
fn policy_in(text: &str) -> Result<MfaPolicy, String> {
    let not_one = |error: &dyn std::fmt::Display| format!("not an MfaPolicy: {error}");
    let raw: Value = document::from_yaml(text).map_err(|error| not_one(&error))?;
    let word = |name: &str| raw.get(name).and_then(Value::as_str).unwrap_or_default();
    let version = format!("{}/{}", api::GROUP, api::VERSION);
    if (word("apiVersion"), word("kind")) != (&version, api::KIND) {
        return Err(format!("expected apiVersion {version} and kind {}, found {:?} and {:?}", api::KIND, word("apiVersion"), word("kind")));
    }
    let resource: MfaPolicy = document::from_yaml(text).map_err(|error| not_one(&error))?;
    let known = serde_json::to_value(&resource.spec).map_err(|error| not_one(&error))?;
    match unknown_field("spec", raw.get("spec").unwrap_or(&Value::Null), &known) {
        Some(field) => Err(format!("{field}: there is no such field: compare it with kubectl explain mfapolicy.{}", field_above(&field))),
        None => Ok(resource),
    }
}

/// The first field of `raw` that decoding dropped.
fn unknown_field(path: &str, raw: &Value, known: &Value) -> Option<String> {
    match (raw, known) {
        (Value::Object(raw), Value::Object(known)) => raw.iter().filter(|(_, value)| !value.is_null()).find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            match known.get(name) {
                Some(known) => unknown_field(&path, value, known),
                // An empty list is left out when it is written.
                None if value.as_array().is_some_and(Vec::is_empty) => None,
                None => Some(path),
            }
        }),
        (Value::Array(raw), Value::Array(known)) => {
            raw.iter().zip(known).enumerate().find_map(|(index, (raw, known))| unknown_field(&format!("{path}[{index}]"), raw, known))
        }
        _ => None,
    }
}

fn field_above(path: &str) -> String {
    let above = path.rsplit_once('.').map_or(path, |(above, _)| above);
    above.split('.').map(|part| part.split('[').next().unwrap_or_default()).collect::<Vec<_>>().join(".")
}

fn read(path: &Path) -> std::io::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "{apiVersion: mfa-operator.dev/v1alpha1, kind: MfaPolicy, metadata: {name: kratos}, spec: ";

    #[test]
    fn a_mistyped_field_is_named_with_its_place() {
        let text = format!("{POLICY}{{targetRefs: [{{name: kratos, cotainer: x}}], requiredAAL: {{whoami: aal1}}}}}}");
        let error = policy_in(&text).expect_err("an unknown field");
        assert!(error.contains("spec.targetRefs[0].cotainer") && error.contains("explain mfapolicy.spec.targetRefs"), "{error}");
    }

    #[test]
    fn another_kind_is_refused() {
        let error = policy_in("{apiVersion: apps/v1, kind: Deployment, metadata: {name: kratos}}").expect_err("another kind");
        assert!(error.contains("MfaPolicy") && error.contains("Deployment"), "{error}");
    }

    #[test]
    fn a_whole_policy_passes_with_nulls_and_empty_lists() {
        let text = format!("{POLICY}{{targetRefs: [{{name: kratos}}], requiredAAL: {{whoami: aal1}}, acknowledge: [], methods: null}}}}");
        assert!(policy_in(&text).is_ok());
    }
}
