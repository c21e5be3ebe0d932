//! What cannot be, and that it disturbs nothing else.

use std::sync::LazyLock;
use std::time::Duration;

use mfa_operator::api;
use serde_json::{Value, json};

use crate::objects::{
    SETTINGS, WHOAMI, enforces, env, env_patch, env_removal, governed, is_bare, kratos, kratos_mounting,
    label, policy, policy_with, template,
};
use crate::scene::{SOON, Scene, condition, text};
use crate::support::control_plane::{ControlPlane, install, install_definition};

#[tokio::test]
async fn an_image_that_is_no_identity_server_is_refused_unless_its_owner_allows_it() {
    let scene = Scene::start("image").await;
    let mut other = kratos("web");
    other["spec"]["template"]["spec"]["containers"][0]["image"] =
        json!("registry.example.com/kratos/nginx:1");
    scene.create(other).await;
    scene.create(policy("mfa", &["web"])).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "NotKratos").await;
    assert!(message.contains("mfa-operator.dev/allow") && message.contains("web"), "{message}");
    assert!(
        message.contains("serverImages") && message.contains("kratos or kratos-oel"),
        "both ways out: {message}"
    );
    scene.until_condition("mfa", "Stalled", "True", "NotKratos").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let untouched = scene.deployment("web").await;
    assert!(label(&untouched).is_empty() && !env(&untouched, "kratos").contains_key(WHOAMI));

    scene
        .edit("Deployment", "web", json!({"metadata": {"annotations": {"mfa-operator.dev/allow": "true"}}}))
        .await;
    scene.until_ready("mfa").await;
    enforces(&scene.deployment("web").await).expect("its owner allowed it");
}

#[tokio::test]
async fn the_enterprise_image_is_an_identity_server() {
    let scene = Scene::start("oel").await;
    let mut licensed = kratos("kratos");
    let image = "europe-docker.pkg.dev/ory-artifacts/ory-enterprise-kratos/kratos-oel:26.2.6";
    licensed["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
    scene.create(licensed).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    enforces(&scene.deployment("kratos").await).expect("it has the policy");
}

/// A shell may read any file and set any variable: what it does is not known, and is said to be so.
#[tokio::test]
async fn what_a_script_does_is_not_known() {
    let scene = Scene::start("script").await;
    let mut wrapped = kratos_mounting("kratos", "mfa-mfa");
    let container = &mut wrapped["spec"]["template"]["spec"]["containers"][0];
    container["command"] = json!(["/bin/sh", "-c"]);
    container["args"] = json!([
        "set -a; . /vault/kratos.env; exec kratos serve all --config /etc/mfa/kratos.yaml | tee /log"
    ]);
    let mut other = wrapped.clone();
    (other["metadata"]["name"], other["spec"]["replicas"]) = (json!("other"), json!(1));
    other["spec"]["selector"]["matchLabels"]["app"] = json!("other");
    other["spec"]["template"]["metadata"]["labels"]["app"] = json!("other");
    scene.create(wrapped).await;
    scene.create(other).await;
    scene
        .create(policy_with("mfa", &["kratos"], json!({"requiredAAL": {"whoami": "highest_available"}})))
        .await;
    scene.until_ready("mfa").await;
    let status = scene.get("MfaPolicy", "mfa").await["status"].clone();
    let unread = text(&status["targets"][0]["notChecked"][0]);
    assert!(unread.contains("in the place of kratos"), "{status}");
    assert_eq!(status["requiredAAL"]["settings"], "Unknown", "its own files are not known: {status}");
    let advice = status["advisories"].as_array().cloned().unwrap_or_default();
    let untargeted = advice
        .iter()
        .find(|advice| advice["type"] == "UntargetedServer")
        .map(|advice| text(&advice["message"]));
    assert!(untargeted.as_deref().is_some_and(|message| message.contains("other")), "{status}");

    let by_file = json!({"delivery": {"type": "ConfigFile"}});
    scene.edit("MfaPolicy", "mfa", json!({"spec": by_file})).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "NotWired").await;
    assert!(message.contains("what a shell or another program reads cannot be seen"), "{message}");
}

#[tokio::test]
async fn a_container_that_is_not_there_is_named_with_those_that_are() {
    let scene = Scene::start("container").await;
    scene.create(kratos("kratos")).await;
    scene
        .create(policy_with("mfa", &[], json!({"targetRefs": [{"name": "kratos", "container": "server"}]})))
        .await;
    let message = scene.until_condition("mfa", "Accepted", "False", "ContainerNotFound").await;
    assert!(message.contains("server") && message.contains("it has: kratos"), "{message}");
    scene.until_condition("mfa", "Stalled", "True", "ContainerNotFound").await;
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"targetRefs": [{"name": "kratos"}]}})).await;
    scene.until_ready("mfa").await;
}

