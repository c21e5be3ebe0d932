//! `kubectl mfa` without a cluster: its screens over fixed values, its words beside those of the
//! documentation, completion, and the manifest for krew.
//!
//! A screen stands in `tests/screens`; `UPDATE_GOLDEN=1 cargo test --test kubectl` writes them anew.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test has files and processes; src's pure rooms have not"
)]

use std::path::Path;
use std::process::Command;

use mfa_operator::api::{Advisory, Condition, Reason, RequiredAal, RunningAal, TargetStatus, Transition};
use mfa_operator::cli::kubectl::foreseen::{self, Difference, Previewed, fields};
use mfa_operator::cli::kubectl::screen::{Colour, Style};
use mfa_operator::cli::kubectl::view::{Event, Overview, Pod, Policy, Revision, Target};
use mfa_operator::cli::kubectl::{explain, history, status};
use mfa_operator::controller::Effect;
use mfa_operator::policy::Kind;
use serde_json::{Value, json};

const STRICT: &str = "mfa-1b66cc825c";
const LOOSE: &str = "mfa-83bce658ca";

fn style(colour: Colour) -> Style {
    Style { colour, width: 100, now: "2026-03-01T12:00:00Z".parse().expect("a time") }
}

#[track_caller]
fn is_as_it_was(name: &str, screen: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, screen).expect("it is written");
    }
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let difference = similar::TextDiff::from_lines(&before, screen).unified_diff().to_string();
    assert!(difference.is_empty(), "UPDATE_GOLDEN=1 accepts this:\n{difference}");
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Condition {
    Condition {
        type_: type_.into(),
        status: status.into(),
        reason: reason.into(),
        message: message.into(),
        last_transition_time: "2026-03-01T11:30:00Z".into(),
        observed_generation: Some(3),
    }
}

fn pod(name: &str, revision: &str) -> Pod {
    Pod {
        name: name.into(),
        node: Some("node-1".into()),
        created: "2026-03-01T11:00:00Z".into(),
        ready: true,
        revision: Some(revision.into()),
        ..Pod::default()
    }
}

/// In force, with advice.
fn ready() -> Policy {
    let high = || "highest_available".to_owned();
    let status = TargetStatus {
        kind: "Deployment".into(),
        name: "kratos".into(),
        revision: Some(STRICT.into()),
        server_version: Some("v1.3.1".into()),
        ready_pods: Some(2),
        total_pods: Some(2),
        ..TargetStatus::default()
    };
    let message = "every pod enforces revision mfa-1b66cc825c";
    Policy {
        namespace: "identity".into(),
        name: "kratos".into(),
        created: "2026-02-27T12:00:00Z".into(),
        generation: 3,
        observed_generation: Some(3),
        ready: "True".into(),
        reason: "Ready".into(),
        message: message.into(),
        asked: RequiredAal { settings: Some(high()), whoami: Some(high()) },
        running: Some(RunningAal { settings: high(), whoami: high() }),
        revision: Some(STRICT.into()),
        pods: Some("2/2".into()),
        targets: vec![Target { status, pods: Some(vec![pod("kratos-7f9c-abcde", STRICT), pod("kratos-7f9c-fghij", STRICT)]) }],
        advisories: vec![Advisory {
            type_: "NoDrainDelay".into(),
            message: "Deployment kratos: the container has no preStop hook, so each roll drops a few requests that are on their way: add lifecycle.preStop.sleep.seconds: 5".into(),
        }],
        conditions: vec![
            condition("Accepted", "True", "Accepted", "the policy and its targets are in order"),
            condition("RolledOut", "True", "RolledOut", message),
            condition("Effective", "True", "HashesAgree", "all pods of each target answer one configuration"),
            condition("Ready", "True", "Ready", message),
        ],
        transitions: vec![Transition {
            time: "2026-03-01T11:00:30Z".into(),
            from: RunningAal { settings: high(), whoami: "aal1".into() },
            to: RunningAal { settings: high(), whoami: high() },
            generation: 3,
            revision: Some(STRICT.into()),
            manager: Some("argocd-controller".into()),
            cause: "Policy".into(),
        }],
        revisions: Some(vec![revision(2, STRICT, "highest_available"), revision(1, LOOSE, "aal1")]),
        ..Policy::default()
    }
}

