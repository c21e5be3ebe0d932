//! StatefulSets and DaemonSets, beside Deployments and with update strategies of their own.

use serde_json::{Value, json};

use crate::objects::{
    WHOAMI, daemon, enforces, env, env_patch, is_bare, kratos, label, policy_with, stateful,
};
use crate::scene::{AFTER_THE_PAUSE, SOON, Scene};

const KINDS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

#[tokio::test]
async fn one_policy_governs_all_kinds_even_of_one_name() {
    let scene = Scene::start("kinds").await;
    for workload in [kratos("kratos"), stateful("kratos"), daemon("kratos")] {
        scene.create(workload).await;
    }
    let targets: Vec<_> = KINDS.iter().map(|kind| json!({"kind": kind, "name": "kratos"})).collect();
    scene.create(policy_with("mfa", &[], json!({ "targetRefs": targets }))).await;
    let ready = scene.until_ready("mfa").await;
    let told: Vec<_> = ready["status"]["targets"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|target| target["kind"].clone())
        .collect();
    assert_eq!(told, KINDS);
    for kind in KINDS {
        let workload = scene.get(kind, "kratos").await;
        enforces(&workload).expect("it enforces");
        assert_eq!(label(&workload), "mfa");
    }
    for kind in KINDS {
        scene.edit(kind, "kratos", env_patch(&[(WHOAMI, "aal1")])).await;
        scene.until("drift is repaired", SOON, async || enforces(&scene.get(kind, "kratos").await)).await;
        scene.until_event("DriftRepaired", &[kind, "kratos", WHOAMI]).await;
    }
    // One kind is dropped, the others of its name stay.
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"targetRefs": [targets[0], targets[2]]}})).await;
    scene
        .until("the dropped one is reverted", SOON, async || {
            is_bare(&scene.get("StatefulSet", "kratos").await)
        })
        .await;
    for kind in ["Deployment", "DaemonSet"] {
        enforces(&scene.get(kind, "kratos").await).expect("it still enforces");
    }
    scene.delete("MfaPolicy", "mfa").await;
    for kind in KINDS {
        scene
            .until("nothing is left", AFTER_THE_PAUSE, async || is_bare(&scene.get(kind, "kratos").await))
            .await;
    }
}

async fn with_a_pod(name: &str, strategy: Value) -> Scene {
    let scene = Scene::start(name).await;
    let mut workload = stateful("kratos");
    workload["spec"]["replicas"] = json!(1);
    workload["spec"]["updateStrategy"] = strategy;
    scene.create(workload).await;
    scene
        .until("its pod is there", SOON, async || {
            scene.find("Pod", "kratos-0").await.map(|_| ()).ok_or("there is none".into())
        })
        .await;
    scene
        .create(policy_with("mfa", &[], json!({"targetRefs": [{"kind": "StatefulSet", "name": "kratos"}]})))
        .await;
    scene
}

#[tokio::test]
async fn pods_that_wait_for_somebody_to_delete_them_are_no_failure() {
    let scene = with_a_pod("on-delete", json!({"type": "OnDelete"})).await;
    let message = scene.until_condition("mfa", "RolledOut", "False", "TargetPaused").await;
    for word in ["StatefulSet kratos", "OnDelete", "0 of 1"] {
        assert!(message.contains(word), "{word} is missing in: {message}");
    }
    scene.until_condition("mfa", "Reconciling", "True", "TargetPaused").await;
    assert!(!env_of_pod(&scene).await.contains(WHOAMI), "the pod is as it was");
    scene.delete("Pod", "kratos-0").await;
    // No node takes it here.
    scene.until_condition("mfa", "RolledOut", "False", "Waiting").await;
    assert!(env_of_pod(&scene).await.contains(WHOAMI), "the next pod has the policy");
}

#[tokio::test]
async fn a_partition_is_told_with_how_to_end_it() {
    let scene =
        with_a_pod("partition", json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}})).await;
    let message = scene.until_condition("mfa", "RolledOut", "False", "TargetPaused").await;
    assert!(message.contains("partition 1"), "{message}");
    assert!(env(&scene.get("StatefulSet", "kratos").await, "kratos").contains_key(WHOAMI));
}

async fn env_of_pod(scene: &Scene) -> String {
    scene.get("Pod", "kratos-0").await["spec"]["containers"][0]["env"].to_string()
}
