//! Cases of `overrides`.

use super::*;
use crate::document::Budget;
use crate::model::{EnvSource, EnvVar, FileSource, OverrideSources, UnreadFile};
use crate::plan::testing::fixtures::{container as kratos, target, workload};
use crate::policy::{Delivery, FieldConflicts};
use crate::server::kratos::{Layer, Overlay, render};
use std::sync::Arc;

const WHOAMI: &str = "SESSION_WHOAMI_REQUIRED_AAL";
const CODE: &str = "SELFSERVICE_METHODS_CODE_MFA_ENABLED";

/// A policy that sets the level of whoami, and a code.
fn desired(delivery: Delivery) -> Desired {
    let methods = serde_json::json!({"methods": {"code": {"mfa_enabled": true}}});
    let overlay =
        serde_json::json!({"selfservice": methods, "session": {"whoami": {"required_aal": "aal1"}}});
    let overlay: Overlay = serde_json::from_value(overlay).expect("keys");
    Desired {
        rendered: render("mfa", overlay, delivery),
        config_map: "mfa-mfa".into(),
        field_conflicts: FieldConflicts::Refuse,
        deletion_policy: Default::default(),
        targets: Vec::new(),
    }
}

fn found(delivery: Delivery, container: Container, env_from: EnvFrom) -> Findings {
    let view =
        TargetView { env_from, ..target(Workload { containers: vec![container].into(), ..workload(1) }) };
    let workload = view.workload.clone().expect("a workload");
    find(&desired(delivery), &view, &workload, &workload.containers[0])
}

fn with(unusual: OverrideSources) -> Container {
    Container { unusual: unusual.boxed(), ..kratos(&[]) }
}

fn from_map(names: Option<&[&str]>) -> EnvFrom {
    let names = names.map(|names| names.iter().map(|name| (*name).into()).collect());
    let source = EnvSource::ConfigMap { name: "settings".into(), prefix: "".into() };
    EnvFrom { sources: vec![EnvFromMap { source, names }], until: Some(1) }
}

fn file(config_map: &str) -> Option<MountedFile> {
    Some(MountedFile { config_map: config_map.into(), key: "kratos.yaml".into(), reloads: true })
}

#[test]
fn only_what_the_policy_sets_can_be_beaten() {
    let alias = |name: &str| {
        with(OverrideSources { aliases: vec![name.into()].into(), ..OverrideSources::default() })
    };
    for delivery in [Delivery::Environment, Delivery::ConfigFile] {
        for name in ["session_whoami_required_aal", "Session", "SESSION_WHOAMI"] {
            let found = found(delivery, alias(name), EnvFrom::default()).overrides;
            assert!(
                matches!(found.as_slice(), [only] if only.contains(&format!("env {name} of container kratos"))),
                "{found:?}"
            );
        }
        for name in ["SELFSERVICE_FLOWS", "SELFSERVICE_METHODS_TOTP"] {
            assert_eq!(
                found(delivery, alias(name), EnvFrom::default()).overrides,
                Vec::<String>::new(),
                "{name}"
            );
        }
    }
}

#[test]
fn the_own_name_beats_a_file_and_is_a_matter_of_ownership_where_it_is_a_variable() {
    let plain = || kratos(&[(WHOAMI, "aal1"), (CODE, "false"), ("REVISION", "mfa-0000000000")]);
    assert_eq!(found(Delivery::Environment, plain(), EnvFrom::default()), Findings::default());
    let beaten = found(Delivery::ConfigFile, plain(), EnvFrom::default()).overrides;
    assert!(
        matches!(beaten.as_slice(), [only] if only.contains(CODE) && !only.contains("aal1,")),
        "{beaten:?}"
    );
    let by_reference =
        Container { env: vec![EnvVar { name: CODE.into(), value: None }].into(), ..kratos(&[]) };
    assert_eq!(found(Delivery::ConfigFile, by_reference, EnvFrom::default()).overrides.len(), 1);
    // From a config map, a plain entry of the same name comes first.
    assert_eq!(found(Delivery::Environment, plain(), from_map(Some(&[WHOAMI, CODE]))), Findings::default());
    let from_elsewhere = found(Delivery::ConfigFile, kratos(&[]), from_map(Some(&[WHOAMI, CODE]))).overrides;
    assert!(matches!(from_elsewhere.as_slice(), [only] if only.contains(CODE)), "{from_elsewhere:?}");
    let alias = found(Delivery::Environment, plain(), from_map(Some(&["session"]))).overrides;
    assert!(matches!(alias.as_slice(), [only] if only.contains("from ConfigMap settings")), "{alias:?}");
}

