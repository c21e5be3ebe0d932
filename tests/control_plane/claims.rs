//! One policy for a workload, one policy for a ConfigMap.

use std::time::Duration;

use serde_json::{Value, json};

use crate::objects::{
    WHOAMI, enforces, env, env_removal, generation, governed, is_bare, kratos, label, policy, policy_with,
    template,
};
use crate::scene::{AFTER_THE_PAUSE, SOON, Scene, condition};

const MAX_AGE: &str = "SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE";

/// What is refused is tried again after this time.
const RETRY: Duration = Duration::from_secs(30);

/// The same levels and one setting more, so that it is seen whose settings are in force.
fn rival(targets: &[&str]) -> serde_json::Value {
    policy_with("rival", targets, json!({"privilegedSessionMaxAge": "5m"}))
}

async fn contested(name: &str) -> Scene {
    let scene = Scene::start(name).await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("first", &["kratos"])).await;
    scene.until_ready("first").await;
    scene.create(rival(&["kratos"])).await;
    let message = scene.until_condition("rival", "Accepted", "False", "TargetClaimed").await;
    assert!(message.contains("kratos") && message.contains("first"), "{message}");
    scene
}

/// Also after whoever waits for it has asked again.
async fn stays_with_the_first(scene: &Scene, before: &Value) {
    scene
        .throughout("it stays the first one's", RETRY + Duration::from_secs(5), async || {
            let now = scene.deployment("kratos").await;
            if template(&now) == *before && label(&now) == "first" {
                Ok(())
            } else {
                Err(now["metadata"].to_string())
            }
        })
        .await;
}

#[tokio::test]
async fn the_first_keeps_it_and_the_second_is_told_by_whom() {
    let scene = contested("claimed").await;
    scene.until_condition("rival", "Stalled", "True", "TargetClaimed").await;
    scene.until_ready("first").await;
    let deployment = scene.deployment("kratos").await;
    assert_eq!(
        (label(&deployment), env(&deployment, "kratos").contains_key(MAX_AGE)),
        ("first".into(), false)
    );
}

#[tokio::test]
async fn two_that_come_before_their_target_go_by_age() {
    let scene = Scene::start("claimed-by-age").await;
    // Creation times have whole seconds.
    scene.create(policy("older", &["kratos"])).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    scene.create(policy("a-younger", &["kratos"])).await;
    scene.until_condition("older", "Accepted", "False", "TargetNotFound").await;
    scene.create(kratos("kratos")).await;
    scene.until_ready("older").await;
    scene.until_condition("a-younger", "Accepted", "False", "TargetClaimed").await;
    assert_eq!(label(&scene.deployment("kratos").await), "older");
    scene
        .until("it is told that age alone decided", SOON, async || {
            let told = scene.events("TakenByAge").await;
            if told.iter().any(|event| event.to_string().contains("a-younger")) {
                Ok(())
            } else {
                Err(format!("{told:?}"))
            }
        })
        .await;
}

#[tokio::test]
async fn of_two_that_come_before_their_target_the_stricter_gets_it() {
    let scene = Scene::start("claimed-by-strictness").await;
    scene.create(policy("a-older", &["kratos"])).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let more = json!({"methods": {"totp": {"enabled": true}}});
    scene.create(policy_with("rival", &["kratos"], more)).await;
    scene.until_condition("rival", "Accepted", "False", "TargetNotFound").await;
    scene.create(kratos("kratos")).await;
    scene.until_ready("rival").await;
    scene.until_condition("a-older", "Accepted", "False", "TargetClaimed").await;
    assert_eq!(label(&scene.deployment("kratos").await), "rival");
    assert!(scene.events("TakenByAge").await.is_empty(), "it was not decided by age");
}

