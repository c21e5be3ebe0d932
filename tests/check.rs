//! `mfa-operator check` as it is called: files, folders, standard input, and its exit status. Closed pipes:
//! every command that needs no cluster.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test runs programs and writes files"
)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

const GOOD: &str = "apiVersion: mfa-operator.dev/v1alpha1\nkind: MfaPolicy\nmetadata:\n  name: kratos\nspec:\n  targetRefs:\n    - name: kratos\n  requiredAAL:\n    whoami: highest_available\n";

struct Outcome {
    status: i32,
    output: String,
    errors: String,
}

fn check(folder: &Path, arguments: &[&str], input: &str) -> Outcome {
    let mut process = Command::new(env!("CARGO_BIN_EXE_mfa-operator"))
        .arg("check")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    // It may end without reading.
    let _ = process.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let output = process.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Outcome {
        status: output.status.code().expect("a status"),
        output: text(output.stdout),
        errors: text(output.stderr),
    }
}

fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    folder
}

#[test]
fn a_sound_policy_ends_with_zero_also_from_standard_input() {
    let folder = folder_with(&[("policy.yaml", GOOD)]);
    for (path, input) in [("policy.yaml", ""), ("-", GOOD)] {
        let outcome = check(folder.path(), &[path], input);
        assert_eq!((outcome.status, &*outcome.output), (0, ""), "{}", outcome.errors);
        assert!(outcome.errors.contains("1 policy checked, 0 problems"), "{}", outcome.errors);
    }
}

#[test]
fn what_is_wrong_is_told_with_file_line_and_column() {
    let bad = GOOD.replace("highest_available", "aal2");
    let template = "{{ if .Values.mfa }}\nkind: Service\n{{ end }}\n";
    let folder = folder_with(&[
        ("a/good.yaml", GOOD),
        ("a/both.yml", &format!("kind: Service\n---\n{bad}")),
        ("b/template.yaml", template),
        (".git/bad.yaml", &bad),
        ("notes.txt", "kind: MfaPolicy: no manifest"),
    ]);
    let outcome = check(folder.path(), &["."], "");
    assert_eq!(outcome.status, 1, "{}", outcome.errors);
    let lines: Vec<_> = outcome.output.lines().collect();
    assert_eq!(lines.len(), 1, "{}", outcome.output);
    assert!(
        lines[0].starts_with("./a/both.yml:11:5: spec.requiredAAL.whoami: ")
            && lines[0].contains("highest_available"),
        "{}",
        lines[0]
    );
    assert!(outcome.errors.contains("2 policies checked, 1 problem"), "{}", outcome.errors);

    let named = check(folder.path(), &["b/template.yaml"], "");
    assert_eq!(named.status, 0, "a hook names files that hold no policy: {}", named.output);
    let json = check(folder.path(), &["a", "-o", "json"], "");
    let found: Value = serde_json::from_str(&json.output).expect("JSON");
    assert_eq!((json.status, found.as_array().map(Vec::len)), (1, Some(1)));
    let found = &found[0];
    assert_eq!(
        (&found["file"], &found["line"], &found["column"]),
        (&"a/both.yml".into(), &11.into(), &5.into())
    );
    assert_eq!((&found["policy"], &found["field"]), (&"kratos".into(), &"spec.requiredAAL.whoami".into()));
}

#[test]
fn what_cannot_be_read_ends_with_two() {
    let folder = folder_with(&[("bad.yaml", &GOOD.replace("highest_available", "aal2"))]);
    let outcome = check(folder.path(), &["no-such-file.yaml", "bad.yaml"], "");
    assert_eq!(outcome.status, 2);
    assert!(
        outcome.errors.contains("no-such-file.yaml") && outcome.output.contains("bad.yaml"),
        "the others are checked all the same"
    );
    assert_eq!(check(folder.path(), &[], "").status, 2, "wrong usage");
    let broken = check(folder.path(), &["-"], "kind: MfaPolicy\n  name: [\n");
    assert_eq!(broken.status, 1);
    assert!(broken.output.starts_with("-:2:"), "{}", broken.output);
}

#[test]
fn names_of_fields_reach_the_terminal_as_text_alone() {
    let folder = folder_with(&[]);
    let hostile = format!("{GOOD}  \"a\\e[2J\\n::error::b\": 1\n");
    let outcome = check(folder.path(), &["-"], &hostile);
    assert_eq!((outcome.status, outcome.output.lines().count()), (1, 1), "{}", outcome.output);
    assert!(!outcome.output.trim_end().contains(char::is_control), "{:?}", outcome.output);
}