fn revision(number: i64, revision: &str, whoami: &str) -> Revision {
    let on = || vec!["Deployment kratos".to_owned()];
    Revision {
        number,
        revision: revision.into(),
        created: format!("2026-02-{:02}T12:00:00Z", 26 + number),
        delivery: "Environment".into(),
        settings: Some("highest_available".into()),
        whoami: Some(whoami.into()),
        methods: vec!["totp".into(), "lookupSecret".into()],
        in_force_on: if number == 2 { on() } else { Vec::new() },
        good_on: on(),
        ..Revision::default()
    }
}

/// Taken back, with a pod that does not run, and more than one thing wrong.
fn rolled_back() -> Policy {
    let mut policy = ready();
    let message = "what the policy asks for on Deployment kratos (container kratos of pod kratos-55d8-zzzzz: CrashLoopBackOff, exit code 1) failed and was taken back: in force is revision mfa-83bce658ca";
    let overridden = "env session_whoami_required_aal of container kratos in Deployment kratos beats the policy on some pods: remove it";
    policy.ready = "False".into();
    policy.reason = "RolledBack".into();
    policy.message = message.into();
    policy.running = Some(RunningAal { settings: "highest_available".into(), whoami: "aal1".into() });
    policy.revision = Some(LOOSE.into());
    policy.failed_revision = Some(STRICT.into());
    policy.pods = Some("1/2".into());
    policy.conditions = vec![
        condition("Accepted", "True", "Accepted", "the policy and its targets are in order"),
        condition("RolledOut", "False", "RolledBack", message),
        condition("Overridden", "True", "Overridden", overridden),
        condition("Effective", "Unknown", "NotSupported", "it cannot be told"),
        condition("Stalled", "True", "RolledBack", message),
        condition("Ready", "False", "RolledBack", message),
    ];
    let target = &mut policy.targets[0];
    target.status.revision = Some(LOOSE.into());
    target.status.ready_pods = Some(1);
    target.status.not_checked = vec!["Secret kratos, which container kratos takes variables from".into()];
    let mut crashing = pod("kratos-55d8-zzzzz", STRICT);
    (crashing.ready, crashing.restarts, crashing.trouble) = (false, 4, Some("CrashLoopBackOff".into()));
    let mut ending = pod("kratos-7f9c-fghij", LOOSE);
    (ending.ready, ending.terminating) = (false, true);
    target.pods = Some(vec![pod("kratos-7f9c-abcde", LOOSE), crashing, ending]);
    let mut failed = revision(2, STRICT, "highest_available");
    (failed.in_force_on, failed.good_on) = (Vec::new(), Vec::new());
    failed.failed = Some(
        "Deployment kratos: container kratos of pod kratos-55d8-zzzzz: CrashLoopBackOff, exit code 1".into(),
    );
    let older = Revision { in_force_on: vec!["Deployment kratos".into()], ..revision(1, LOOSE, "aal1") };
    policy.revisions = Some(vec![failed, older]);
    policy.advisories.clear();
    policy
}

/// Of an operator that is away.
fn unseen() -> Policy {
    Policy {
        namespace: "identity".into(),
        name: "new".into(),
        generation: 1,
        observed_generation: Some(-1),
        ready: "Unknown".into(),
        suspended: true,
        asked: RequiredAal { settings: None, whoami: Some("aal1".into()) },
        ..Policy::default()
    }
}

#[test]
fn a_status_is_one_screen() {
    let overview = |policies| Overview { policies, ..Overview::default() };
    is_as_it_was(
        "status.txt",
        &status::screen(&style(Colour::Never), &overview(vec![ready(), rolled_back(), unseen()])),
    );
    is_as_it_was(
        "status-colour.txt",
        &status::screen(&style(Colour::Always), &overview(vec![rolled_back()])),
    );
}

