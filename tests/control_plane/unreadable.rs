//! What the API server serves and this operator does not expect: neither gone, nor as it was, and no trouble
//! for others.

use std::time::Duration;

use serde_json::json;

use crate::between::{BROKEN, Between};
use crate::election::{BY_DEFAULT, MAX_AGE, leads, options};
use crate::metrics::until_value;
use crate::objects::{
    LABEL, SETTINGS, WHOAMI, enforces, env, env_patch, generation, kratos, kratos_reading, policy,
    policy_with,
};
use crate::plugin::mfa;
use crate::rights::{may_lead, user};
use crate::scene::{SOON, Scene, condition, text};
use crate::stand_in::{StandIn, free_port, ok, serving_at, start_pods};
use crate::support::control_plane::{control_plane, install_definition};

const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// An operator that sees the cluster through a proxy.
pub async fn between(name: &str) -> (Between, Scene) {
    let plane = control_plane();
    install_definition(&plane.client().await).await;
    let between = Between::to(plane);
    let scene = Scene::launch_through(plane, name, between.kubeconfig()).await;
    (between, scene)
}

async fn annotate(scene: &Scene, kind: &str, name: &str, value: Option<&str>) {
    scene.edit(kind, name, json!({"metadata": {"annotations": { BROKEN.0: value }}})).await;
}

/// How many objects of this kind the operator cannot read, by its metrics.
fn unreadable(kind: &str) -> String {
    format!("mfa_operator_unreadable_objects{{kind=\"{kind}\"}}")
}

/// An empty list that the API server writes as null: one legal patch, and the levels are gone with it.
#[tokio::test]
async fn a_list_of_nothing_hides_no_workload() {
    let mut scene = Scene::start("null").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    let mut patch = env_patch(&[(WHOAMI, "aal1"), (SETTINGS, "aal1")]);
    patch["spec"]["template"]["spec"]["volumes"] = json!([{"name": "nothing", "projected": {"sources": []}}]);
    scene.edit("Deployment", "kratos", patch).await;
    let stored = scene.deployment("kratos").await;
    let sources = stored.pointer("/spec/template/spec/volumes/0/projected/sources").expect("it has sources");
    assert!(sources.is_null(), "the API server writes null where it was given a list of nothing: {sources}");
    scene.until_event("DriftRepaired", &[WHOAMI, SETTINGS]).await;
    scene.until_ready("mfa").await;
    enforces(&scene.deployment("kratos").await).expect("it was put back");
    scene.operator.restart();
    scene.until_ready("mfa").await;
    assert!(!scene.operator.log().contains("watch failed"), "{}", scene.operator.log());
}