#[test]
fn the_servers_own_configuration_adds_its_rules_and_is_never_repeated() {
    let base = "dsn: postgres://kratos:hunter2@db\nselfservice: {flows: {settings: {required_aal: aal1}}}\n";
    let folder = folder_with(&[
        ("policy.yaml", GOOD),
        ("kratos.yaml", base),
        ("more.yaml", "session: {}\n"),
        ("broken.yaml", "dsn: [hunter2\n"),
    ]);
    let outcome =
        check(folder.path(), &["-f", "policy.yaml", "--base", "kratos.yaml", "--base", "more.yaml"], "");
    assert_eq!(outcome.status, 1, "{}", outcome.output);
    assert!(
        outcome.output.starts_with("policy.yaml:8:3: spec.requiredAAL: ")
            && outcome.output.contains("SettingsBypass"),
        "{}",
        outcome.output
    );
    assert_eq!(
        check(folder.path(), &["policy.yaml"], "").status,
        0,
        "it is nothing that the API server knows"
    );
    let broken = check(folder.path(), &["policy.yaml", "--base", "broken.yaml"], "");
    assert_eq!(broken.status, 2);
    assert!(
        broken.errors.contains("broken.yaml:") && !broken.errors.contains("hunter2"),
        "{}",
        broken.errors
    );
    assert_eq!(check(folder.path(), &["policy.yaml", "--base", "missing.yaml"], "").status, 2);
    let umbrella = "replicaCount: 1\nkratos:\n  enabled: true\n  kratos:\n    config:\n      selfservice: {flows: {settings: {required_aal: aal1}}}\n";
    for (other, words) in [
        ("apiVersion: v1\nkind: ConfigMap\n", "Kubernetes object"),
        ("kratos: {config: {session: {}}}\n", "has one at kratos.config"),
        (umbrella, "has one at kratos.kratos.config"),
        ("replicaCount: 1\n", "no key at its root"),
    ] {
        let folder = folder_with(&[("policy.yaml", GOOD), ("other.yaml", other)]);
        let outcome = check(folder.path(), &["policy.yaml", "--base", "other.yaml"], "");
        assert!(outcome.status == 2 && outcome.errors.contains(words), "{}", outcome.errors);
    }
    let folder = folder_with(&[("policy.yaml", GOOD), ("newer.yaml", "session: {}\nnovelty: hunter2\n")]);
    let outcome = check(folder.path(), &["policy.yaml", "--base", "newer.yaml"], "");
    assert_eq!(outcome.status, 0, "{}", outcome.output);
    assert!(
        outcome.errors.contains("newer.yaml: warning: novelty is no key")
            && !outcome.errors.contains("hunter2"),
        "{}",
        outcome.errors
    );
}