#[test]
fn an_explanation_ends_in_what_to_do() {
    let event = Event {
        last_seen: "2026-03-01T11:30:00Z".into(),
        type_: "Warning".into(),
        reason: "RolledBack".into(),
        message: "what the policy asks for failed".into(),
        count: 3,
    };
    is_as_it_was("explain-ready.txt", &explain::screen(&style(Colour::Never), &ready(), &[]));
    is_as_it_was(
        "explain-rolled-back.txt",
        &explain::screen(&style(Colour::Never), &rolled_back(), &[event]),
    );
}

#[test]
fn a_history_has_revisions_and_levels() {
    is_as_it_was("history.txt", &history::screen(&style(Colour::Never), &rolled_back()));
}

#[test]
fn a_difference_names_fields_variables_and_pods() {
    let before = json!({"requiredAAL": {"whoami": "highest_available"}, "acknowledge": [], "methods": {"totp": {"enabled": true}}});
    let after =
        json!({"requiredAAL": {"whoami": "aal1", "settings": "aal1"}, "targetRefs": [{"name": "kratos"}]});
    let effect = Effect {
        kind: Kind::Deployment,
        name: "kratos".into(),
        container: Some("kratos".into()),
        changes: vec![
            ("REVISION".into(), Some(STRICT.into()), Some(LOOSE.into())),
            ("SELFSERVICE_METHODS_TOTP_ENABLED".into(), Some("true".into()), None),
        ],
        rolls: Some(2),
        ends_old_first: true,
        ..Effect::default()
    };
    let held = Effect {
        name: "second".into(),
        obstacle: Some("Deployment second waits for kratos".into()),
        ..effect.clone()
    };
    let dropped = Effect {
        dropped: true,
        rolls: Some(0),
        ends_old_first: false,
        name: "third".into(),
        ..effect.clone()
    };
    let pods = Some(vec!["kratos-7f9c-abcde".into(), "kratos-7f9c-fghij".into()]);
    let difference = Difference {
        namespace: "identity".into(),
        name: "kratos".into(),
        fields: fields("spec", &before, &after),
        effects: Some(vec![
            Previewed { effect, pods },
            Previewed { effect: held, pods: None },
            Previewed { effect: dropped, pods: None },
        ]),
        ..Difference::default()
    };
    is_as_it_was("diff.txt", &foreseen::screen(&style(Colour::Never), &difference));
    let file = Effect { name: "kratos".into(), rereads: true, ..Effect::default() };
    let file =
        Difference { effects: Some(vec![Previewed { effect: file, pods: None }]), ..difference.clone() };
    let file = foreseen::screen(&style(Colour::Never), &file);
    assert!(
        file.contains("no pod would roll; running ones read the new file within about two minutes"),
        "{file}"
    );
    let refused = Difference { rejections: vec!["spec.methods.totp: it was on".into()], ..difference };
    let refused = foreseen::screen(&style(Colour::Never), &refused);
    assert!(refused.contains("would refuse it") && !refused.contains("would roll"), "{refused}");
}

#[test]
fn the_words_are_those_of_the_documentation() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/status.md"))
        .expect("the page is readable");
    let (_, table) = page
        .split_once("| reason | what it means | what to do |\n")
        .expect("the page has the table of reasons");
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let mut told = Vec::new();
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [names, means, to_do] = cells[..] else { panic!("not three cells: {row}") };
        for name in names.split(',').map(|name| name.trim().trim_matches('`')) {
            let remedy = Reason::not_ready(name).and_then(Reason::remedy);
            let remedy =
                remedy.unwrap_or_else(|| panic!("{name} is no reason: add it to src/api/remedies.rs"));
            assert_eq!(
                (remedy.means, remedy.to_do),
                (&*plain(means), &*plain(to_do)),
                "{name}: docs/status.md and src/api/remedies.rs differ"
            );
            told.push(name);
        }
    }
    for reason in Reason::NOT_READY {
        assert!(told.contains(&reason.as_str()), "docs/status.md does not explain {}", reason.as_str());
    }
}