/// Neither the age nor what is asked for counts: who had that name gets what is made under it.
#[tokio::test]
async fn one_that_is_made_anew_goes_to_the_policy_that_had_it() {
    let scene = Scene::start("made-anew").await;
    scene.create(kratos("kratos")).await;
    let stricter = json!({"privilegedSessionMaxAge": "2m"});
    scene.create(policy_with("a-stricter", &["elsewhere"], stricter)).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    scene.create(rival(&["kratos"])).await;
    scene.until_ready("rival").await;
    scene.edit("MfaPolicy", "a-stricter", json!({"spec": {"targetRefs": [{"name": "kratos"}]}})).await;
    scene.until_condition("a-stricter", "Accepted", "False", "TargetClaimed").await;
    let anew = async || {
        scene.delete("Deployment", "kratos").await;
        scene.until_condition("rival", "Accepted", "False", "TargetNotFound").await;
        scene.create(kratos("kratos")).await;
    };
    anew().await;
    scene.until_ready("rival").await;
    scene.until_condition("a-stricter", "Accepted", "False", "TargetClaimed").await;
    let now = scene.deployment("kratos").await;
    assert_eq!(
        (label(&now), env(&now, "kratos").get(MAX_AGE).map(String::as_str)),
        ("rival".into(), Some("5m"))
    );

    // Also while it holds still: nothing is written then.
    scene.edit("MfaPolicy", "rival", json!({"spec": {"suspend": true}})).await;
    scene.until_condition("rival", "Ready", "True", "Ready").await;
    anew().await;
    scene
        .throughout("it is kept for it", RETRY + Duration::from_secs(5), async || {
            is_bare(&scene.deployment("kratos").await)
        })
        .await;
    scene.edit("MfaPolicy", "rival", json!({"spec": {"suspend": false}})).await;
    scene.until_ready("rival").await;
    assert_eq!(label(&scene.deployment("kratos").await), "rival");
}

#[tokio::test]
async fn after_the_pause_the_second_takes_over_in_one_update() {
    let scene = contested("handed-on").await;
    let before = generation(&scene.deployment("kratos").await);
    scene.delete("MfaPolicy", "first").await;
    scene
        .throughout("nothing changes within the pause", Duration::from_secs(25), async || {
            let now = scene.deployment("kratos").await;
            if generation(&now) == before && label(&now) == "first" {
                Ok(())
            } else {
                Err(now["metadata"].to_string())
            }
        })
        .await;
    scene
        .until("the second governs", AFTER_THE_PAUSE, async || {
            let now = scene.deployment("kratos").await;
            enforces(&now).unwrap_or_else(|gap| panic!("the levels must stay through the change: {gap}"));
            if label(&now) == "rival" { Ok(()) } else { Err(label(&now)) }
        })
        .await;
    scene.until_ready("rival").await;
    let after = scene.deployment("kratos").await;
    assert_eq!(generation(&after), before + 1, "one update, with no revert between");
    assert_eq!(env(&after, "kratos").get(MAX_AGE).map(String::as_str), Some("5m"));
    scene
        .until("the file of the first is gone", SOON, async || {
            match scene.find("ConfigMap", "first-mfa").await {
                None => Ok(()),
                Some(map) => Err(map["metadata"].to_string()),
            }
        })
        .await;
    assert!(scene.events("Reverted").await.is_empty(), "it was handed on, not reverted");
}

#[tokio::test]
async fn a_first_that_is_recreated_in_time_keeps_it() {
    let scene = contested("kept").await;
    let before = scene.deployment("kratos").await;
    scene.delete("MfaPolicy", "first").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    // It is younger than its rival now, but the workload is still its own.
    scene.create(policy("first", &["kratos"])).await;
    scene.until_ready("first").await;
    scene.until_condition("rival", "Accepted", "False", "TargetClaimed").await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let after = scene.deployment("kratos").await;
    assert_eq!((template(&after), label(&after)), (template(&before), "first".into()));
}

#[tokio::test]
async fn a_first_that_lets_go_hands_it_on_at_once() {
    let scene = contested("let-go").await;
    scene.create(kratos("elsewhere")).await;
    let before = generation(&scene.deployment("kratos").await);
    scene.edit("MfaPolicy", "first", json!({"spec": {"targetRefs": [{"name": "elsewhere"}]}})).await;
    scene.until_ready("rival").await;
    let after = scene.deployment("kratos").await;
    assert_eq!((generation(&after), label(&after)), (before + 1, "rival".into()));
}

/// It would not get it back.
#[tokio::test]
async fn a_first_with_a_mistyped_target_keeps_it() {
    let scene = contested("mistyped").await;
    let before = template(&scene.deployment("kratos").await);
    scene.edit("MfaPolicy", "first", json!({"spec": {"targetRefs": [{"name": "kratso"}]}})).await;
    scene.until_condition("first", "Accepted", "False", "TargetNotFound").await;
    stays_with_the_first(&scene, &before).await;
    scene.edit("MfaPolicy", "first", json!({"spec": {"targetRefs": [{"name": "kratos"}]}})).await;
    scene.until_ready("first").await;
}