/// What the operator would advise, as far as the files tell.
#[test]
fn advice_is_printed_and_is_no_problem() {
    let trusting = "selfservice: {methods: {oidc: {enabled: true, config: {providers: [{id: example-idp, client_secret: hunter2, aal2_amr_values: [mfa, pwd]}]}}}}\n";
    let passwordless = "selfservice: {methods: {code: {enabled: true, passwordless_enabled: true}}}\n";
    let both = GOOD.replace("    whoami", "    settings: highest_available\n    whoami")
        + "  methods: {totp: {enabled: true}, lookupSecret: {enabled: true}}\n";
    let taken = both.clone() + "  acknowledge: [UpstreamMfaTrusted]\n";
    let folder = folder_with(&[
        ("plain.yaml", GOOD),
        ("both.yaml", &both),
        ("taken.yaml", &taken),
        ("empty.yaml", "{}\n"),
        ("trusting.yaml", trusting),
        ("passwordless.yaml", passwordless),
    ]);
    for (arguments, advice) in [
        (&["plain.yaml", "--base", "empty.yaml"][..], &["NoSecondFactor"][..]),
        (&["plain.yaml"], &[]),
        (&["both.yaml", "--base", "empty.yaml"], &[]),
        (&["both.yaml", "--base", "trusting.yaml"], &["UpstreamMfaTrusted"]),
        (&["taken.yaml", "--base", "trusting.yaml"], &[]),
        (
            &["both.yaml", "--base", "passwordless.yaml", "--server-version", "v1.2.0"],
            &["PasswordlessCodeNotAsked"],
        ),
        (&["both.yaml", "--base", "passwordless.yaml", "--server-version", "v1.3.1"], &[]),
        (&["both.yaml", "--base", "passwordless.yaml"], &[]),
    ] {
        let outcome = check(folder.path(), arguments, "");
        assert_eq!(outcome.status, 0, "{arguments:?}: {}", outcome.output);
        let told: Vec<_> = outcome
            .output
            .lines()
            .filter_map(|line| line.split("advice ").nth(1)?.split(':').next())
            .collect();
        assert_eq!(told, advice, "{arguments:?}: {}", outcome.output);
        assert_eq!(
            outcome.errors.contains("0 problems, 1 piece of advice"),
            !advice.is_empty(),
            "{}",
            outcome.errors
        );
        assert!(!outcome.output.contains("hunter2"), "{}", outcome.output);
    }
    let told = check(folder.path(), &["both.yaml", "--base", "trusting.yaml"], "").output;
    assert!(
        told.starts_with(
            "both.yaml:5:1: advice UpstreamMfaTrusted: example-idp by pwd, mfa; pwd proves no second factor"
        ),
        "{told}"
    );
    let json = check(folder.path(), &["both.yaml", "--base", "trusting.yaml", "-o", "json"], "").output;
    let found: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&found[0]["advice"], &found[0]["policy"]), (&"UpstreamMfaTrusted".into(), &"kratos".into()));
}

/// As `kubectl get -o yaml` prints it, and as kubectl takes it.
#[test]
fn a_policy_as_a_cluster_gave_it_and_one_with_anchors_are_sound() {
    let exported = GOOD.replace(
        "metadata:\n",
        "metadata:\n  creationTimestamp: \"2026-11-01T10:00:00Z\"\n  generation: 3\n  resourceVersion: \"4711\"\n  uid: 00000000-0000-0000-0000-000000000000\n  managedFields:\n    - {manager: kubectl, operation: Apply, apiVersion: mfa-operator.dev/v1alpha1, time: \"2026-11-01T10:00:00Z\", fieldsType: FieldsV1, fieldsV1: {\"f:spec\": {}}}\n",
    ) + "  deletionPolicy: Revert\n  fieldConflicts: Refuse\n  suspend: false\nstatus:\n  observedGeneration: 3\n  conditions: [{type: Ready, status: \"True\"}]\n";
    let object = |name: &str, spec: &str| {
        format!(
            "  - apiVersion: mfa-operator.dev/v1alpha1\n    kind: MfaPolicy\n    metadata: {{name: {name}}}\n    spec:\n      targetRefs: [{{name: {name}}}]\n{spec}"
        )
    };
    let first = object(
        "customers",
        "      requiredAAL: &aal {settings: highest_available, whoami: highest_available}\n      methods: &methods\n        totp: {enabled: true, issuer: Example}\n",
    );
    let second = object(
        "employees",
        "      requiredAAL: *aal\n      methods:\n        <<: *methods\n        webauthn: {enabled: true, rp: {id: example.com, displayName: Example}}\n",
    );
    let anchors = format!("apiVersion: v1\nkind: List\nitems:\n{first}{second}");
    for (text, policies) in [(exported, "1 policy"), (anchors.clone(), "2 policies")] {
        let outcome = check(Path::new("."), &["-"], &text);
        assert_eq!(outcome.status, 0, "{}{}", outcome.output, outcome.errors);
        assert!(outcome.errors.contains(&format!("{policies} checked, 0 problems")), "{}", outcome.errors);
    }
    // What is taken in is judged where it is used.
    let wrong = anchors.replace("issuer: Example", "issuer: \"a: b\"");
    let outcome = check(Path::new("."), &["-"], &wrong);
    assert_eq!(
        (outcome.status, outcome.output.matches("spec.methods.totp.issuer").count()),
        (1, 2),
        "{}",
        outcome.output
    );
}