#[tokio::test]
async fn a_target_that_appears_later_is_picked_up_when_it_appears() {
    let scene = Scene::start("appears").await;
    scene.create(policy("mfa", &["kratos"])).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "TargetNotFound").await;
    assert!(message.contains("kratos"), "{message}");
    scene.until_condition("mfa", "Reconciling", "True", "TargetNotFound").await;
    scene.create(kratos("kratos")).await;
    scene.until_condition("mfa", "Ready", "True", "Ready").await;

    // Deleted and created again, it is another one: it gets everything anew.
    let old = scene.deployment("kratos").await;
    scene.delete("Deployment", "kratos").await;
    scene.until_condition("mfa", "Accepted", "False", "TargetNotFound").await;
    scene.create(kratos("kratos")).await;
    scene.until_ready("mfa").await;
    let new = scene.deployment("kratos").await;
    assert_ne!(new["metadata"]["uid"], old["metadata"]["uid"]);
    assert_eq!(governed(&new)["workload"], new["metadata"]["uid"]);
}

/// The name can be told beforehand: by what it records and the uid. What stands there is no record, and is
/// not written over.
#[tokio::test]
async fn a_record_whose_name_is_taken_is_named_and_left_alone() {
    let scene = Scene::start("record-taken").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    let before = text(&scene.newest_record("mfa").await.expect("a record")["metadata"]["name"]);
    // It writes no record of the next policy before that has a workload.
    scene.delete("Deployment", "kratos").await;
    scene.until_condition("mfa", "Accepted", "False", "TargetNotFound").await;
    scene.delete("MfaPolicy", "mfa").await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_condition("mfa", "Accepted", "False", "TargetNotFound").await;
    let uid = text(&scene.get("MfaPolicy", "mfa").await["metadata"]["uid"]);
    let (start, _) = before.rsplit_once('-').expect("the uid comes last");
    let name = format!("{start}-{}", &uid[..8]);
    let theirs = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": name}, "revision": 7, "data": {"of": "theirs"},
    });
    scene.create(theirs).await;
    scene.create(kratos("kratos")).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "WriteRefused").await;
    assert!(message.contains(&name) && message.contains("delete it"), "{message}");
    assert_eq!(scene.get("ControllerRevision", &name).await["data"], json!({"of": "theirs"}));
    let untouched = scene.deployment("kratos").await;
    assert!(!env(&untouched, "kratos").contains_key(WHOAMI), "it is not enforced before it can be undone");

    scene.delete("ControllerRevision", &name).await;
    scene.until_ready("mfa").await;
    assert_ne!(scene.get("ControllerRevision", &name).await["data"], json!({"of": "theirs"}));
}

/// A cluster whose definition lets everything pass, as an older or an edited one may.
async fn lax(name: &str) -> Scene {
    static LAX: LazyLock<ControlPlane> = LazyLock::new(ControlPlane::start);
    let mut definition = serde_json::to_value(api::crd()).expect("JSON");
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    *schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    install(&LAX.client().await, serde_json::from_value(definition).expect("it stays a definition")).await;
    Scene::start_on(&LAX, name).await
}

#[tokio::test]
async fn a_refused_edit_undoes_nothing_and_the_last_good_one_is_still_kept_up() {
    let mut scene = lax("refused-edit").await;
    scene.create(kratos("kratos")).await;
    scene.create(kratos("second")).await;
    scene.create(policy("mfa", &["kratos", "second"])).await;
    scene.until_ready("mfa").await;
    let before = [scene.deployment("kratos").await, scene.deployment("second").await];

    let edit = json!({"targetRefs": [{"name": "kratos"}], "requiredAAL": {"whoami": "aal2"}, "deletionPolicy": "Retain"});
    scene.edit("MfaPolicy", "mfa", json!({ "spec": edit })).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "InvalidSpec").await;
    assert!(message.contains("aal2") && message.contains("highest_available"), "{message}");
    scene.until_condition("mfa", "Stalled", "True", "InvalidSpec").await;
    scene
        .until("what shall happen at its deletion follows at once all the same", SOON, async || {
            let memories =
                [governed(&scene.deployment("kratos").await), governed(&scene.deployment("second").await)];
            if memories.iter().all(|memory| memory["deletionPolicy"] == "Retain") {
                Ok(())
            } else {
                Err(format!("{memories:?}"))
            }
        })
        .await;
    for _ in 0..2 {
        let after = [scene.deployment("kratos").await, scene.deployment("second").await];
        assert_eq!(after.each_ref().map(template), before.each_ref().map(template));
        assert_eq!(after.each_ref().map(label), ["mfa", "mfa"], "the dropped target stays governed");
        scene.operator.restart();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    for name in ["kratos", "second"] {
        scene.edit("Deployment", name, env_patch(&[(WHOAMI, "aal1")])).await;
        scene.until("drift is still repaired", SOON, async || enforces(&scene.deployment(name).await)).await;
    }
    // Without any variable of ours it is still known what was in force.
    scene.operator.stop();
    for name in ["kratos", "second"] {
        for variable in ["REVISION", WHOAMI, SETTINGS] {
            scene.edit("Deployment", name, env_removal(variable)).await;
        }
    }
    scene.operator.start_again();
    for name in ["kratos", "second"] {
        scene.until("it is put back", SOON, async || enforces(&scene.deployment(name).await)).await;
    }
    scene.until_condition("mfa", "Accepted", "False", "InvalidSpec").await;

    scene
        .edit(
            "MfaPolicy",
            "mfa",
            json!({"spec": {"requiredAAL": {"whoami": "highest_available"}, "deletionPolicy": "Revert"}}),
        )
        .await;
    scene
        .until("once it is accepted, the dropped target is let go", SOON, async || {
            let label = label(&scene.deployment("second").await);
            if label.is_empty() { Ok(()) } else { Err(label) }
        })
        .await;
}

