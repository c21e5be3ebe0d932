//! Policies in files: `mfa-operator check` must take nothing that the API server refuses.

use mfa_operator::lint::{self, Review};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use super::case::{self, Case, Expected, Verdict};
use super::server::Server;
use crate::scene::Scene;

/// On a server of a version that the API server, which knows none, has nothing against.
fn review(text: &str) -> Review {
    lint::review(text, lint::Server { base: None, version: "25.4".parse().ok() })
}

fn takes(text: &str) -> bool {
    let Review { policies, findings, .. } = review(text);
    findings.is_empty() && policies.len() == 1 && policies[0].policy.is_some()
}

/// Edits aside, whose old object no file has.
#[test]
fn every_case_is_judged_alike_in_a_file() {
    let cases = case::all().into_iter().filter(|case| case.old.is_none());
    let wrong: Vec<_> = cases
        .filter(|case| takes(&case.new.to_string()) != (case.expected == Expected::Accepted))
        .map(|case| format!("{}: {} is to be {:?}", case.topic, case.name, case.expected))
        .collect();
    super::report(&wrong);
}

fn mostly(good: &'static [&'static str], bad: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let json = |text: &str| serde_json::from_str(text).expect("JSON");
    prop_oneof![8 => proptest::sample::select(good), 1 => proptest::sample::select(bad)].prop_map(json)
}

/// Specs of which about half break a rule.
fn spec() -> impl Strategy<Value = Value> {
    let levels = || mostly(&[r#""highest_available""#], &["null", r#""aal1""#, r#""aal2""#, r#""""#]);
    let targets = mostly(
        &[
            r#"[{"name": "kratos"}]"#,
            r#"[{"name": "kratos", "kind": "StatefulSet"}]"#,
            r#"[{"name": "kratos"}, {"name": "kratos", "kind": "DaemonSet"}]"#,
        ],
        &[
            r#"[{"name": "kratos"}, {"name": "kratos"}]"#,
            r#"[{"name": "Kratos"}]"#,
            r#"[{"name": "kratos", "container": "a.b"}]"#,
            r#"[{"name": "kratos", "kind": "Pod"}]"#,
            "[]",
            r#""kratos""#,
        ],
    );
    let totp = mostly(
        &["null", r#"{"enabled": true}"#, r#"{"enabled": false, "issuer": "1_000"}"#],
        &[
            r#"{"enabled": true, "issuer": "A\u0007"}"#,
            r#"{"enabled": "yes"}"#,
            "{}",
            r#"{"enabled": true, "isuer": "x"}"#,
        ],
    );
    let rp = mostly(
        &[
            r#"{"id": "example.com", "displayName": "x"}"#,
            r#"{"id": "example.com", "displayName": "x", "origins": ["https://a.example.com"]}"#,
        ],
        &[
            "null",
            r#"{"id": "example.com", "displayName": "x", "origins": ["https://a.example.org"]}"#,
            r#"{"id": "example.com"}"#,
        ],
    );
    let age = mostly(&["null", r#""15m""#], &[r#""1d""#, r#""0s""#, "15"]);
    let acknowledge = mostly(&["[]", r#"["SettingsBypass"]"#, "null"], &[r#"["x", "x"]"#, r#"[""]"#]);
    (targets, levels(), levels(), totp, rp, any::<bool>(), age, acknowledge).prop_map(
        |(targets, settings, whoami, totp, rp, webauthn, age, acknowledge)| {
            json!({
                "targetRefs": targets,
                "requiredAAL": {"settings": settings, "whoami": whoami},
                "methods": {"totp": totp, "webauthn": {"enabled": webauthn, "rp": rp}},
                "privilegedSessionMaxAge": age,
                "acknowledge": acknowledge,
            })
        },
    )
}

#[tokio::test]
async fn whatever_is_written_the_file_is_judged_as_by_the_api_server() {
    const SPECS: usize = 300;
    let server = Server::start().await;
    let mut runner = TestRunner::deterministic();
    let (mut accepted, mut wrong) = (0, Vec::new());
    for number in 0..SPECS {
        let spec = spec().new_tree(&mut runner).expect("a spec").current();
        let new = json!({"apiVersion": "mfa-operator.dev/v1alpha1", "kind": "MfaPolicy", "metadata": {"name": "kratos"}, "spec": spec});
        let text = new.to_string();
        let case = Case {
            topic: "random".into(),
            name: number.to_string(),
            old: None,
            new,
            expected: Expected::Accepted,
            words: String::new(),
        };
        let verdict = server.judge(&case).await;
        accepted += usize::from(verdict == Verdict::Accepted);
        if takes(&text) != (verdict == Verdict::Accepted) {
            wrong
                .push(format!("{text}\nthe API server: {verdict:?}\nthe file: {:?}", review(&text).findings));
        }
    }
    super::report(&wrong);
    assert!((50..SPECS - 50).contains(&accepted), "{accepted} of {SPECS} are accepted, which says little");
}

/// kubectl turns YAML into JSON by rules of its own before anybody sees it.
#[tokio::test]
async fn bare_words_are_what_kubectl_makes_of_them() {
    const WORDS: [&str; 24] = [
        "yes",
        "Off",
        "y",
        "N",
        "~",
        "",
        "012",
        "0o17",
        "0x1F",
        "0b11",
        "1_000",
        "1e3",
        ".5",
        "-3",
        "+1.5",
        ".inf",
        "2026-01-01",
        "12:30:45",
        "0xZ",
        "'1'",
        "\"no\"",
        "+a",
        "1.2.3",
        "example",
    ];
    let scene = Scene::start("bare-words").await;
    for word in WORDS {
        for field in ["issuer", "enabled"] {
            let totp = if field == "issuer" {
                format!("{{enabled: true, issuer: {word}}}")
            } else {
                format!("{{enabled: {word}}}")
            };
            let text = format!(
                "apiVersion: mfa-operator.dev/v1alpha1\nkind: MfaPolicy\nmetadata: {{name: kratos}}\nspec:\n  \
                 targetRefs: [{{name: kratos}}]\n  requiredAAL: {{whoami: aal1}}\n  methods:\n    totp: {totp}\n"
            );
            let answer =
                scene.try_kubectl(&["create", "--dry-run=server", "--validate=strict", "-f", "-"], &text);
            assert!(
                !takes(&text) || answer.is_ok(),
                "{field}: {word} is taken, yet kubectl answers {answer:?}"
            );
            if ["example", "'1'", "\"no\"", "2026-01-01"].contains(&word) && field == "issuer" {
                assert!(takes(&text) && answer.is_ok(), "{field}: {word} should be taken: {answer:?}");
            }
        }
    }
}
