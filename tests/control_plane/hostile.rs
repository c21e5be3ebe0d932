//! What anybody may store where the operator reads it: it costs neither the memory that the operator may
//! have, nor the time of others.

use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::election::{MAX_AGE, PATIENT, leads, options};
use crate::objects::{LABEL, SETTINGS, WHOAMI, env, env_patch, kratos, policy};
use crate::rights::{grant, may_lead, user};
use crate::scene::{SOON, Scene, identity, resource};
use crate::support::control_plane::{control_plane, create_namespace, install_definition};
use crate::support::operator::Operator;

/// The limit of the chart, in KiB.
const LIMIT: u64 = 256 * 1024;

/// Somebody who may write in a namespace of their own, and in no other.
struct Stranger {
    client: Client,
    namespace: String,
}

impl Stranger {
    fn api(&self, kind: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource(kind))
    }

    async fn create(&self, object: Value) {
        let (kind, name) = identity(&object);
        let object: DynamicObject = serde_json::from_value(object).expect("an object");
        // The client of these tests may not be able to read the answer.
        match self.api(&kind).create(&PostParams::default(), &object).await {
            Ok(_) | Err(kube::Error::SerdeError(_)) => {}
            Err(error) => panic!("{kind} {name}: {error}"),
        }
    }

    /// Each is in the way of a reader of its own.
    async fn fills_its_namespace(&self) {
        self.one_list_of_nothing().await;
        self.aliases().await;
        self.paths().await;
        self.nesting().await;
        self.labelled_files().await;
        self.pods_of_many().await;
        self.making().await;
    }

    /// The API server writes it as null.
    async fn one_list_of_nothing(&self) {
        self.create(kratos("nothing")).await;
        self.create(policy("nothing", &["nothing"])).await;
        let mut patch = env_patch(&[(WHOAMI, "aal1"), (SETTINGS, "aal1")]);
        patch["spec"]["template"]["spec"]["volumes"] =
            json!([{"name": "nothing", "projected": {"sources": []}}]);
        let patched =
            self.api("Deployment").patch("nothing", &PatchParams::default(), &Patch::Strategic(patch)).await;
        patched.expect("it is legal");
    }

    /// 30 KB that make gigabytes of a tree.
    async fn aliases(&self) {
        let many = |item: &str| vec![item; 6_000].join(",");
        let file = format!("selfservice: {{}}\na: &a [{}]\nb: [{}]\n", many("0"), many("*a"));
        let metadata = json!({"name": "base"});
        self.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"kratos.yaml": file}})).await;
        let mut reading = kratos("aliases");
        let pod = &mut reading["spec"]["template"]["spec"];
        pod["volumes"] = json!([{"name": "base", "configMap": {"name": "base"}}]);
        pod["containers"][0]["volumeMounts"] = json!([{"name": "base", "mountPath": "/etc/config"}]);
        self.create(reading).await;
        self.create(policy("aliases", &["aliases"])).await;
    }

    /// Workloads of whatever image, named by nobody.
    async fn paths(&self) {
        for index in 0..6 {
            let mut huge = kratos(&format!("paths-{index}"));
            let container = &mut huge["spec"]["template"]["spec"]["containers"][0];
            container["image"] = json!("anything");
            container["args"] = json!(["--config", vec!["/a"; 400_000].join(",")]);
            self.create(huge).await;
        }
    }

    /// Deeper than parsers go.
    async fn nesting(&self) {
        let deep = (0..500).fold(json!(1), |inner, _| json!({ "a": inner }));
        let metadata = json!({"name": "deep", "labels": { LABEL: "nothing" }});
        let revision = json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": metadata, "revision": 7, "data": deep});
        self.create(revision).await;
    }

    /// Sixteen pods that the selectors of eight workloads find: as the API server writes them, 130 MB.
    async fn pods_of_many(&self) {
        let filler = "<".repeat(1_400_000);
        for index in 0..16 {
            let container = json!({"name": "a", "image": "b", "env": [{"name": "FILLER", "value": filler}]});
            let metadata = json!({"name": format!("huge-{index}"), "labels": {"app": "huge"}});
            self.create(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}})).await;
        }
        for index in 0..8 {
            let name = format!("finds-{index}");
            let mut finds = kratos(&name);
            for labels in ["/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
                *finds.pointer_mut(labels).expect("it has labels") = json!({"app": "huge"});
            }
            self.create(finds).await;
            self.create(policy(&name, &[&name])).await;
        }
    }

    /// Eight workloads that end their pods first, each made from 16 MB; what the policies ask for cannot be
    /// written.
    async fn making(&self) {
        let large = "<".repeat(1_000_000);
        let names: Vec<_> = (0..16).map(|index| format!("part-{index}")).collect();
        for name in &names {
            self.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"part": large}})).await;
        }
        for index in 0..8 {
            let name = format!("made-{index}");
            let mut made = kratos(&name);
            made["spec"]["strategy"] = json!({"type": "Recreate"});
            let pod = &mut made["spec"]["template"]["spec"];
            pod["volumes"] =
                names.iter().map(|name| json!({"name": name, "configMap": {"name": name}})).collect();
            let container = &mut pod["containers"][0];
            container["volumeMounts"] =
                names.iter().map(|name| json!({"name": name, "mountPath": format!("/{name}")})).collect();
            let source = json!({"fieldRef": {"fieldPath": "metadata.name"}});
            container["env"] = json!([{ "name": WHOAMI, "valueFrom": source }]);
            self.create(made).await;
            self.create(policy(&name, &[&name])).await;
        }
    }

    /// 60 MB under the operator's own label.
    async fn labelled_files(&self) {
        let large = "x".repeat(1_000_000);
        for index in 0..60 {
            let metadata = json!({"name": format!("large-{index}"), "labels": { LABEL: "nothing" }});
            self.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"kratos.yaml": large}})).await;
        }
    }
}