#[tokio::test]
async fn a_resource_that_cannot_be_read_stops_no_other() {
    let mut scene = lax("unreadable").await;
    scene.create(kratos("kratos")).await;
    let unreadable: [(&str, Value); 3] = [
        ("a-string", json!({"targetRefs": "kratos"})),
        ("a-number", json!({"targetRefs": [{"name": 7}], "requiredAAL": {"whoami": "highest_available"}})),
        ("a-list", json!([])),
    ];
    for (name, spec) in &unreadable {
        let mut object = policy(name, &[]);
        object["spec"] = spec.clone();
        scene.create(object).await;
    }
    let mut without = policy("nothing", &[]);
    without.as_object_mut().expect("an object").remove("spec");
    scene.create(without).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    for name in ["a-string", "a-number", "a-list", "nothing"] {
        scene.until_condition(name, "Accepted", "False", "InvalidSpec").await;
        scene.until_condition(name, "Stalled", "True", "InvalidSpec").await;
    }
    // They are there at a start, too.
    scene.operator.restart();
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"privilegedSessionMaxAge": "5m"}})).await;
    scene.until_ready("mfa").await;
}

#[tokio::test]
async fn a_method_that_goes_off_past_the_api_server_is_refused_by_the_operator() {
    let scene = lax("past-the-rules").await;
    scene.create(kratos("kratos")).await;
    scene.create(kratos("second")).await;
    scene.create(policy_with("mfa", &["kratos"], json!({"methods": {"totp": {"enabled": true}}}))).await;
    scene.until_ready("mfa").await;
    let before = scene.deployment("kratos").await;
    scene
        .edit("MfaPolicy", "mfa", json!({"spec": {"methods": null, "targetRefs": [{"name": "second"}]}}))
        .await;
    let message = scene.until_condition("mfa", "Accepted", "False", "InvalidSpec").await;
    assert!(message.contains("MethodSwitchedOff:totp"), "{message}");
    assert_eq!(template(&scene.deployment("kratos").await), template(&before));
    scene.edit("Deployment", "kratos", env_patch(&[(WHOAMI, "aal1")])).await;
    scene
        .until("what is in force is kept up", SOON, async || enforces(&scene.deployment("kratos").await))
        .await;
    is_bare(&scene.deployment("second").await).expect("a target of a refused spec is left alone");
    scene
        .edit(
            "MfaPolicy",
            "mfa",
            json!({"spec": {"targetRefs": [{"name": "kratos"}], "acknowledge": ["MethodSwitchedOff:totp"]}}),
        )
        .await;
    scene.until_ready("mfa").await;
    assert!(
        !env(&scene.deployment("kratos").await, "kratos").contains_key("SELFSERVICE_METHODS_TOTP_ENABLED")
    );
}

#[tokio::test]
async fn a_definition_that_goes_and_comes_back_undoes_nothing() {
    let plane = ControlPlane::start();
    install_definition(&plane.client().await).await;
    let scene = Scene::start_on(&plane, "definition").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    let before = scene.deployment("kratos").await;
    let in_force = async || {
        scene.find("ConfigMap", "mfa-mfa").await.ok_or("the ConfigMap is gone")?;
        enforces(&scene.deployment("kratos").await)
    };
    scene.delete("CustomResourceDefinition", api::CRD_NAME).await;
    scene.throughout("without the definition it stays in force", Duration::from_secs(36), in_force).await;
    install_definition(&scene.client).await;
    scene.throughout("with a new definition it stays in force", Duration::from_secs(36), in_force).await;
    assert_eq!(scene.operator.probe("/readyz"), Some(200));
    scene.until_event("LeftAsIs", &["kratos", "installed anew"]).await;

    scene.create(policy("mfa", &["kratos"])).await;
    // The pauses between attempts to watch have grown meanwhile, up to half a minute.
    scene.until_condition_within(Duration::from_secs(60), "mfa", "Ready", "True", "Ready").await;
    let policy = scene.until_ready("mfa").await;
    assert!(condition(&policy, "Stalled").is_none());
    let after = scene.deployment("kratos").await;
    assert_eq!(template(&after), template(&before), "it is governed again without a roll");
    assert_eq!(governed(&after)["policy"], policy["metadata"]["uid"]);
}
