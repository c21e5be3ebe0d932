//! What somebody who stole the operator's token can do with it, and that it is no more than the operator
//! does. The account has every right in the namespace here, so that it is the confinement that refuses and
//! not a missing right.

use serde_json::{Value, json};

use crate::objects::{GOVERNED, LABEL, WHOAMI, daemon, kratos, policy, stateful};
use crate::scene::{SOON, Scene};
use crate::stage::{Stage, apply, rendered};
use crate::stolen::{RECORD, data};

const KINDS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

pub async fn confined(name: &str) -> Stage {
    granted(Stage::set(name, "confinement").await).await
}

/// With every right, once the confinement holds.
pub async fn granted(stage: Stage) -> Stage {
    stage.grant(&stage.namespace, "cluster-admin").await;
    let map = || json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "probe-"}});
    stage.until_refused(async || stage.operator.create(map()).await).await;
    stage
}

fn container(fields: Value) -> Value {
    let mut container = json!({"name": "kratos"});
    container.as_object_mut().expect("a map").extend(fields.as_object().expect("a map").clone());
    pod(json!({"containers": [container]}))
}

fn pod(fields: Value) -> Value {
    json!({"spec": {"template": {"spec": fields}}})
}

fn variable(entry: Value) -> Value {
    container(json!({"env": [entry]}))
}

/// Kratos with a neighbour, variables of others, and one of ours that somebody else fills from a Secret.
fn workload(kind: &str, name: &str) -> Value {
    let mut workload = match kind {
        "Deployment" => kratos(name),
        "StatefulSet" => stateful(name),
        _ => daemon(name),
    };
    let pod = &mut workload["spec"]["template"]["spec"];
    pod["containers"].as_array_mut().expect("a list").push(json!({"name": "neighbour", "image": "nginx"}));
    let secret =
        json!({"name": "REVISION", "valueFrom": {"secretKeyRef": {"name": "another", "key": "secret"}}});
    pod["containers"][1]["env"] = json!([secret]);
    pod["containers"][0]["env"]
        .as_array_mut()
        .expect("a list")
        .push(json!({"name": "PORT", "value": "4433"}));
    workload
}