#[tokio::test]
async fn a_workload_that_cannot_be_read_is_neither_gone_nor_as_it_was() {
    let (_between, scene) = between("unreadable").await;
    for name in ["first", "second", "other"] {
        scene.create(kratos(name)).await;
    }
    scene.create(policy("mfa", &["first", "second"])).await;
    scene.until_ready("mfa").await;
    let mut patch = env_patch(&[(WHOAMI, "aal1")]);
    patch["metadata"] = json!({"annotations": { BROKEN.0: BROKEN.1 }});
    scene.edit("Deployment", "first", patch).await;
    let message = scene.until_condition("mfa", "Ready", "False", "Unreadable").await;
    assert!(
        message.contains("Deployment first")
            && message.contains(&format!("metadata.annotations.{}", BROKEN.0)),
        "{message}"
    );
    scene.until_condition("mfa", "RolledOut", "False", "Unreadable").await;
    scene.until_condition("mfa", "Stalled", "True", "Unreadable").await;
    let status = scene.get("MfaPolicy", "mfa").await["status"].clone();
    assert_eq!(status["requiredAAL"], json!({"settings": "Unknown", "whoami": "Unknown"}));
    let of = |name: &str| {
        status["targets"].as_array().expect("targets").iter().find(|target| target["name"] == name).cloned()
    };
    assert_eq!(of("first").expect("it")["requiredAAL"]["whoami"], "Unknown");
    assert_eq!(
        of("second").expect("it")["requiredAAL"]["whoami"],
        "highest_available",
        "of the other it is known"
    );
    scene.until_event("Unreadable", &["Deployment first", "upgrade the operator"]).await;
    until_value(&scene, &unreadable("Deployment"), SOON, 1.0).await;

    // Nothing of it holds up anybody else, and what was noted of it is kept.
    scene.create(policy("beside", &["other"])).await;
    scene.until_ready("beside").await;
    scene.edit("Deployment", "second", env_patch(&[(WHOAMI, "aal1")])).await;
    scene.until("the second is repaired", SOON, async || enforces(&scene.deployment("second").await)).await;
    let uid = text(&scene.deployment("first").await["metadata"]["uid"]);
    let record = scene.newest_record("mfa").await.expect("a record");
    assert!(text(&record["metadata"]["annotations"]["mfa-operator.dev/applied"]).contains(&uid), "{record}");
    assert!(!scene.operator.log().contains("watch failed"), "{}", scene.operator.log());

    annotate(&scene, "Deployment", "first", None).await;
    scene.until_ready("mfa").await;
    enforces(&scene.deployment("first").await).expect("it was put back");
    scene.until_event("DriftRepaired", &["first", WHOAMI]).await;
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_is_not_gone() {
    let (_between, mut scene) = between("unreadable-policy").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    annotate(&scene, "MfaPolicy", "mfa", Some(BROKEN.1)).await;
    scene.create(policy("rival", &["kratos"])).await;
    scene.until_event("Unreadable", &["MfaPolicy mfa"]).await;
    until_value(&scene, &unreadable("MfaPolicy"), SOON, 1.0).await;
    scene
        .until("it claims no more", SOON, async || {
            let policy = scene.get("MfaPolicy", "mfa").await;
            let ready = condition(&policy, "Ready").cloned().unwrap_or_default();
            let says_so = ready["status"] == "False"
                && ready["reason"] == "Unreadable"
                && policy["status"]["requiredAAL"].is_null();
            if says_so { Ok(()) } else { Err(policy["status"].to_string()) }
        })
        .await;
    scene.until_condition("rival", "Accepted", "False", "TargetClaimed").await;
    let before = generation(&scene.deployment("kratos").await);
    scene.operator.restart();
    let claimed = async || {
        let deployment = scene.deployment("kratos").await;
        enforces(&deployment)?;
        let rival = scene.get("MfaPolicy", "rival").await;
        let reason =
            condition(&rival, "Accepted").map(|accepted| text(&accepted["reason"])).unwrap_or_default();
        let untouched = generation(&deployment) == before && deployment["metadata"]["labels"][LABEL] == "mfa";
        if untouched && reason == "TargetClaimed" {
            Ok(())
        } else {
            Err(format!("{reason} {}", deployment["metadata"]))
        }
    };
    scene.throughout("nothing is reverted or released", Duration::from_secs(45), claimed).await;
    annotate(&scene, "MfaPolicy", "mfa", None).await;
    scene.until_ready("mfa").await;
    assert_eq!(generation(&scene.deployment("kratos").await), before);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_exists() {
    let (_between, scene) = between("unreadable-file").await;
    scene.create(kratos_reading("kratos", "file-mfa")).await;
    let delivery = json!({"delivery": {"type": "ConfigFile", "configMapName": "file-mfa"}});
    scene.create(policy_with("mfa", &["kratos"], delivery)).await;
    scene.until_ready("mfa").await;
    annotate(&scene, "ConfigMap", "file-mfa", Some(BROKEN.1)).await;
    let before = scene.get("ConfigMap", "file-mfa").await["metadata"]["resourceVersion"].clone();
    let message = scene.until_condition("mfa", "Ready", "False", "Unreadable").await;
    assert!(message.contains("ConfigMap file-mfa"), "{message}");
    // A name that is free, as far as what can be read tells.
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"delivery": {"configMapName": "another-mfa"}}})).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "NotWired").await;
    assert!(message.contains("another"), "{message}");
    assert_eq!(
        scene.get("ConfigMap", "file-mfa").await["metadata"]["resourceVersion"],
        before,
        "it is left as it is"
    );
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"delivery": {"configMapName": "file-mfa"}}})).await;
    annotate(&scene, "ConfigMap", "file-mfa", None).await;
    scene.until_ready("mfa").await;
}

