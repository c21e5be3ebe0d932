//! What layers of a configuration say, and what they leave unknown.

use super::*;
use crate::server::kratos::inputs::{CODE_PASSWORDLESS, RECOVERY_ENABLED};

fn overlay(whoami: &str) -> Overlay {
    serde_json::from_value(serde_json::json!({"session": {"whoami": {"required_aal": whoami}}}))
        .expect("an overlay")
}

fn base(text: &str) -> Vec<Layer> {
    vec![Layer::read(text, &mut Budget::default())]
}

#[test]
fn variables_lie_above_files_and_the_levels_are_variables_under_every_delivery() {
    let files = base(
        "session: {whoami: {required_aal: aal1}}\nselfservice: {methods: {code: {passwordless_enabled: false}}}",
    );
    let env = Layer::of_variables([
        ("SESSION_WHOAMI_REQUIRED_AAL", Some("aal1")),
        ("SELFSERVICE_METHODS_CODE_PASSWORDLESS_ENABLED", Some("true")),
    ]);
    let merged = |delivery| Merged::of(Some(&files), &env, &overlay("highest_available"), delivery);
    assert_eq!(
        merged(Delivery::Environment).levels(),
        (Some(Level::HighestAvailable), Some(Level::HighestAvailable))
    );
    assert_eq!(
        merged(Delivery::ConfigFile).levels(),
        (Some(Level::HighestAvailable), Some(Level::HighestAvailable))
    );
    assert_eq!(merged(Delivery::Environment).flag(CODE_PASSWORDLESS), Some(true));
    let issuer = Layer::of_variables([("SELFSERVICE_METHODS_TOTP_CONFIG_ISSUER", Some("another"))]);
    let text = |delivery| {
        let merged = Merged::of(Some(&files), &issuer, &totp("ours"), delivery);
        merged.text("selfservice.methods.totp.config.issuer").map(ToOwned::to_owned)
    };
    assert_eq!(text(Delivery::Environment).as_deref(), Some("ours"));
    assert_eq!(
        text(Delivery::ConfigFile).as_deref(),
        Some("another"),
        "beside a file, the levels alone are variables"
    );
}

fn totp(issuer: &str) -> Overlay {
    let totp = serde_json::json!({"enabled": true, "config": {"issuer": issuer}});
    serde_json::from_value(serde_json::json!({"selfservice": {"methods": {"totp": totp}}}))
        .expect("an overlay")
}

/// Of pods with this base and these variables.
fn changed(
    base: Option<&str>,
    variable: Option<(&str, Option<&str>)>,
    old: &Overlay,
    new: &Overlay,
) -> Option<bool> {
    changes(base.map(self::base).as_deref(), &Layer::of_variables(variable), old, new)
}

#[test]
fn what_the_server_has_already_is_no_change() {
    let same = "selfservice: {methods: {totp: {enabled: true, config: {issuer: A}}}}";
    let nothing = Overlay::default();
    assert_eq!(changed(Some(same), None, &nothing, &totp("A")), Some(false));
    assert_eq!(changed(Some(same), None, &nothing, &totp("B")), Some(true));
    assert_eq!(changed(Some("{}"), None, &totp("A"), &totp("B")), Some(true));
    let by_itself = serde_json::json!({"selfservice": {
        "flows": {"settings": {"privileged_session_max_age": "1h"}}, "methods": {"code": {"mfa_enabled": false}},
    }});
    let by_itself: Overlay = serde_json::from_value(by_itself).expect("an overlay");
    assert_eq!(
        changed(Some("{}"), None, &nothing, &by_itself),
        Some(false),
        "Kratos takes it so where nobody says"
    );
    let age = "selfservice: {flows: {settings: {privileged_session_max_age: 2h}}}";
    assert_eq!(changed(Some(age), None, &nothing, &by_itself), Some(true));
}

#[test]
fn what_stands_in_a_variable_is_no_change() {
    let issuer = "SELFSERVICE_METHODS_TOTP_CONFIG_ISSUER";
    assert_eq!(changed(Some("{}"), Some((issuer, Some("C"))), &totp("A"), &totp("B")), Some(false));
    assert_eq!(
        changed(Some("{}"), Some((issuer, Some("C"))), &Overlay::default(), &totp("B")),
        Some(true),
        "it is switched on"
    );
    assert_eq!(
        changed(Some("{}"), Some(("SELFSERVICE_METHODS_TOTP", Some("{}"))), &totp("A"), &totp("B")),
        None,
        "on some pods"
    );
    assert_eq!(
        changed(Some("{}"), None, &overlay("aal1"), &overlay("highest_available")),
        Some(false),
        "a level"
    );
    assert_eq!(
        changed(Some("{}"), None, &Overlay::default(), &overlay("aal1")),
        Some(true),
        "one that they have no variable for"
    );
}

#[test]
fn whether_it_changes_what_cannot_be_read_is_not_known() {
    let with = |base: Option<&str>| changed(base, None, &totp("A"), &totp("B"));
    assert_eq!(with(None), None);
    assert_eq!(with(Some("x: [")), None, "a revision may stand in it");
    for revision in ["v7", "7", "${REVISION}"] {
        assert_eq!(with(Some(&format!("revision: {revision}"))), None, "{revision}");
    }
}

#[test]
fn what_cannot_be_read_is_unknown_and_not_its_default() {
    let nothing = Layer::default();
    let unread = Merged::of(None, &nothing, &overlay("aal1"), Delivery::Environment);
    assert_eq!(unread.levels(), (None, Some(Level::Aal1)));
    assert_eq!((unread.flag(RECOVERY_ENABLED), unread.has("revision")), (None, None));
    let whole = Merged::of(Some(&[]), &nothing, &overlay("aal1"), Delivery::Environment);
    assert_eq!(whole.levels().0, Some(Level::HighestAvailable));
    assert_eq!((whole.flag(RECOVERY_ENABLED), whole.has("revision")), (Some(false), Some(false)));
}