/// Everything that a token is worth stealing for, each with words of the refusal.
fn abuses() -> Vec<(&'static str, Value, &'static str)> {
    let secret = json!({"secretKeyRef": {"name": "a", "key": "b"}});
    const SPEC: &str = "of a workload's spec";
    const METADATA: &str = "of a workload's own metadata";
    const VARIABLES: &str = "of a container's variables";
    const LITERAL: &str = "a value that a policy may have, literally";
    vec![
        (
            "mounts a Secret",
            pod(json!({
                "volumes": [{"name": "s", "secret": {"secretName": "kratos"}}],
                "containers": [{"name": "kratos", "volumeMounts": [{"name": "s", "mountPath": "/s"}]}],
            })),
            SPEC,
        ),
        ("adds a volume", pod(json!({"volumes": [{"name": "host", "hostPath": {"path": "/"}}]})), SPEC),
        ("changes the image", container(json!({"image": "registry.example/kratos"})), SPEC),
        (
            "changes a neighbour's image",
            pod(json!({"containers": [{"name": "neighbour", "image": "x"}]})),
            SPEC,
        ),
        ("changes the command", container(json!({"command": ["sh"]})), SPEC),
        ("changes the arguments", container(json!({"args": ["serve", "all", "--dev"]})), SPEC),
        ("takes all of a Secret", container(json!({"envFrom": [{"secretRef": {"name": "kratos"}}]})), SPEC),
        ("opens a port", container(json!({"ports": [{"containerPort": 1}]})), SPEC),
        ("runs a hook", container(json!({"lifecycle": {"preStop": {"exec": {"command": ["sh"]}}}})), SPEC),
        ("runs a probe", container(json!({"livenessProbe": {"exec": {"command": ["sh"]}}})), SPEC),
        (
            "takes a capability",
            container(json!({"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}})),
            SPEC,
        ),
        ("takes resources", container(json!({"resources": {"limits": {"cpu": "1m"}}})), SPEC),
        ("adds a container", pod(json!({"containers": [{"name": "new", "image": "x"}]})), SPEC),
        (
            "removes a container",
            pod(json!({"containers": [{"name": "neighbour", "$patch": "delete"}]})),
            SPEC,
        ),
        ("adds an init container", pod(json!({"initContainers": [{"name": "new", "image": "x"}]})), SPEC),
        ("uses the host's network", pod(json!({"hostNetwork": true})), SPEC),
        ("takes another account", pod(json!({"serviceAccountName": "admin"})), SPEC),
        ("mounts a token", pod(json!({"automountServiceAccountToken": true})), SPEC),
        ("runs as somebody else", pod(json!({"securityContext": {"runAsUser": 0}})), SPEC),
        ("chooses the node", pod(json!({"nodeSelector": {"a": "b"}})), SPEC),
        (
            "changes the template's labels",
            json!({"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}}),
            SPEC,
        ),
        (
            "changes the template's annotations",
            json!({"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}}),
            SPEC,
        ),
        ("changes the spec", json!({"spec": {"minReadySeconds": 60}}), SPEC),
        ("fills ours from a Secret", variable(json!({"name": WHOAMI, "valueFrom": secret})), LITERAL),
        (
            "fills REVISION from a field",
            variable(json!({"name": "REVISION", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}})),
            LITERAL,
        ),
        ("names another variable", variable(json!({"name": "REVISION", "value": "$(DSN)"})), LITERAL),
        ("names one after an escape", variable(json!({"name": "REVISION", "value": "$$$(DSN)"})), LITERAL),
        (
            "adds a variable that is not ours",
            variable(json!({"name": "LD_PRELOAD", "value": "x"})),
            VARIABLES,
        ),
        (
            "adds one in other letters",
            variable(json!({"name": WHOAMI.to_lowercase(), "value": "aal1"})),
            VARIABLES,
        ),
        ("fills one that is not ours", variable(json!({"name": "NEW", "valueFrom": secret})), VARIABLES),
        ("changes another's variable", variable(json!({"name": "DSN", "value": "memory"})), VARIABLES),
        ("removes another's variable", variable(json!({"name": "PORT", "$patch": "delete"})), VARIABLES),
        (
            "calls it an identity server",
            json!({"metadata": {"annotations": {"mfa-operator.dev/allow": "true"}}}),
            METADATA,
        ),
        ("adds a label", json!({"metadata": {"labels": {"a": "b"}}}), METADATA),
        ("removes a label", json!({"metadata": {"labels": {"app": null}}}), METADATA),
        ("adds a finalizer", json!({"metadata": {"finalizers": ["example.com/stay"]}}), METADATA),
        (
            "gives it an owner",
            json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}]}}),
            METADATA,
        ),
    ]
}

#[tokio::test]
async fn a_stolen_token_changes_nothing_of_a_workload_but_our_fields() {
    let stage = confined("confined").await;
    for kind in KINDS {
        let before = stage.admin.create(workload(kind, "kratos")).await.expect("the admin may");
        for (what, patch, words) in abuses() {
            let status =
                stage.operator.patch(kind, "kratos", patch).await.expect_err(&format!("{kind}: {what}"));
            assert_eq!(status.code, 403, "{kind}: {what}: {}", status.message);
            let as_said =
                status.message.contains("-confinement' with binding") && status.message.contains(words);
            assert!(as_said, "{kind}: {what}: {}", status.message);
        }
        if kind != "DaemonSet" {
            let replicas = stage
                .operator
                .patch(kind, "kratos", json!({"spec": {"replicas": 7}}))
                .await
                .expect_err("replicas");
            assert!(replicas.message.contains("of a workload's spec"), "{}", replicas.message);
            let scale = stage.operator.scale(kind, "kratos", 7).await.expect_err("the subresource");
            assert!(scale.message.contains("no business"), "{}", scale.message);
        }
        let selector = json!({"spec": {"selector": {"matchLabels": {"a": "b"}}}});
        stage.operator.patch(kind, "kratos", selector).await.expect_err("the selector never changes");
        let deleted = stage.operator.delete(kind, "kratos").await.expect_err("it deletes none");
        assert!(deleted.message.contains("no business"), "{}", deleted.message);
        let created = stage.operator.create(workload(kind, "new")).await.expect_err("it creates none");
        assert!(created.message.contains("no business"), "{}", created.message);
        let after = stage.admin.get(kind, "kratos").await;
        assert_eq!(after["metadata"]["generation"], before["metadata"]["generation"], "{kind}");
        assert_eq!(after["spec"], before["spec"], "{kind}");
    }
}

/// What the operator itself sends, for the kinds that the other tests have it govern, and on a crowded one.
#[tokio::test]
async fn our_fields_pass() {
    let stage = confined("passing").await;
    for kind in KINDS {
        let mut crowded = workload(kind, "kratos");
        let env = crowded["spec"]["template"]["spec"]["containers"][0]["env"].as_array_mut().expect("a list");
        env.extend((0..400).map(|number| json!({"name": format!("V{number}"), "value": "x".repeat(100)})));
        let found = stage.admin.create(crowded).await.expect("the admin may");
        let identity = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "kratos", "uid": found["metadata"]["uid"]}});
        let mut body = identity.clone();
        body["metadata"]["labels"] = json!({LABEL: "mfa"});
        body["metadata"]["annotations"] = json!({GOVERNED: "{}"});
        let issuer =
            json!({"name": "SELFSERVICE_METHODS_TOTP_CONFIG_ISSUER", "value": "Cats $$(and) dogs, $$5"});
        let env = json!([{"name": WHOAMI, "value": "highest_available"}, {"name": "REVISION", "value": "mfa-0123456789"}, issuer]);
        body["spec"]["template"] = json!({"spec": {"containers": [{"name": "kratos", "env": env}]}});
        let governed =
            stage.operator.apply(body).await.unwrap_or_else(|status| panic!("{kind}: {}", status.message));
        assert_eq!(governed["metadata"]["labels"][LABEL], "mfa");
        let reverted = stage
            .operator
            .apply(identity)
            .await
            .unwrap_or_else(|status| panic!("{kind}: {}", status.message));
        assert_eq!(reverted["spec"]["template"], found["spec"]["template"]);
    }
}