/// A merge key in the server's own file counts as Kratos reads it.
#[test]
fn merge_keys_of_the_server_are_read() {
    let base = "selfservice:\n  flows:\n    settings:\n      <<: &weak {required_aal: aal1}\n      ui_url: https://login.example.com/settings\n";
    let folder = folder_with(&[("policy.yaml", GOOD), ("kratos.yaml", base)]);
    let outcome = check(folder.path(), &["policy.yaml", "--base", "kratos.yaml"], "");
    assert!(outcome.status == 1 && outcome.output.contains("SettingsBypass"), "{}", outcome.output);
}

#[test]
fn a_policy_is_shown_on_top_of_the_servers_own_configuration() {
    let base = "session: {lifespan: 24h, whoami: {required_aal: aal1}}\nselfservice: {flows: {settings: {required_aal: highest_available}}, allowed_return_urls: [https://a.example.com]}\n\"yes\": kept\n";
    let folder = folder_with(&[("policy.yaml", GOOD), ("kratos.yaml", base)]);
    let output = Command::new(env!("CARGO_BIN_EXE_mfa-operator"))
        .args(["render", "-f", "policy.yaml", "--base", "kratos.yaml"])
        .current_dir(folder.path())
        .output()
        .expect("it runs");
    let merged: serde_yaml::Value = serde_yaml::from_slice(&output.stdout).expect("it is YAML");
    let mut expected: serde_yaml::Value = serde_yaml::from_str(base).expect("it is YAML");
    expected["session"]["whoami"]["required_aal"] = "highest_available".into();
    assert_eq!(merged, expected, "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_code_needs_a_word_or_a_version_that_counts_it_per_person() {
    let code = format!("{GOOD}  methods: {{code: {{mfaEnabled: true}}}}\n");
    let folder = folder_with(&[
        ("code.yaml", &code),
        ("taken.yaml", &format!("{code}  acknowledge: [CodeCountsForEveryone]\n")),
    ]);
    for (arguments, status) in [
        (&["code.yaml"][..], 1),
        (&["code.yaml", "--server-version", "v1.3.1"], 1),
        (&["code.yaml", "--server-version", "25.4"], 0),
        (&["taken.yaml"], 0),
        (&["code.yaml", "--server-version", "latest"], 2),
    ] {
        let outcome = check(folder.path(), arguments, "");
        assert_eq!(outcome.status, status, "{arguments:?}: {}{}", outcome.output, outcome.errors);
        assert_eq!(outcome.output.contains("CodeCountsForEveryone"), status == 1, "{}", outcome.output);
    }
}

/// Whoever reads may stop, as `head` does: the verdict stays.
#[test]
fn a_reader_that_is_gone_changes_no_verdict() {
    let bad = GOOD.replace("highest_available", "aal2");
    let folder = folder_with(&[("good.yaml", GOOD), ("bad.yaml", &bad)]);
    let end = |arguments: &[&str], output: Stdio, errors: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mfa-operator"));
        let ended = command
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .output();
        let ended = ended.expect("it runs");
        (ended.status.code(), String::from_utf8(ended.stderr).expect("text"))
    };
    for (arguments, status) in [
        (&["check", "bad.yaml"][..], 1),
        (&["check", "bad.yaml", "-o", "json"], 1),
        (&["check", "good.yaml", "-o", "json"], 0),
        (&["check", "bad.yaml", "missing.yaml"], 2),
        (&["render", "-f", "good.yaml"], 0),
        (&["render", "-f", "good.yaml", "--as", "env"], 0),
        (&["render", "-f", "bad.yaml"], 1),
        (&["crd"], 0),
        (&["names"], 0),
        (&["completion", "bash"], 0),
        (&["mfa", "completion", "bash"], 0),
    ] {
        let (ended, errors) = end(arguments, closed().into(), Stdio::piped());
        assert_eq!(ended, Some(status), "{arguments:?}: {errors}");
        assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
        assert_eq!(
            end(arguments, closed().into(), closed().into()).0,
            Some(status),
            "{arguments:?}, and nobody reads its errors"
        );
    }
    // What cannot be written for another cause is told.
    for (arguments, status) in
        [(&["crd"][..], 1), (&["mfa", "completion", "bash"], 1), (&["check", "bad.yaml"], 2)]
    {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let (ended, errors) = end(arguments, full.into(), Stdio::piped());
        assert_eq!(ended, Some(status), "{arguments:?}: {errors}");
        assert!(errors.contains("the output cannot be written: No space left"), "{arguments:?}: {errors}");
    }
}

/// A pipe that nobody reads.
fn closed() -> std::io::PipeWriter {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer
}