/// Of the operator's own label, and 500 deep.
#[tokio::test]
async fn a_record_deeper_than_any_parser_goes_stops_nobody() {
    let mut scene = Scene::start("deep").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    let deep = (0..500).fold(json!(1), |inner, _| json!({ "a": inner }));
    let record = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 7, "data": deep,
        "metadata": {"name": "deep", "labels": { LABEL: "mfa" }},
    });
    // The client of these tests could not read the answer.
    scene.try_kubectl(&["create", "--filename", "-"], &record.to_string()).expect("the API server takes it");
    scene.until_event("RecordIgnored", &["deep"]).await;
    assert_eq!(mfa(&scene, &["history", "mfa"]).code, 0, "the plugin reads past it as well");
    scene.operator.restart();
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"privilegedSessionMaxAge": "5m"}})).await;
    scene.until_condition("mfa", "Ready", "True", "Ready").await;
    scene.try_kubectl(&["get", "controllerrevision", "deep"], "").expect("it is not pruned");
    assert!(!scene.operator.log().contains("watch failed"), "{}", scene.operator.log());
}

/// Who owns what is written by whoever writes, as deep as they like.
#[tokio::test]
async fn forged_owners_of_fields_stop_nobody() {
    let scene = Scene::start("forged").await;
    let port = free_port();
    scene.create(serving_at("kratos", port)).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_condition("mfa", "RolledOut", "True", "NoPods").await;
    let server = StandIn::saying(port, ok(HASH));
    let pods = start_pods(&scene, "kratos", &[server.address]).await;
    scene.until_condition("mfa", "Ready", "True", "Ready").await;

    // The client of these tests could not read the answers.
    let asked = |arguments: &str| {
        let asked = scene
            .shell(&format!("kubectl --namespace {} {arguments}", scene.namespace))
            .output()
            .expect("it runs");
        assert!(asked.status.success(), "{arguments}: {}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8_lossy(&asked.stdout).into_owned()
    };
    let forge = async |kind: &str, name: &str| {
        let deep = (0..500).fold(json!({}), |inner, _| json!({ "f:a": inner }));
        let forged = json!({
            "manager": "forged", "operation": "Update", "apiVersion": scene.get(kind, name).await["apiVersion"],
            "time": "2020-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": deep,
        });
        let patch = json!([{"op": "add", "path": "/metadata/managedFields/-", "value": forged}]);
        asked(&format!("patch {kind} {name} --type json --patch '{patch}'"));
        let depth =
            asked(&format!("get {kind} {name} --show-managed-fields --output json")).matches("f:a\"").count();
        assert!(depth >= 500, "of {kind} {depth} levels are stored");
    };
    forge("Pod", &pods[0]).await;
    forge("Deployment", "kratos").await;
    asked(&format!("patch deployment kratos --patch '{}'", env_patch(&[(WHOAMI, "aal1")])));
    scene.until_event("DriftRepaired", &[WHOAMI]).await;
    scene.until_condition("mfa", "Effective", "True", "HashesAgree").await;

    forge("MfaPolicy", "mfa").await;
    asked("patch mfapolicy mfa --type merge --patch '{\"spec\": {\"privilegedSessionMaxAge\": \"5m\"}}'");
    let written = async || {
        let found = asked("get deployment kratos --output json");
        if found.contains("\"5m\"") { Ok(()) } else { Err(found) }
    };
    scene.until("the edit is written", SOON, written).await;
    // Whose the names of the variables are cannot be read.
    asked("delete mfapolicy mfa");
    let reverted = async || {
        let found = asked("get deployment kratos --output json");
        if found.contains("\"5m\"") { Err(found) } else { Ok(()) }
    };
    scene.until("what was the policy's is dropped", Duration::from_secs(90), reverted).await;
    assert!(!scene.operator.log().contains("watch failed"), "{}", scene.operator.log());
}

/// What the cluster has moved on, and the watch does not say so.
#[tokio::test]
async fn a_watch_that_is_late_for_long_is_passed_by() {
    let (between, scene) = between("late").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    between.hold("/deployments");
    // Its version is another one from now on, and the operator is not told.
    scene
        .edit("Deployment", "kratos", json!({"metadata": {"annotations": {"example.com/by": "somebody"}}}))
        .await;
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"privilegedSessionMaxAge": "5m"}})).await;
    scene
        .until("the edit is written", SOON, async || {
            let found =
                env(&scene.deployment("kratos").await, "kratos").get(MAX_AGE).cloned().unwrap_or_default();
            if found == "5m" { Ok(()) } else { Err(found) }
        })
        .await;
    let log = scene.operator.log();
    assert!(
        log.lines().any(|line| line.contains("INFO") && line.contains("it is read live")),
        "the log says so:\n{log}"
    );
    between.let_go();
    scene.until_ready("mfa").await;
}