/// What it costs to judge a crowded container must not keep the operator from a repair: the API server gives
/// each expression so much and no more. An object of that size would keep a busy machine longer than one
/// request may take, so a smaller one is judged as many times over.
#[tokio::test]
async fn judging_twenty_thousand_variables_stays_within_the_limit() {
    const HERE: usize = 400;
    let stage = confined("crowded").await;
    let settings = [format!("fullnameOverride={}", stage.namespace)];
    let mut policies = rendered(&stage.namespace, &settings).into_iter();
    let mut costly = policies
        .find(|object| object["metadata"]["name"] == format!("{}-confinement", stage.namespace))
        .expect("it has one");
    let times = (0..20_000 / HERE).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    let often = |expression: &str| json!({"expression": format!("[{times}].all(time, {expression})")});
    let text = |object: &Value| object["expression"].as_str().expect("an expression").to_owned();
    let listed = |pointer: &str| costly.pointer(pointer).and_then(Value::as_array).expect("a list").clone();
    let variables = listed("/spec/variables")
        .into_iter()
        .filter(|variable| text(variable).contains("containers") || text(variable).contains("env"));
    let mut all: Vec<_> = variables.map(|variable| often(&format!("[{}] != []", text(&variable)))).collect();
    assert!(all.len() >= 4, "{all:#?}");
    let workloads = listed("/spec/validations")
        .into_iter()
        .filter(|validation| text(validation).contains("variables.workload"));
    all.extend(workloads.map(|validation| often(&text(&validation))));
    costly["spec"]["validations"] = json!(all);
    let mut crowded = kratos("kratos");
    let env = crowded["spec"]["template"]["spec"]["containers"][0]["env"].as_array_mut().expect("a list");
    env.extend((0..HERE).map(|number| json!({"name": format!("V{number}"), "value": "x"})));
    stage.admin.create(crowded).await.expect("the admin may");
    apply(stage.admin.client(), &stage.namespace, costly).await;
    // Its words are other ones: those rules have none of their own.
    stage
        .until("it holds", async || {
            let status = stage
                .operator
                .patch("Deployment", "kratos", container(json!({"image": "x"})))
                .await
                .expect_err("an image");
            if status.message.contains("].all(time, ") { Ok(()) } else { Err(status.message) }
        })
        .await;
    let repaired = variable(json!({"name": "REVISION", "value": "mfa-abcdef0123"}));
    stage.operator.patch("Deployment", "kratos", repaired).await.expect("a repair");
}

