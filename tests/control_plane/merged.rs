//! The rules on what the server's own configuration makes of a policy, each beside what a real Kratos
//! does with both files.

use mfa_operator::api::MfaPolicy;
use mfa_operator::document::{Budget, Document};
use mfa_operator::policy::{Delivery, Level, Policy, parse};
use mfa_operator::server::kratos::{Layer, Merged, Overlay, conflicts, render};
use serde_json::{Value, json};

use crate::objects::policy_with;
use crate::server::{Beside, Kratos};

const PASSWORDLESS: &str = "SELFSERVICE_METHODS_CODE_PASSWORDLESS_ENABLED";

struct Case {
    name: &'static str,
    base: Value,
    /// Variables of the container.
    env: &'static [(&'static str, &'static str)],
    spec: Value,
    /// The field that is named; none where nothing is wrong.
    field: Option<&'static str>,
    /// Whether Kratos starts with both files. It has no opinion on what only opens a way around.
    starts: Option<bool>,
}

fn cases() -> Vec<Case> {
    let webauthn = |rp: Value| json!({"methods": {"webauthn": {"enabled": true, "rp": rp}}});
    let rp = || json!({"id": "example.com", "displayName": "Example"});
    let origins =
        || json!({"id": "example.com", "displayName": "Example", "origins": ["https://example.com"]});
    let base_webauthn = |config: Value| json!({"selfservice": {"methods": {"webauthn": {"enabled": true, "config": config}}}});
    let whoami = || json!({"requiredAAL": {"whoami": "highest_available"}});
    vec![
        Case {
            name: "a plain one",
            base: json!({}),
            env: &[],
            spec: json!({}),
            field: None,
            starts: Some(true),
        },
        Case {
            name: "a code for both",
            base: json!({"selfservice": {"methods": {"code": {"passwordless_enabled": true}}}}),
            env: &[],
            spec: json!({"methods": {"code": {"mfaEnabled": true}}}),
            field: Some("spec.methods.code.mfaEnabled"),
            starts: Some(false),
        },
        Case {
            name: "a code for signing in alone",
            base: json!({"selfservice": {"methods": {"code": {"passwordless_enabled": true}}}}),
            env: &[],
            spec: json!({"methods": {"code": {"mfaEnabled": false}}}),
            field: None,
            starts: Some(true),
        },
        Case {
            name: "a code for both by a variable",
            base: json!({}),
            env: &[(PASSWORDLESS, "true")],
            spec: json!({"methods": {"code": {"mfaEnabled": true}}}),
            field: Some("spec.methods.code.mfaEnabled"),
            starts: Some(false),
        },
        Case {
            name: "a code for both by a variable in another word",
            base: json!({}),
            env: &[(PASSWORDLESS, "1")],
            spec: json!({"methods": {"code": {"mfaEnabled": true}}}),
            field: Some("spec.methods.code.mfaEnabled"),
            starts: Some(false),
        },
        Case {
            name: "a variable that is no truth value to Kratos",
            base: json!({}),
            env: &[(PASSWORDLESS, "yes")],
            spec: json!({"methods": {"code": {"mfaEnabled": true}}}),
            field: None,
            starts: Some(true),
        },
        Case {
            name: "a variable that takes the file's word back",
            base: json!({"selfservice": {"methods": {"code": {"passwordless_enabled": true}}}}),
            env: &[(PASSWORDLESS, "false")],
            spec: json!({"methods": {"code": {"mfaEnabled": true}}}),
            field: None,
            starts: Some(true),
        },
        Case {
            name: "origin by a variable beside origins",
            base: base_webauthn(json!({"rp": {"id": "example.com", "display_name": "Base"}})),
            env: &[("SELFSERVICE_METHODS_WEBAUTHN_CONFIG_RP_ORIGIN", "https://example.com")],
            spec: webauthn(origins()),
            field: Some("spec.methods.webauthn.rp.origins"),
            starts: Some(false),
        },
        Case {
            name: "origin beside origins",
            base: base_webauthn(
                json!({"rp": {"id": "example.com", "display_name": "Base", "origin": "https://example.com"}}),
            ),
            env: &[],
            spec: webauthn(origins()),
            field: Some("spec.methods.webauthn.rp.origins"),
            starts: Some(false),
        },
        Case {
            name: "origin alone",
            base: base_webauthn(
                json!({"rp": {"id": "example.com", "display_name": "Base", "origin": "https://example.com"}}),
            ),
            env: &[],
            spec: webauthn(rp()),
            field: None,
            starts: Some(true),
        },
        Case {
            name: "keys as a first factor",
            base: base_webauthn(
                json!({"passwordless": true, "rp": {"id": "example.com", "display_name": "Base"}}),
            ),
            env: &[],
            spec: webauthn(rp()),
            field: Some("spec.methods.webauthn"),
            starts: None,
        },
        Case {
            name: "a level that is none in the base",
            base: json!({"selfservice": {"flows": {"settings": {"required_aal": "aal2"}}}}),
            env: &[],
            spec: whoami(),
            field: Some("spec.requiredAAL.settings"),
            starts: None,
        },
        Case {
            name: "the same below the policy's own",
            base: json!({"selfservice": {"flows": {"settings": {"required_aal": "aal2"}}}}),
            env: &[],
            spec: json!({"requiredAAL": {"settings": "highest_available", "whoami": "highest_available"}}),
            field: None,
            starts: Some(true),
        },
        Case {
            name: "settings at aal1 in the base",
            base: json!({"selfservice": {"flows": {"settings": {"required_aal": "aal1"}}}}),
            env: &[],
            spec: whoami(),
            field: Some("spec.requiredAAL"),
            starts: None,
        },
        Case {
            name: "the same, acknowledged",
            base: json!({"selfservice": {"flows": {"settings": {"required_aal": "aal1"}}}}),
            env: &[],
            spec: json!({"requiredAAL": {"whoami": "highest_available"}, "acknowledge": ["SettingsBypass"]}),
            field: None,
            starts: None,
        },
        Case {
            name: "settings at aal1 where whoami is what Kratos takes by itself",
            base: json!({}),
            env: &[],
            spec: json!({"requiredAAL": {"settings": "aal1"}}),
            field: Some("spec.requiredAAL"),
            starts: None,
        },
    ]
}