#[test]
fn our_own_variables_that_are_about_to_go_beat_nothing() {
    let mut own = workload(1);
    own.containers = vec![kratos(&[(CODE, "true")])].into();
    own.own.env = vec![("kratos".into(), CODE.into())].into();
    let view = target(own.clone());
    assert_eq!(find(&desired(Delivery::ConfigFile), &view, &own, &own.containers[0]), Findings::default());
}

#[test]
fn each_file_after_ours_is_named() {
    let unread =
        vec![UnreadFile { at: 2, path: "/etc/later.yaml".into(), source: FileSource::Secret("keys".into()) }];
    let container = Container {
        files: vec![file("base"), file("mfa-mfa"), None, file("extra")].into(),
        ..with(OverrideSources { unread: unread.into(), ..OverrideSources::default() })
    };
    let found = found(Delivery::ConfigFile, container.clone(), EnvFrom::default());
    assert_eq!(found.overrides.len(), 2, "{found:?}");
    assert!(
        found.overrides[0].contains("the file /etc/later.yaml")
            && found.overrides[1].contains("ConfigMap extra"),
        "{found:?}"
    );
    assert_eq!(
        found.not_checked,
        ["Secret keys, which the file /etc/later.yaml of container kratos comes from"]
    );
    // What is read from files is the weakest place.
    assert!(super::tests::found(Delivery::Environment, container, EnvFrom::default()).overrides.is_empty());
}

#[test]
fn what_does_not_look_like_a_path_is_not_repeated() {
    for (path, told) in [
        ("/etc/kratos.yaml", "the file /etc/kratos.yaml"),
        ("X=hunter2 kratos", "a file"),
        ("/etc/$(KEY)", "a file"),
    ] {
        assert_eq!(told_path(path), told);
    }
}

#[test]
fn what_lies_beyond_a_ceiling_is_named() {
    let beyond = |container: Container| {
        let unsettled = is_unsettled(&container, &EnvFrom::default(), CODE);
        (found(Delivery::ConfigFile, container, EnvFrom::default()).not_checked.len(), unsettled)
    };
    assert_eq!(beyond(kratos(&[])), (0, false));
    assert_eq!(beyond(kratos(&[]).unknown()), (2, true), "its variables and its files");
    let mut files = kratos(&[]);
    files.files.more = true;
    assert_eq!(beyond(files), (1, false));
}

#[test]
fn what_cannot_be_read_is_named() {
    let unusual = OverrideSources {
        env_from: vec![
            EnvSource::Secret { name: "keys".into(), prefix: "".into() },
            EnvSource::ConfigMap { name: "settings".into(), prefix: "".into() },
        ]
        .into(),
        ..OverrideSources::default()
    };
    let found = |from| found(Delivery::Environment, with(unusual.clone()), from).not_checked;
    assert_eq!(found(from_map(Some(&[]))), ["Secret keys, which variables of container kratos come from"]);
    assert_eq!(found(from_map(None)).len(), 2);
}

