//! What the operator's token can have the file of a policy say: what the operator renders, and nothing else.

use std::path::Path;

use mfa_operator::api::{MfaPolicy, rules};
use mfa_operator::policy;
use mfa_operator::server::kratos::{Overlay, render};
use serde_json::{Value, json};

use crate::confinement::confined;
use crate::objects::{GOVERNED, LABEL, policy_with};
use crate::stage::Stage;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

async fn with_a_file(name: &str) -> Stage {
    let stage = confined(name).await;
    let metadata = json!({"name": "ours-mfa", "labels": {LABEL: "mfa"}, "annotations": {GOVERNED: "{}"}});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"kratos.yaml": "{}\n"}});
    stage.operator.create(map).await.expect("its own");
    stage
}

fn holding(file: &str) -> Value {
    json!({"data": {"kratos.yaml": file}})
}

#[tokio::test]
async fn every_file_that_is_rendered_passes() {
    let stage = with_a_file("rendered").await;
    let cases = std::fs::read_dir(GOLDEN)
        .expect("the folder is there")
        .map(|case| case.expect("it is readable").path());
    let mut files: Vec<_> = cases.map(|case| (case.display().to_string(), golden(&case))).collect();
    assert!(files.len() > 10, "{files:?}");
    files.push(("the largest".into(), largest()));
    for (what, file) in files {
        let answer = stage.operator.patch("ConfigMap", "ours-mfa", holding(&file)).await;
        answer.unwrap_or_else(|status| panic!("{what}: {}\n{file}", status.message));
    }
}

fn golden(case: &Path) -> String {
    std::fs::read_to_string(case.join("kratos.yaml")).expect("a golden file")
}

/// The most that the rules of a policy let through: whatever it costs to judge a file, it costs here.
fn largest() -> String {
    let host = |number: usize| format!("{number:02}.{}.example.com", ["a".repeat(60).as_str(); 4].join("."));
    let origins: Vec<_> =
        (0..rules::MAX_ORIGINS).map(|number| format!("https://{}:65535", host(number))).collect();
    assert!(origins.iter().all(|origin| origin.len() <= rules::MAX_ORIGIN));
    // Each of these is written as six characters.
    let name = "\u{a0}".repeat(rules::MAX_DISPLAY);
    let methods = json!({
        "totp": {"enabled": true, "issuer": name},
        "webauthn": {"enabled": true, "rp": {"id": "example.com", "displayName": name, "origins": origins}},
        "lookupSecret": {"enabled": true},
        "code": {"mfaEnabled": true},
    });
    let aal = json!({"settings": "highest_available", "whoami": "highest_available"});
    let fields = json!({"methods": methods, "requiredAAL": aal, "privilegedSessionMaxAge": "1h", "acknowledge": ["CodeCountsForEveryone"]});
    let policy: MfaPolicy =
        serde_json::from_value(policy_with(&"m".repeat(rules::MAX_LABEL), &["kratos"], fields))
            .expect("a policy");
    let name = policy.metadata.name.expect("it has a name");
    let parsed = policy::parse(&name, &policy.spec).expect("it is valid");
    render(&name, Overlay::of(&parsed), parsed.delivery).file
}

#[tokio::test]
async fn a_stolen_token_has_a_file_say_nothing_else() {
    let stage = with_a_file("said").await;
    stage
        .operator
        .patch("ConfigMap", "ours-mfa", holding(&golden(&Path::new(GOLDEN).join("everything"))))
        .await
        .expect("its own file");
    let methods = "selfservice:\n  methods:\n";
    let whoami = "session:\n  whoami:\n    required_aal: \"aal1\"\n";
    let mut passed = Vec::new();
    for (what, file) in [
        ("text", "y"),
        ("a provider", &*format!("{methods}    oidc:\n      enabled: true\n")),
        ("a provider on one line", &format!("{methods}    totp: {{oidc: {{}}}}\n")),
        ("a hook", "selfservice:\n  flows:\n    settings:\n      after:\n        hooks: []\n"),
        ("another document", "{}\n---\ndsn: memory\n"),
        ("an anchor", "session: &a\n"),
        ("a value of another type", "session:\n  whoami:\n    required_aal: [x]\n"),
        ("a comment that ends", "# \"\ndsn: memory\n"),
        ("a comment that ends for some readers", "# \rdsn: memory\n"),
        ("a comment that ends for others", "# \u{85}dsn: memory\n"),
        ("a string that ends", "session:\n  whoami:\n    required_aal: \"a\", dsn: \"b\"\n"),
        ("a string over two lines", "session:\n  whoami:\n    required_aal: \"a\r---\"\n"),
        ("a line without an end", "{}\ndsn: memory"),
        // Each line of these stands in the file of some policy, below another parent.
        ("a code in the place of a password", &format!("{methods}    code:\n      enabled: true\n")),
        (
            "a code beside one that may be",
            &format!("{methods}    code:\n      mfa_enabled: true\n      enabled: true\n"),
        ),
        ("another flag of a method", &format!("{methods}    totp:\n      mfa_enabled: true\n")),
        (
            "an issuer of another method",
            &format!("{methods}    webauthn:\n      config:\n        issuer: \"x\"\n"),
        ),
        ("methods as flows", "selfservice:\n  flows:\n    totp:\n      enabled: true\n"),
        ("methods of a session", "session:\n  methods:\n    totp:\n      enabled: true\n"),
        ("the session of a method", &format!("{methods}  whoami:\n    required_aal: \"aal1\"\n")),
        ("a level of nothing", "    required_aal: \"aal1\"\n"),
        ("one key twice", &format!("{whoami}{whoami}")),
        ("a key without a value", "session:\n  whoami:\n"),
        ("a file behind nothing", &format!("{{}}\n{whoami}")),
    ] {
        match stage.operator.patch("ConfigMap", "ours-mfa", holding(file)).await {
            Ok(_) => passed.push(what),
            Err(status) => assert!(
                status.message.contains("what a policy may set, and nothing else"),
                "{what}: {}",
                status.message
            ),
        }
    }
    assert!(passed.is_empty(), "{passed:#?}");
}