#[test]
fn a_variable_from_elsewhere_hides_what_the_files_say() {
    let files = base(
        "selfservice: {methods: {code: {passwordless_enabled: true}}}\nsession: {whoami: {required_aal: aal1}}",
    );
    let env = Layer::of_variables([
        ("SELFSERVICE_METHODS_CODE_PASSWORDLESS_ENABLED", None),
        ("SESSION_WHOAMI_REQUIRED_AAL", Some("$(LEVEL)")),
    ]);
    let merged = Merged::of(Some(&files), &env, &Overlay::default(), Delivery::Environment);
    assert_eq!((merged.flag(CODE_PASSWORDLESS), merged.levels().1), (None, None));
    let beaten = Merged::of(Some(&files), &env, &overlay("aal1"), Delivery::Environment);
    assert_eq!(beaten.levels().1, Some(Level::Aal1), "the policy's own variable stands in its place");
}

#[test]
fn a_file_that_cannot_be_read_hides_what_lies_below_and_not_what_lies_above() {
    let of = |files: &[&str]| {
        let mut budget = Budget::default();
        let files: Vec<_> = files.iter().map(|text| Layer::read(text, &mut budget)).collect();
        Merged::of(Some(&files), &Layer::default(), &Overlay::default(), Delivery::Environment)
    };
    let whoami = "session: {whoami: {required_aal: aal1}}";
    assert_eq!(of(&["x: [", whoami]).levels(), (None, Some(Level::Aal1)));
    assert_eq!(of(&[whoami, "x: ["]).levels(), (None, None));
    let large = format!("x: {}", "x".repeat(200 * 1024));
    assert_eq!(of(&[&large, whoami]).levels(), (Some(Level::HighestAvailable), Some(Level::Aal1)));
    assert_eq!(of(&[&large, whoami, &large]).levels(), (None, None), "the budget is one for all of them");
}

#[test]
fn what_is_filled_in_later_or_has_another_form_is_unknown() {
    let read = |path: &str, value: &str| {
        let text = path.rsplit('.').fold(value.to_owned(), |below, key| format!("{{{key}: {below}}}"));
        let merged =
            Merged::of(Some(&base(&text)), &Layer::default(), &Overlay::default(), Delivery::Environment);
        (merged.flag(path), merged.text(path).map(str::to_owned))
    };
    for value in ["'${CODE}'", "'{{ .Values.code }}'", "'true'", "yes", "1", "~", "[true]", "{a: true}"] {
        assert_eq!(read(CODE_PASSWORDLESS, value).0, None, "{value}");
    }
    for value in
        ["'${LEVEL}'", "'{{ level }}'", "'<% level %>'", "LEVEL", "@@level@@", "~", "true", "2", "[aal1]"]
    {
        assert_eq!(read(SETTINGS_LEVEL, value).1, None, "{value}");
    }
    assert_eq!(read(CODE_PASSWORDLESS, "True").0, Some(true));
    assert_eq!(read(SETTINGS_LEVEL, "'aal1'").1.as_deref(), Some("aal1"));
    assert_eq!(read(SETTINGS_LEVEL, "aal2").1.as_deref(), Some("aal2"), "it is known to be wrong");
    for above in ["session: ~", "session: x", "session: {whoami: [x]}"] {
        let merged =
            Merged::of(Some(&base(above)), &Layer::default(), &Overlay::default(), Delivery::Environment);
        assert_eq!(merged.levels(), (Some(Level::HighestAvailable), None), "{above}");
    }
}

#[test]
fn a_variable_by_another_name_hides_every_key_that_it_reaches() {
    let files = base("selfservice: {flows: {settings: {required_aal: aal1}, recovery: {enabled: true}}}");
    for input in inputs::inputs() {
        let own = input.path.replace('.', "_");
        let parents =
            input.path.match_indices('.').map(|(end, _)| input.path[..end].replace('.', "_").to_uppercase());
        for name in parents
            .chain([own.clone(), input.path.clone(), input.path.to_uppercase()])
            .filter(|name| *name != input.name)
        {
            let merged = |environment| {
                Merged::of(Some(&files), &environment, &Overlay::default(), Delivery::Environment)
            };
            assert_eq!(merged(Layer::of_variables([(&*name, Some("x"))])).has(&input.path), None, "{name}");
            let both = Layer::of_variables([(&*name, Some("x")), (&*input.name, Some("true"))]);
            assert_eq!(merged(both).has(&input.path), None, "{name} beside its own name");
        }
    }
    let elsewhere = Merged::of(
        Some(&files),
        &Layer::of_variables([("SELFSERVICE_METHODS", None)]),
        &Overlay::default(),
        Delivery::Environment,
    );
    assert_eq!(elsewhere.levels(), (Some(Level::Aal1), Some(Level::HighestAvailable)));
    assert_eq!((elsewhere.flag(RECOVERY_ENABLED), elsewhere.flag(CODE_PASSWORDLESS)), (Some(true), None));
}

#[test]
fn the_part_that_matters_holds_no_secret() {
    let whole = base(
        "dsn: postgres://hunter2@db\nrevision: v1\nselfservice: {methods: {oidc: {config: {client_secret: hunter2}}, totp: {enabled: true}}}",
    );
    assert_eq!(
        whole[0].set.canonical(),
        r#"{"revision":"v1","selfservice":{"methods":{"totp":{"enabled":true}}}}"#
    );
}