#[test]
fn what_may_set_a_key_that_is_left_out_is_named() {
    let not_checked =
        |container: Container, from: EnvFrom| found(Delivery::Environment, container, from).not_checked;
    let told = |name: &str, keys: &str| format!("env {name} of container kratos, which may set {keys}");
    let settings = "selfservice.flows.settings.required_aal";
    let alias = |name: &str| {
        with(OverrideSources { aliases: vec![name.into()].into(), ..OverrideSources::default() })
    };
    assert_eq!(
        not_checked(alias("Session"), EnvFrom::default()),
        Vec::<String>::new(),
        "it is told as what beats the policy"
    );
    let parent = "SELFSERVICE_FLOWS_RECOVERY";
    assert_eq!(
        not_checked(alias(parent), EnvFrom::default()),
        [told(parent, "selfservice.flows.recovery.enabled and 1 keys more")]
    );
    let in_command = with(OverrideSources {
        in_command: vec!["FEATURE_FLAGS".into()].into(),
        ..OverrideSources::default()
    });
    assert_eq!(not_checked(in_command, EnvFrom::default()).len(), 1);
    let name = "SELFSERVICE_FLOWS_SETTINGS_REQUIRED_AAL";
    for (value, known) in [(Some("aal1"), true), (Some("$(LEVEL)"), false), (None, false)] {
        let env = vec![EnvVar { name: name.into(), value: value.map(Into::into) }];
        let expected = if known { Vec::new() } else { vec![told(name, settings)] };
        assert_eq!(not_checked(Container { env: env.into(), ..kratos(&[]) }, EnvFrom::default()), expected);
    }
    assert_eq!(not_checked(kratos(&[]), from_map(Some(&[name]))), [told(name, settings)]);
    assert_eq!(not_checked(kratos(&[(name, "aal1")]), from_map(Some(&[name]))), Vec::<String>::new());
}

#[test]
fn what_of_a_file_is_not_known_is_named() {
    let told = |text: Option<&str>| {
        let layer = text.map_or_else(Layer::unread, |text| Layer::read(text, &mut Budget::default()));
        let container = Container { files: vec![file("base"), file("mfa-mfa")].into(), ..kratos(&[]) };
        let view = TargetView {
            base: Some(Arc::from([layer])),
            ..target(Workload { containers: vec![container].into(), ..workload(1) })
        };
        let workload = view.workload.clone().expect("a workload");
        find(&desired(Delivery::Environment), &view, &workload, &workload.containers[0]).not_checked
    };
    let place = "key kratos.yaml of ConfigMap base";
    assert_eq!(told(Some("session: {whoami: {required_aal: aal1}}")), Vec::<String>::new());
    assert_eq!(told(None), [format!("{place}, which is not there, or may not be read")]);
    assert_eq!(told(Some("a: [\nb: 1")), [format!("{place}, which is no YAML in line 2")]);
    assert_eq!(told(Some("[hunter2]")), [format!("{place}, which is no configuration of Kratos")]);
    let large = told(Some(&"x".repeat(300_000)));
    assert_eq!(large, [format!("{place}, which is too large to be read, or repeats itself too often")]);
    let filled = told(Some("session: {whoami: {required_aal: '${hunter2}'}}"));
    assert_eq!(
        filled,
        [format!(
            "session.whoami.required_aal in {place}, whose value has another form, or is filled in later"
        )]
    );
    assert_eq!(
        told(Some("selfservice: {flows: hunter2}"))[0].split(" in ").next(),
        Some("selfservice.flows.recovery.enabled and 3 keys more")
    );
}

#[test]
fn a_message_is_bounded_and_counts_what_it_leaves_out() {
    let sentence = |number: usize| format!("{number} {}", "x".repeat(195));
    let findings = [Findings { overrides: (0..9).map(sentence).collect(), not_checked: Vec::new() }];
    let message = message(findings.iter()).expect("a message");
    assert!(message.len() < 1_000 && message.ends_with("; and 5 more"), "{message}");
    assert_eq!(crate::plan::checks::overrides::message([].iter()), None);
}

#[test]
fn a_level_is_unknown_where_something_else_may_set_it() {
    let plain = || kratos(&[(WHOAMI, "highest_available")]);
    let alias = |name: &str| Container {
        unusual: OverrideSources { aliases: vec![name.into()].into(), ..OverrideSources::default() }.boxed(),
        ..plain()
    };
    let nothing = EnvFrom::default();
    assert!(!is_unsettled(&plain(), &nothing, WHOAMI));
    assert!(is_unsettled(&alias("session"), &nothing, WHOAMI));
    assert!(!is_unsettled(&alias("selfservice"), &nothing, WHOAMI));
    assert!(!is_unsettled(&plain(), &from_map(Some(&[WHOAMI])), WHOAMI));
    assert!(is_unsettled(&kratos(&[]), &from_map(Some(&[WHOAMI])), WHOAMI));
    let view = TargetView {
        pods: None,
        ..target(Workload { containers: vec![alias("Session.Whoami")].into(), ..workload(1) })
    };
    assert_eq!(crate::plan::report::running_levels::running_levels(&view, "kratos").1, None);
}