/// Nothing of an edit counts that the cluster let pass and the operator refuses.
#[tokio::test]
async fn a_first_whose_edit_is_refused_keeps_it() {
    let scene = contested("refused-edit").await;
    let mut second = kratos("second");
    let env = &mut second["spec"]["template"]["spec"]["containers"][0]["env"];
    env.as_array_mut()
        .expect("a list")
        .push(json!({"name": "SELFSERVICE_METHODS_CODE_PASSWORDLESS_ENABLED", "value": "true"}));
    scene.create(second).await;
    let before = template(&scene.deployment("kratos").await);
    let edit = json!({"spec": {
        "targetRefs": [{"name": "second"}],
        "methods": {"code": {"mfaEnabled": true}},
        "acknowledge": ["CodeCountsForEveryone"],
    }});
    scene.edit("MfaPolicy", "first", edit).await;
    scene.until_condition("first", "Accepted", "False", "InvalidSpec").await;
    stays_with_the_first(&scene, &before).await;
    scene
        .edit(
            "MfaPolicy",
            "first",
            json!({"spec": {"methods": {"code": {"mfaEnabled": false}}, "acknowledge": ["MethodSwitchedOff:code"]}}),
        )
        .await;
    scene.until_ready("first").await;
    scene.until_ready("rival").await;
    let holds = async |name| label(&scene.deployment(name).await);
    assert_eq!((holds("second").await, holds("kratos").await), ("first".into(), "rival".into()));
}

#[tokio::test]
async fn a_suspended_first_keeps_it_until_it_goes_on() {
    let scene = contested("suspended-first").await;
    scene.create(kratos("second")).await;
    let before = template(&scene.deployment("kratos").await);
    scene
        .edit("MfaPolicy", "first", json!({"spec": {"suspend": true, "targetRefs": [{"name": "second"}]}}))
        .await;
    scene.until_condition("first", "RolledOut", "False", "Suspended").await;
    stays_with_the_first(&scene, &before).await;
    scene.edit("MfaPolicy", "first", json!({"spec": {"suspend": false}})).await;
    scene.until_ready("rival").await;
    assert_eq!(label(&scene.deployment("kratos").await), "rival");
}

#[tokio::test]
async fn an_older_policy_that_names_it_later_does_not_take_it() {
    let scene = Scene::start("older-later").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("older", &["elsewhere"])).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    scene.create(rival(&["kratos"])).await;
    scene.until_ready("rival").await;
    let uid = scene.get("MfaPolicy", "rival").await["metadata"]["uid"].clone();
    scene.edit("MfaPolicy", "older", json!({"spec": {"targetRefs": [{"name": "kratos"}]}})).await;
    scene.until_condition("older", "Accepted", "False", "TargetClaimed").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(governed(&scene.deployment("kratos").await)["policy"], uid);
}

#[tokio::test]
async fn a_config_map_of_somebody_else_is_never_taken() {
    let scene = Scene::start("map-foreign").await;
    let foreign = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mfa-mfa"}, "data": {"kratos.yaml": "mine"}});
    scene.create(foreign.clone()).await;
    scene.create(kratos("kratos")).await;
    scene.create(policy_with("mfa", &["kratos"], json!({"fieldConflicts": "TakeOver"}))).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "ConfigMapTaken").await;
    assert!(message.contains("mfa-mfa") && message.contains("configMapName"), "{message}");
    scene.until_condition("mfa", "Stalled", "True", "ConfigMapTaken").await;
    assert_eq!(scene.get("ConfigMap", "mfa-mfa").await["data"], foreign["data"]);

    scene.edit("MfaPolicy", "mfa", json!({"spec": {"delivery": {"configMapName": "levels-mfa"}}})).await;
    scene.until_ready("mfa").await;
    assert_eq!(scene.get("ConfigMap", "mfa-mfa").await["data"], foreign["data"]);
    enforces(&scene.deployment("kratos").await).expect("another name resolves it");
}