#[tokio::test]
async fn a_stolen_token_rolls_identity_servers_alone() {
    let stage = confined("servers").await;
    let attempt = async |name: &str| {
        stage
            .operator
            .patch("Deployment", name, variable(json!({"name": "REVISION", "value": "mfa-0123456789"})))
            .await
    };
    for (number, image) in
        ["nginx", "oryd/kratos-selfservice-ui:v1", "kratos/nginx", "nginx:kratos", "a@sha256:0/kratos"]
            .iter()
            .enumerate()
    {
        let mut other = kratos(&format!("other-{number}"));
        other["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
        stage.admin.create(other).await.expect("the admin may");
        let status = attempt(&format!("other-{number}")).await.expect_err(image);
        assert!(status.message.contains("identity servers alone"), "{image}: {}", status.message);
    }
    for (number, image) in ["kratos", "registry:5000/oryd/kratos:v1@sha256:00"].iter().enumerate() {
        let mut server = kratos(&format!("server-{number}"));
        server["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image);
        stage.admin.create(server).await.expect("the admin may");
        attempt(&format!("server-{number}"))
            .await
            .unwrap_or_else(|status| panic!("{image}: {}", status.message));
    }
    // The neighbour of a server is none, also one that has a revision of its own.
    let mut first = workload("Deployment", "first");
    first["spec"]["template"]["spec"]["containers"][1]["env"] = json!([{"name": "REVISION", "value": "7"}]);
    stage.admin.create(first).await.expect("the admin may");
    let of_neighbour = pod(
        json!({"containers": [{"name": "neighbour", "env": [{"name": "REVISION", "value": "mfa-0123456789"}]}]}),
    );
    let status =
        stage.operator.patch("Deployment", "first", of_neighbour).await.expect_err("the neighbour's");
    assert!(status.message.contains("the identity server alone"), "{}", status.message);
    let mut allowed = kratos("allowed");
    allowed["metadata"]["annotations"] = json!({"mfa-operator.dev/allow": "true"});
    allowed["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry/identity");
    stage.admin.create(allowed).await.expect("the admin may");
    attempt("allowed").await.expect("its owner calls it one");
}

#[tokio::test]
async fn a_stolen_token_writes_no_config_map_of_others() {
    let stage = confined("maps").await;
    let map = |name: &str, metadata: Value, data: Value| {
        let mut map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
        map["metadata"]["name"] = json!(name);
        map
    };
    let marks = || json!({"labels": {LABEL: "mfa"}, "annotations": {GOVERNED: "{}"}});
    let refused = async |what: &str, answer: Result<Value, Box<kube::core::response::Status>>| {
        let status = answer.expect_err(what);
        assert!(status.message.contains("of ConfigMaps the operator"), "{what}: {}", status.message);
    };
    let operator = &stage.operator;
    stage.admin.create(map("theirs", json!({}), json!({"kratos.yaml": "x"}))).await.expect("the admin may");
    refused(
        "changes one",
        operator.patch("ConfigMap", "theirs", json!({"data": {"kratos.yaml": "y"}})).await,
    )
    .await;
    refused("takes one", operator.patch("ConfigMap", "theirs", json!({"metadata": marks()})).await).await;
    let deleted = operator.delete("ConfigMap", "theirs").await.expect_err("deletes one");
    assert!(deleted.message.contains("of ConfigMaps the operator"), "{}", deleted.message);
    refused(
        "creates one without marks",
        operator.create(map("new-mfa", json!({}), json!({"kratos.yaml": "x"}))).await,
    )
    .await;
    refused(
        "creates one with other keys",
        operator.create(map("new-mfa", marks(), json!({"ca.crt": "x"}))).await,
    )
    .await;
    let metadata = |key: &str, value: Value| {
        let mut metadata = marks();
        metadata[key] = value;
        metadata
    };
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": "x"}]);
    for (what, metadata) in [
        ("creates one that stays", metadata("finalizers", json!(["example.com/stay"]))),
        (
            "creates one that others look for",
            metadata("labels", json!({LABEL: "mfa", "grafana_dashboard": "1"})),
        ),
        ("creates one with a word for others", metadata("annotations", json!({GOVERNED: "{}", "a": "b"}))),
        ("creates one of somebody's", metadata("ownerReferences", owner)),
    ] {
        refused(what, operator.create(map("new-mfa", metadata, json!({}))).await).await;
    }

    operator.create(map("ours-mfa", marks(), json!({"kratos.yaml": "{}\n"}))).await.expect("its own");
    refused("adds a key", operator.patch("ConfigMap", "ours-mfa", json!({"data": {"other": "x"}})).await)
        .await;
    refused(
        "drops the marks",
        operator.patch("ConfigMap", "ours-mfa", json!({"metadata": {"labels": {LABEL: null}}})).await,
    )
    .await;
    refused(
        "adds a label",
        operator.patch("ConfigMap", "ours-mfa", json!({"metadata": {"labels": {"a": "b"}}})).await,
    )
    .await;
    // Somebody takes the label away, and it is put back.
    stage
        .admin
        .patch("ConfigMap", "ours-mfa", json!({"metadata": {"labels": {LABEL: null}}}))
        .await
        .expect("the admin may");
    operator
        .patch("ConfigMap", "ours-mfa", json!({"metadata": {"labels": {LABEL: "mfa"}}}))
        .await
        .expect("the label comes back");
    operator.delete("ConfigMap", "ours-mfa").await.expect("its own");
}

#[tokio::test]
async fn a_stolen_token_writes_no_record_of_others() {
    let stage = confined("records").await;
    let owned = stage.admin.create(policy("mfa", &["kratos"])).await.expect("the admin may");
    let owner = json!([{
        "apiVersion": "mfa-operator.dev/v1alpha1", "kind": "MfaPolicy", "name": "mfa", "uid": owned["metadata"]["uid"],
        "controller": true, "blockOwnerDeletion": false,
    }]);
    let record = |name: &str, labels: Value, owners: Value| {
        json!({
            "apiVersion": "apps/v1", "kind": "ControllerRevision",
            "metadata": {"name": name, "labels": labels, "ownerReferences": owners}, "revision": 1, "data": data(),
        })
    };
    let operator = &stage.operator;
    stage.admin.create(record("theirs", json!({}), json!([]))).await.expect("the admin may");
    let mut answers = vec![
        operator.create(record(RECORD, json!({}), owner.clone())).await.map(drop),
        operator.create(record(RECORD, json!({LABEL: "mfa"}), json!([]))).await.map(drop),
        operator
            .patch("ControllerRevision", "theirs", json!({"metadata": {"labels": {LABEL: "mfa"}}}))
            .await
            .map(drop),
        operator.patch("ControllerRevision", "theirs", json!({"revision": 2})).await.map(drop),
        operator.delete("ControllerRevision", "theirs").await,
    ];
    let two = json!([owner[0], {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}]);
    answers.push(operator.create(record(RECORD, json!({LABEL: "mfa"}), two)).await.map(drop));
    answers.push(
        operator.create(record(RECORD, json!({LABEL: "mfa", "app": "x"}), owner.clone())).await.map(drop),
    );
    // Nobody else could take it off again.
    let mut stays = record(RECORD, json!({LABEL: "mfa"}), owner.clone());
    stays["metadata"]["finalizers"] = json!(["example.com/stay"]);
    answers.push(operator.create(stays).await.map(drop));
    operator.create(record(RECORD, json!({LABEL: "mfa"}), owner)).await.expect("its own");
    let note = json!({"metadata": {"annotations": {"mfa-operator.dev/applied": "[]", "mfa-operator.dev/verdict": "{}"}}, "revision": 2});
    operator.patch("ControllerRevision", RECORD, note).await.expect("its own");
    answers.push(
        operator
            .patch("ControllerRevision", RECORD, json!({"metadata": {"labels": {LABEL: null}}}))
            .await
            .map(drop),
    );
    answers.push(
        operator
            .patch("ControllerRevision", RECORD, json!({"metadata": {"annotations": {"a": "b"}}}))
            .await
            .map(drop),
    );
    for (number, answer) in answers.into_iter().enumerate() {
        let status = answer.expect_err(&format!("attempt {number}"));
        assert!(
            status.message.contains("of ControllerRevisions the operator"),
            "attempt {number}: {}",
            status.message
        );
    }
    operator.delete("ControllerRevision", RECORD).await.expect("its own");

    operator.patch_status("MfaPolicy", "mfa", json!({"observedGeneration": 1})).await.expect("the status is");
}

/// The operators of all other tests run under the same rules.
#[tokio::test]
async fn the_operators_of_the_other_tests_are_confined() {
    let scene = Scene::start("confined-scene").await;
    scene.create(kratos("kratos")).await;
    let mut tag = 0;
    let answer = scene
        .until("its operator is refused", SOON, async || {
            let user = crate::rights::user(&scene.namespace);
            // Each time another: before the rules hold one may pass, and what it asked for is no change any
            // more.
            tag += 1;
            let patch = container(json!({"image": format!("kratos:{tag}")})).to_string();
            let arguments = ["patch", "deployment", "kratos", "--as", &user, "--patch", &patch];
            scene.try_kubectl(&arguments, "").map_or_else(Ok, |()| Err("it passes".into()))
        })
        .await;
    assert!(answer.contains("scenes-mfa-operator-confinement"), "{answer}");
}