/// Markdown as a terminal shows it.
fn plain(markdown: &str) -> String {
    let mut out = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once('[') {
        out += before;
        match after.split_once("](").and_then(|(text, after)| Some((text, after.split_once(')')?))) {
            Some((text, (link, after))) if !text.contains('[') => {
                out += &format!("{text} (docs/{link})"); // it is a page of that folder
                rest = after;
            }
            _ => {
                out.push('[');
                rest = after;
            }
        }
    }
    (out + rest).replace('`', "")
}

fn program(arguments: &[&str]) -> (i32, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_mfa-operator")).args(arguments).output().expect("the program runs");
    (output.status.code().expect("a status"), String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn shells_get_scripts_that_they_can_read() {
    for arguments in [&["mfa", "completion", "bash"][..], &["completion", "bash"]] {
        let (code, script) = program(arguments);
        assert_eq!(code, 0);
        let mut bash =
            Command::new("bash").args(["-n", "-c", &script]).spawn().expect("bash is everywhere here");
        assert!(bash.wait().expect("it ends").success(), "{arguments:?}");
    }
    for shell in ["zsh", "fish"] {
        assert!(program(&["mfa", "completion", shell]).1.contains("kubectl-mfa"), "{shell}");
        assert!(program(&["completion", shell]).1.contains("mfa-operator"), "{shell}");
    }
}

/// Called by its other names it is the plugin.
#[test]
fn the_name_decides() {
    let folder = tempfile::tempdir().expect("a folder");
    let call = |name: &str, arguments: &[&str]| {
        let link = folder.path().join(name);
        let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mfa-operator"), &link);
        let output = Command::new(link).args(arguments).output().expect("it runs");
        String::from_utf8(output.stdout).expect("text")
    };
    assert!(call("kubectl-mfa", &["--help"]).contains("kubectl mfa"));
    assert!(call("mfa-operator", &["--help"]).contains("Run the operator"));
    assert_eq!(
        call("kubectl_complete-mfa", &["rollout", ""]),
        "status\tWait until a policy is ready; ends with 1 where it waits for an edit, or in vain\n:4\n"
    );
    assert!(call("kubectl_complete-mfa", &["completion", "b"]).contains("bash\n"));
    assert_eq!(call("kubectl_complete-mfa", &["diff", "-f", ""]), ":0\n", "files are the shell's to offer");
}

#[test]
fn the_manifest_for_krew_is_well_formed_once_it_is_filled_in() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/krew/mfa.yaml");
    let text = std::fs::read_to_string(path).expect("the manifest is readable");
    assert!(!text.contains(env!("CARGO_PKG_VERSION")), "the version stands in Cargo.toml alone");
    let digest = "0123456789abcdef".repeat(4);
    let filled = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"));
    let filled = filled
        .replace("@REPOSITORY@", "https://example.com/mfa-operator")
        .replace("@SHA256_LINUX_AMD64@", &digest)
        .replace("@SHA256_LINUX_ARM64@", &digest);
    assert!(!filled.contains('@'), "{filled}");
    let manifest: Value = serde_yaml::from_str(&filled).expect("YAML");
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!((&manifest["kind"], &manifest["metadata"]["name"]), (&json!("Plugin"), &json!("mfa")));
    assert_eq!(manifest["spec"]["version"], format!("v{}", env!("CARGO_PKG_VERSION")));
    let short = manifest["spec"]["shortDescription"].as_str().expect("a description");
    assert!(short.len() <= 50 && !short.ends_with('.'), "krew's rules for {short}");
    for platform in manifest["spec"]["platforms"].as_array().expect("platforms") {
        assert!(
            platform["uri"]
                .as_str()
                .is_some_and(|uri| uri.starts_with("https://") && uri.ends_with(".tar.gz"))
        );
        assert_eq!(platform["sha256"].as_str().map(str::len), Some(64));
        assert_eq!(platform["bin"], "kubectl-mfa");
        assert!(platform["selector"]["matchLabels"]["os"] == "linux");
    }
}