#[tokio::test]
async fn a_config_map_of_another_policy_is_never_taken() {
    let scene = Scene::start("map-of-other").await;
    scene.create(kratos("kratos")).await;
    scene.create(kratos("second")).await;
    scene.create(policy("first", &["kratos"])).await;
    scene.until_ready("first").await;
    let file = scene.get("ConfigMap", "first-mfa").await;
    scene
        .create(policy_with("rival", &["second"], json!({"delivery": {"configMapName": "first-mfa"}})))
        .await;
    let message = scene.until_condition("rival", "Accepted", "False", "ConfigMapTaken").await;
    assert!(message.contains("first"), "{message}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = scene.get("ConfigMap", "first-mfa").await;
    assert_eq!((&after["data"], label(&after)), (&file["data"], "first".into()));
    assert!(condition(&scene.until_ready("first").await, "Stalled").is_none(), "the holder is undisturbed");
    scene.delete("MfaPolicy", "first").await;
    scene.until_condition_within(AFTER_THE_PAUSE + RETRY, "rival", "Ready", "True", "Ready").await;
    assert_eq!(
        label(&scene.get("ConfigMap", "first-mfa").await),
        "rival",
        "the name is free when its holder is gone"
    );
}

/// They name one workload and one ConfigMap: who waits for both gets both.
#[tokio::test]
async fn a_config_map_goes_on_with_its_workload() {
    let scene = Scene::start("map-handed-on").await;
    let file = json!({"delivery": {"configMapName": "levels-mfa"}, "privilegedSessionMaxAge": "5m"});
    scene.create(kratos("kratos")).await;
    scene.create(policy_with("first", &["kratos"], json!({"delivery": file["delivery"]}))).await;
    scene.until_ready("first").await;
    scene.create(policy_with("rival", &["kratos"], file)).await;
    scene.until_condition("rival", "Accepted", "False", "TargetClaimed").await;
    let before = generation(&scene.deployment("kratos").await);
    scene.delete("MfaPolicy", "first").await;
    scene.until_condition_within(AFTER_THE_PAUSE + RETRY, "rival", "Ready", "True", "Ready").await;
    let after = scene.deployment("kratos").await;
    assert_eq!(
        (generation(&after), label(&after)),
        (before + 1, "rival".into()),
        "one update, with no revert between"
    );
    let map = scene.get("ConfigMap", "levels-mfa").await;
    assert!(map["data"]["kratos.yaml"].as_str().is_some_and(|file| file.contains("5m")), "{}", map["data"]);
    assert_eq!(label(&map), "rival");
}

/// The one that waits cannot take it, and goes: what is left must not stay for ever.
#[tokio::test]
async fn what_nobody_claims_any_more_is_reverted() {
    let scene = Scene::start("claim-ends").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("first", &["kratos"])).await;
    scene.until_ready("first").await;
    scene.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign-mfa"}})).await;
    scene
        .create(policy_with("rival", &["kratos"], json!({"delivery": {"configMapName": "foreign-mfa"}})))
        .await;
    scene.until_condition("rival", "Accepted", "False", "TargetClaimed").await;
    scene.delete("MfaPolicy", "first").await;
    scene.until_condition_within(AFTER_THE_PAUSE, "rival", "Accepted", "False", "ConfigMapTaken").await;
    // Nothing else shall bring the first one's remains to notice.
    tokio::time::sleep(Duration::from_secs(2)).await;
    enforces(&scene.deployment("kratos").await).expect("while one waits for it, it stays as it is");
    scene.delete("MfaPolicy", "rival").await;
    scene.until("nothing is left", SOON, async || is_bare(&scene.deployment("kratos").await)).await;
}

/// Rights on ConfigMaps alone must not end what the Deployment enforces.
#[tokio::test]
async fn a_config_map_that_was_taken_away_stops_no_repair() {
    let scene = Scene::start("map-replaced").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    let bare = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mfa-mfa"}, "data": {"kratos.yaml": "mine"}});
    scene.replace(bare).await;
    scene.until_condition("mfa", "Accepted", "False", "ConfigMapTaken").await;
    scene.edit("Deployment", "kratos", env_removal(WHOAMI)).await;
    scene.until("the variable is put back", SOON, async || enforces(&scene.deployment("kratos").await)).await;
    scene.until_condition("mfa", "Accepted", "False", "ConfigMapTaken").await;
}