/// One that takes over lists what is there, not what is in it.
#[tokio::test]
async fn taking_over_reads_no_file_whole() {
    let plane = control_plane();
    install_definition(&plane.client().await).await;
    let between = Between::to(plane);
    let mut scene = Scene::launch_as(plane, "take-over", async |client, namespace| {
        may_lead(client, namespace, &user(namespace)).await;
        options(namespace, user(namespace), between.kubeconfig(), &BY_DEFAULT)
    })
    .await;
    let large = "x".repeat(1_000_000);
    for number in 0..4 {
        let metadata = json!({"name": format!("large-{number}"), "labels": { LABEL: "mfa" }});
        scene
            .create(
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": large}}),
            )
            .await;
    }
    scene.operator.wait_until_ready();
    leads(&scene, &scene.operator, SOON).await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready("mfa").await;
    let lists = between.lists();
    let of: Vec<_> = lists.iter().filter(|list| list.path.ends_with("/configmaps")).collect();
    assert!(!of.is_empty(), "it lists them: {lists:?}");
    assert!(
        of.iter().all(|list| list.accept.contains("PartialObjectMetadataList") && list.bytes < 100_000),
        "{of:?}"
    );
    scene.operator.stop();
}

/// What it did so far is not known then: it is neither taken for nothing, nor written over.
#[tokio::test]
async fn a_note_that_cannot_be_read_is_not_taken_for_none() {
    const NOTE: &str = "mfa-operator.dev/applied";
    let scene = Scene::start("unread-note").await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready_without_pods("mfa").await;
    let record = scene.newest_record("mfa").await.expect("a record");
    let (name, noted) = (text(&record["metadata"]["name"]), text(&record["metadata"]["annotations"][NOTE]));
    let before = generation(&scene.deployment("kratos").await);
    let note = async |words: &str| {
        scene.edit("ControllerRevision", &name, json!({"metadata": {"annotations": { NOTE: words }}})).await
    };
    note("[{").await;
    let message = scene.until_condition("mfa", "Ready", "False", "Unreadable").await;
    assert!(message.contains(&name) && message.contains(NOTE), "{message}");
    assert_eq!(
        scene.get("MfaPolicy", "mfa").await["status"]["requiredAAL"],
        json!({"settings": "Unknown", "whoami": "Unknown"})
    );
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"privilegedSessionMaxAge": "7m"}})).await;
    let untouched = async || {
        let newest = scene.newest_record("mfa").await.ok_or("no record")?;
        let same = (text(&newest["metadata"]["name"]), text(&newest["metadata"]["annotations"][NOTE]))
            == (name.clone(), "[{".into());
        let now = generation(&scene.deployment("kratos").await);
        if same && now == before { Ok(()) } else { Err(format!("{now} {newest}")) }
    };
    scene.throughout("nothing is written", Duration::from_secs(5), untouched).await;
    // What a newer operator noted beside is no trouble.
    let newer = noted.replacen('{', r#"{"novelty":1,"#, 1);
    assert_ne!(newer, noted);
    note(&newer).await;
    scene.until_ready_without_pods("mfa").await;
    assert_eq!(generation(&scene.deployment("kratos").await), before + 1, "the edit came through");
}
