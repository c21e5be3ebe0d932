//! Golden files: what each policy in `tests/golden` becomes.
//!
//! A folder is a case: `policy.yaml` goes in, `kratos.yaml` (the file), `variables.env` (the
//! variables of the container) and `digests` must come out. `UPDATE_GOLDEN=1 cargo test --test golden`
//! writes the two anew, but never another digest for a policy that has one: a changed revision
//! rolls every server out there when the operator is upgraded.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test has files and processes; src's pure rooms have not"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use mfa_operator::api::{self, MfaPolicy};
use mfa_operator::model::{Data, TargetData};
use mfa_operator::policy::{self, Policy};
use mfa_operator::server::kratos::{Overlay, Rendered, render};

#[test]
fn policies_become_what_they_became() {
    let mut differences = String::new();
    for case in cases() {
        let rendered = case.render();
        differences += &compare(&case.folder.join("kratos.yaml"), &rendered.file);
        differences += &compare(&case.folder.join("variables.env"), &lines(&rendered));
        differences += &compare(&case.folder.join("digests"), &digests(&case, &rendered));
    }
    assert!(differences.is_empty(), "UPDATE_GOLDEN=1 accepts this:\n{differences}");
}

/// What people see without a cluster is what the operator writes.
#[test]
fn the_command_prints_the_same() {
    for case in cases() {
        for (form, golden) in [("file", "kratos.yaml"), ("env", "variables.env")] {
            let output = Command::new(env!("CARGO_BIN_EXE_mfa-operator"))
                .args(["render", "--as", form, "--filename"])
                .arg(case.folder.join("policy.yaml"))
                .output()
                .expect("the program runs");
            assert!(output.status.success(), "{}: {}", case.name, String::from_utf8_lossy(&output.stderr));
            let expected =
                std::fs::read_to_string(case.folder.join(golden)).expect("a golden file is readable");
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{}", case.name);
        }
    }
}

/// A new second factor needs a case in which it is the only one.
#[test]
fn every_factor_has_a_case_of_its_own() {
    let cases = cases();
    for factor in factors_of_the_definition() {
        let has_case = cases.iter().any(|case| match &case.policy.factors[..] {
            [only] => only.name() == factor && only.enabled(),
            _ => false,
        });
        assert!(
            has_case,
            "add tests/golden/{factor}/policy.yaml, a policy whose only method is {factor}, switched on"
        );
    }
}

#[test]
fn a_revision_depends_on_what_is_rendered_alone() {
    let cases = cases();
    let everything = cases.iter().find(|case| case.name == "everything").expect("there is such a case");
    let elsewhere = Policy {
        targets: Vec::new(),
        config_map: "other".into(),
        history_limit: 1,
        acknowledge: Vec::new(),
        ..everything.policy.clone()
    };
    let revision = |policy: &Policy| render("other", Overlay::of(policy), policy.delivery).revision;
    assert_eq!(revision(&elsewhere), everything.render().revision);
    let mut revisions: Vec<_> = cases.iter().map(|case| revision(&case.policy)).collect();
    revisions.sort();
    revisions.dedup();
    assert_eq!(revisions.len(), cases.len(), "two cases render alike");
}

struct Case {
    folder: PathBuf,
    /// Of the folder.
    name: String,
    /// `metadata.name`.
    policy_name: String,
    policy: Policy,
}

impl Case {
    fn render(&self) -> Rendered {
        render(&self.policy_name, Overlay::of(&self.policy), self.policy.delivery)
    }
}

fn cases() -> Vec<Case> {
    let mut folders: Vec<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden"))
        .expect("the folder is there")
        .map(|entry| entry.expect("it is readable").path())
        .collect();
    folders.sort();
    folders.into_iter().map(read).collect()
}

fn read(folder: PathBuf) -> Case {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(folder.join("policy.yaml"))
        .unwrap_or_else(|error| panic!("{name}/policy.yaml: {error}"));
    let resource: MfaPolicy = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let policy_name = resource.metadata.name.unwrap_or_default();
    let policy = policy::parse(&policy_name, &resource.spec)
        .unwrap_or_else(|rejections| panic!("{name}: {rejections:?}"));
    Case { folder, name, policy_name, policy }
}

fn lines(rendered: &Rendered) -> String {
    rendered.variables.iter().map(|variable| format!("{}={}\n", variable.name, variable.value)).collect()
}

/// Every digest that is stored or compared out there: another one would roll servers, or make strangers of
/// what was remembered.
fn digests(case: &Case, rendered: &Rendered) -> String {
    let target = TargetData { kind: "Deployment".into(), name: "kratos".into(), container: "kratos".into() };
    let data = Data {
        overlay: rendered.overlay.clone(),
        delivery: rendered.delivery,
        config_map_name: case.policy.config_map.to_string(),
        targets: vec![target],
    };
    format!("REVISION={}\nrecord={}\n", rendered.revision, data.digest())
}

/// The difference between the golden file and `actual`, which is written down when that is asked for.
fn compare(golden: &Path, actual: &str) -> String {
    let expected = std::fs::read_to_string(golden).unwrap_or_default();
    if expected == actual {
        return String::new();
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        assert!(
            revision(&expected).is_none_or(|frozen| Some(frozen) == revision(actual))
                && !(golden.ends_with("digests") && golden.exists()),
            "{} would get another revision, which rolls every server. Where the policy itself is another now, remove the file first",
            golden.display()
        );
        std::fs::write(golden, actual).expect("a golden file is writable");
        return String::new();
    }
    let difference = similar::TextDiff::from_lines(expected.as_str(), actual);
    difference.unified_diff().header(&golden.display().to_string(), "now").to_string()
}

fn revision(variables: &str) -> Option<&str> {
    variables.lines().find_map(|line| line.strip_prefix("REVISION="))
}

fn factors_of_the_definition() -> Vec<String> {
    let crd = serde_json::to_value(api::crd()).expect("a definition is JSON");
    let methods = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        ["methods"]["properties"];
    methods.as_object().expect("methods have properties").keys().cloned().collect()
}
