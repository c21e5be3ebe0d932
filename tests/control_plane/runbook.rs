//! The procedures of docs/runbook.md that need no pods, played with its own commands.

use serde_json::json;

use crate::objects::{SETTINGS, WHOAMI, enforces, env, env_patch, governed, kratos, policy};
use crate::scene::{AFTER_THE_PAUSE, SOON, Scene, text};

const RUNBOOK: &str = include_str!("../../docs/runbook.md");
const STRICT: &str = "highest_available";

/// Runs the commands that follow this mark, in the scene's namespace in place of the runbook's; answers what
/// they print.
fn play(scene: &Scene, procedure: &str) -> String {
    let mark = format!("<!-- played: {procedure} -->\n```sh\n");
    let (_, rest) =
        RUNBOOK.split_once(&mark).unwrap_or_else(|| panic!("the runbook has no commands {procedure}"));
    let (commands, _) = rest.split_once("```").expect("the block ends");
    assert!(commands.contains(" identity"), "{commands}");
    let commands = commands
        .replace("-n identity", &format!("-n {}", scene.namespace))
        .replace("namespace identity", &format!("namespace {}", scene.namespace));
    let output = scene.shell(&commands).output().expect("a shell runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{procedure}:\n{commands}\n{said}");
    said
}

async fn levels(scene: &Scene) -> (String, String) {
    let env = env(&scene.deployment("kratos").await, "kratos");
    (env[SETTINGS].clone(), env[WHOAMI].clone())
}

fn contains(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is not in:\n{said}");
    }
}

#[tokio::test]
async fn its_commands_do_what_it_says() {
    let mut scene = Scene::start("runbook").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("kratos", &["kratos"])).await;
    scene.until_ready("kratos").await;
    contains(&play(&scene, "look"), &["Ready=True", "\"whoami\":\"highest_available\"", " Policy owner"]);

    let said = play(&scene, "lower");
    contains(&said, &["condition met", "aal1"]);
    assert_eq!(
        levels(&scene).await,
        (STRICT.into(), "aal1".into()),
        "when the wait ends, the level has changed"
    );
    play(&scene, "raise");
    assert_eq!(levels(&scene).await, (STRICT.into(), STRICT.into()));

    scene.operator.stop();
    play(&scene, "by-hand");
    assert_eq!(levels(&scene).await, (STRICT.into(), "aal1".into()), "without an operator");
    scene.operator.start_again();
    scene.until_ready("kratos").await;
    assert_eq!(levels(&scene).await, (STRICT.into(), "aal1".into()), "the operator wants the same");
    play(&scene, "raise");

    scene.edit_as("rival", "Deployment", "kratos", env_patch(&[(WHOAMI, "aal1")])).await;
    scene.until_event("DriftRepaired", &[WHOAMI, "rival"]).await;
    contains(&play(&scene, "fight"), &["DriftRepaired", "rival", "mfa-operator Apply"]);
    play(&scene, "suspend");
    scene.until("it holds still", SOON, async || remembered(&scene, "Retain").await).await;
    scene.edit_as("rival", "Deployment", "kratos", env_patch(&[(WHOAMI, "aal1")])).await;
    scene.until_condition("kratos", "Ready", "False", "Suspended").await;
    play(&scene, "resume");
    assert_eq!(
        levels(&scene).await,
        (STRICT.into(), STRICT.into()),
        "when the wait ends, the other is undone"
    );

    play(&scene, "retry");
    assert!(
        !text(&scene.get("MfaPolicy", "kratos").await["metadata"]["annotations"]["mfa-operator.dev/retry"])
            .is_empty()
    );
    scene.until_ready("kratos").await;

    contains(&play(&scene, "retain"), &["\"deletionPolicy\":\"Retain\"", "deleted"]);
    enforces(&scene.deployment("kratos").await).expect("it is left as it is");
    scene.delete("Namespace", &scene.namespace).await;
    scene
        .until("the namespace goes", AFTER_THE_PAUSE, async || {
            match scene.find("Namespace", &scene.namespace).await {
                None => Ok(()),
                Some(left) => Err(left["status"].to_string()),
            }
        })
        .await;
}

async fn remembered(scene: &Scene, deletion_policy: &str) -> Result<(), String> {
    let memory = governed(&scene.deployment("kratos").await);
    if memory["deletionPolicy"] == json!(deletion_policy) { Ok(()) } else { Err(memory.to_string()) }
}

/// What a person on call types first is there for every reason that somebody should look at.
#[test]
fn every_link_to_it_from_the_events_leads_somewhere() {
    let headings: Vec<_> = RUNBOOK
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| title.to_lowercase().replace(' ', "-"))
        .collect();
    let events = include_str!("../../docs/events.md");
    let links: Vec<_> = events
        .split("runbook.md#")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(anchor, _)| anchor)
        .collect();
    assert!(links.len() > 3);
    for anchor in links {
        assert!(headings.iter().any(|heading| heading == anchor), "no section {anchor} among {headings:?}");
    }
}