fn policy(spec: &Value) -> Policy {
    let resource: MfaPolicy =
        serde_json::from_value(policy_with("kratos", &["kratos"], spec.clone())).expect("it is a policy");
    parse("kratos", &resource.spec).expect("it breaks no rule of its own")
}

#[test]
fn what_kratos_refuses_is_refused_and_nothing_that_it_takes() {
    for case in cases() {
        for delivery in ["Environment", "ConfigFile"] {
            judged(&case, delivery);
        }
    }
}

fn judged(case: &Case, delivery: &str) {
    let name = format!("{} by {delivery}", case.name);
    let mut spec = case.spec.clone();
    spec["delivery"] = json!({"type": delivery});
    let policy = policy(&spec);
    let own = Layer::of_variables(case.env.iter().map(|(name, value)| (*name, Some(*value))));
    let files = [Layer::of(&Document::from_typed(&case.base).expect("it is a tree"))];
    let found = conflicts(&Merged::of(Some(&files), &own, &Overlay::of(&policy), policy.delivery), &policy);
    let fields: Vec<_> = found.iter().map(|rejection| rejection.field.as_str()).collect();
    assert_eq!(fields, case.field.into_iter().collect::<Vec<_>>(), "{name}");

    let Some(expected) = case.starts else { return };
    let without = Beside {
        file: None,
        variables: case.env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
    };
    let mut with = without.clone();
    let rendered = render("kratos", Overlay::of(&policy), policy.delivery);
    match policy.delivery {
        Delivery::Environment => with
            .variables
            .extend(rendered.variables.into_iter().map(|variable| (variable.name, variable.value))),
        Delivery::ConfigFile => with.file = Some(rendered.file),
    }
    let started = |beside| Kratos::start(&case.base, beside).map(drop);
    let seen = started(&with);
    assert_eq!(seen.is_ok(), expected, "{name}: {seen:?}");
    if !expected {
        assert_eq!(started(&without), Ok(()), "{name}: without the policy it starts");
    }
}

/// A file beside its own, whether Kratos starts with it, and what is known of the level of the settings page.
#[test]
fn a_file_is_read_as_kratos_reads_it() {
    let settings = |map: &str| format!("selfservice: {{flows: {{settings: {map}}}}}\n");
    let (aal1, highest) = (Some(Level::Aal1), Some(Level::HighestAvailable));
    let cases = [
        (settings("{required_aal: aal1}"), true, aal1),
        (settings("{required_aal: aal2}"), false, None),
        (settings("{<<: {required_aal: aal1}}"), true, aal1),
        (settings("{<<: {required_aal: aal2}}"), false, None),
        (settings("{<<: {required_aal: aal2}, required_aal: aal1}"), true, aal1),
        (settings("{<<: [{required_aal: aal1}, {required_aal: aal2}]}"), true, aal1),
        (settings("{'<<': {required_aal: aal1}}"), false, highest),
        (settings("{required_aal: aal1, required_aal: aal1}"), false, None),
        (settings("{required_aal: aal1}") + "---\n[", true, aal1),
        (settings("{required_aal: '${LEVEL}'}"), false, None),
        (settings("~"), false, None),
        ("selfservice: {methods: {code: {passwordless_enabled: yes}}}".into(), false, highest),
        (
            "session: {whoami: &x {required_aal: aal1}}\nselfservice: {flows: {settings: *x}}".into(),
            true,
            aal1,
        ),
        (String::new(), true, highest),
    ];
    for (text, starts, level) in cases {
        let layers = [Layer::read(&text, &mut Budget::default())];
        let merged = Merged::of(Some(&layers), &Layer::default(), &Overlay::default(), Delivery::Environment);
        assert_eq!(merged.levels().0, level, "{text}");
        let seen =
            Kratos::start(&json!({}), &Beside { file: Some(text.clone()), ..Beside::default() }).map(drop);
        assert_eq!(seen.is_ok(), starts, "{text}: {seen:?}");
    }
}