/// Waits until an edit of the policy of the scene is in force.
async fn is_served(scene: &Scene, age: &str) {
    scene.edit("MfaPolicy", "served", json!({"spec": {"privilegedSessionMaxAge": age}})).await;
    scene
        .until("the policy of another namespace is served", SOON, async || {
            let found =
                env(&scene.deployment("kratos").await, "kratos").get(MAX_AGE).cloned().unwrap_or_default();
            if found == age { Ok(()) } else { Err(found) }
        })
        .await;
    scene.until_condition("served", "Ready", "True", "Ready").await;
}

#[tokio::test]
async fn what_anybody_stores_costs_little_memory_and_holds_nobody_up() {
    let plane = control_plane();
    let client = plane.client().await;
    install_definition(&client).await;
    let stranger = Stranger { namespace: create_namespace(&client, "stranger").await, client };
    let options = async |namespace: &str| {
        let mut options = options(namespace, user(namespace), &plane.folder().join("kubeconfig"), &PATIENT);
        options.namespaces.push(stranger.namespace.clone());
        options
    };
    let mut scene = Scene::launch_as(plane, "hostile", async |client, namespace| {
        may_lead(client, namespace, &user(namespace)).await;
        grant(client, &stranger.namespace, &user(namespace)).await;
        options(namespace).await
    })
    .await;
    scene.operator.wait_until_ready();
    leads(&scene, &scene.operator, SOON).await;
    let mut second = Operator::start(options(&scene.namespace).await);
    scene.create(kratos("kratos")).await;
    scene.create(policy("served", &["kratos"])).await;
    scene.until_ready("served").await;

    stranger.fills_its_namespace().await;
    is_served(&scene, "5m").await;
    let policies = stranger.api("MfaPolicy");
    scene
        .until("the stranger's policies are looked at", SOON, async || {
            for name in ["nothing", "aliases", "finds-7", "made-7"] {
                let status =
                    policies.get(name).await.map_err(|error| error.to_string())?.data["status"].clone();
                if !status["observedGeneration"].is_i64() {
                    return Err(format!("{name}: {status}"));
                }
            }
            Ok(())
        })
        .await;
    let mut peaks = vec![scene.operator.peak_memory(), second.peak_memory()];

    // The other one takes over with all of it before its eyes, and the first reads all of it at once when it
    // is back.
    scene.operator.kill();
    leads(&scene, &second, SOON).await;
    scene.operator.start_again();
    is_served(&scene, "6m").await;
    peaks.extend([scene.operator.peak_memory(), second.peak_memory()]);
    assert!(peaks.iter().all(|peak| *peak < LIMIT), "KiB at most: {peaks:?}");
    assert_eq!([scene.operator.ended(), second.ended()], [None, None], "both replicas run");
}

/// The one that docs/security.md shows.
#[tokio::test]
async fn the_cluster_bounds_how_many_policies_there_are() {
    let scene = Scene::start("quota").await;
    let page = include_str!("../../docs/security.md");
    let block = page
        .split("```yaml\n")
        .find(|block| block.contains("kind: ResourceQuota"))
        .expect("the page shows one");
    let mut quota: Value = serde_yaml::from_str(block.split("```").next().unwrap_or_default()).expect("YAML");
    quota["metadata"]["namespace"] = json!(scene.namespace);
    let most = quota["spec"]["hard"]["count/mfapolicies.mfa-operator.dev"]
        .as_str()
        .and_then(|count| count.parse::<usize>().ok());
    let most = most.expect("a number of policies");
    let name = identity(&quota).1;
    for number in 0..most {
        scene.create(policy(&format!("policy-{number}"), &["kratos"])).await;
    }
    scene.create(quota.clone()).await;
    // The controller learns of a new definition now and then, and counts when a quota is new.
    let mut looks = 0;
    scene
        .until("the quota counts", SOON * 3, async || {
            let status = scene.get("ResourceQuota", &name).await["status"].clone();
            if status["used"]["count/mfapolicies.mfa-operator.dev"].as_str() == Some(&*most.to_string()) {
                return Ok(());
            }
            looks += 1;
            if looks % 50 == 0 {
                scene.delete("ResourceQuota", &name).await;
                scene.create(quota.clone()).await;
            }
            Err(status.to_string())
        })
        .await;
    // What admits writes learns of a quota by a watch, some time after it was counted.
    let one_more: DynamicObject = serde_json::from_value(policy("one-more", &["kratos"])).expect("an object");
    scene
        .until("one more is refused", SOON, async || {
            match scene.api("MfaPolicy").create(&PostParams::default(), &one_more).await {
                Err(refused) if refused.to_string().contains("exceeded quota") => Ok(()),
                Err(error) => panic!("{error}"),
                Ok(_) => {
                    scene.delete("MfaPolicy", "one-more").await;
                    Err("it is admitted".into())
                }
            }
        })
        .await;
}
