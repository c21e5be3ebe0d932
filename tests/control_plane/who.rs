//! The audit policy of docs/audit.md, loaded by an API server: it says who changed what, and little else.

use std::time::{Duration, Instant};

use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::objects::{SECRET, WHOAMI, env_patch, kratos, policy};
use crate::scene::{resource, text};
use crate::support::control_plane::{ControlPlane, create_namespace, install_definition};

const PAGE: &str = include_str!("../../docs/audit.md");

async fn client_of(plane: &ControlPlane, user: &str) -> Client {
    let kubeconfig = Kubeconfig::read_from(plane.folder().join("kubeconfig")).expect("it is ready");
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.expect("it names one cluster");
    config.auth_info.impersonate = Some(user.into());
    config.auth_info.impersonate_groups = Some(vec!["system:masters".into()]);
    Client::try_from(config).expect("it holds its certificates")
}

fn entries(plane: &ControlPlane) -> Vec<Value> {
    let log = std::fs::read_to_string(plane.folder().join("audit.log")).expect("there is an audit log");
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn the_audit_log_says_who_weakened_a_policy() {
    let (_, rest) =
        PAGE.split_once("<!-- not applied: the audit policy of an API server, a file -->\n```yaml\n").expect("the page has a policy");
    let (snippet, _) = rest.split_once("```").expect("it ends");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), snippet).expect("it can be written");
    let path = file.path().to_str().expect("a path");
    let plane = ControlPlane::start_with(&[("CONTROL_PLANE_AUDIT_POLICY", path), ("CONTROL_PLANE_CONTROLLERS", "off")]);
    let admin = plane.client().await;
    install_definition(&admin).await;
    let namespace = create_namespace(&admin, "audited").await;
    let mallory = client_of(&plane, "mallory").await;
    let api = |client: &Client, kind: &str| Api::<DynamicObject>::namespaced_with(client.clone(), &namespace, &resource(kind));
    let object = |value: Value| serde_json::from_value::<DynamicObject>(value).expect("it is an object");

    api(&admin, "Deployment").create(&PostParams::default(), &object(kratos("kratos"))).await.expect("created");
    api(&admin, "MfaPolicy").create(&PostParams::default(), &object(policy("mfa", &["kratos"]))).await.expect("created");
    let weaker = Patch::Merge(json!({"spec": {"requiredAAL": {"whoami": "aal1"}}}));
    api(&mallory, "MfaPolicy").patch("mfa", &PatchParams::default(), &weaker).await.expect("patched");
    let status = Patch::Merge(json!({"status": {"revision": "mfa-0123456789"}}));
    api(&admin, "MfaPolicy").patch_status("mfa", &PatchParams::default(), &status).await.expect("patched");
    api(&mallory, "Deployment")
        .patch("kratos", &PatchParams::default(), &Patch::Strategic(env_patch(&[(WHOAMI, "aal1")])))
        .await
        .expect("patched");
    let record = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 1, "data": {},
        "metadata": {"name": "forged", "labels": {"mfa-operator.dev/policy": "mfa"}},
    });
    api(&mallory, "ControllerRevision").create(&PostParams::default(), &object(record)).await.expect("created");
    let last = api(&mallory, "MfaPolicy").delete("mfa", &Default::default()).await;
    last.expect("deleted");

    // It is written in the background.
    let deadline = Instant::now() + Duration::from_secs(20);
    let all = loop {
        let all = entries(&plane);
        if all.iter().any(|entry| entry["verb"] == "delete" && entry["objectRef"]["resource"] == "mfapolicies") {
            break all;
        }
        assert!(Instant::now() < deadline, "the deletion is not recorded");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let of = |kind: &str| {
        all.iter()
            .filter(|entry| entry["objectRef"]["resource"] == kind && entry["objectRef"]["namespace"] == *namespace)
            .collect::<Vec<_>>()
    };
    let who = |entry: &Value| entry["impersonatedUser"]["username"].as_str().map_or_else(|| text(&entry["user"]["username"]), Into::into);
    let level = |entry: &Value| text(&entry["responseObject"]["spec"]["requiredAAL"]["whoami"]);
    let policies = of("mfapolicies");
    let told: Vec<_> = policies
        .iter()
        .map(|entry| (who(entry), text(&entry["verb"]), level(entry), entry["responseObject"]["metadata"]["generation"].clone()))
        .collect();
    let [created, patched, deleted] = &told[..] else { panic!("three writes, no read and no status: {told:#?}") };
    assert_eq!((&*created.1, &*created.2, &created.3), ("create", "highest_available", &json!(1)));
    assert_eq!(
        (&*patched.0, &*patched.1, &*patched.2, &patched.3),
        ("mallory", "patch", "aal1", &json!(2)),
        "from the level before to this one"
    );
    assert_eq!((&*deleted.0, &*deleted.1), ("mallory", "delete"));
    assert_eq!(policies[1]["requestObject"]["spec"]["requiredAAL"]["whoami"], "aal1", "what was sent");

    let [workload] = &of("deployments")[..] else { panic!("the patch alone is recorded") };
    assert_eq!((&*who(workload), workload["responseObject"].is_null()), ("mallory", true));
    assert!(workload["requestObject"].to_string().contains(WHOAMI));
    assert!(!all.iter().any(|entry| entry.to_string().contains(SECRET)), "what was not sent is not there");
    let [forged] = &of("controllerrevisions")[..] else { panic!("the forged record is recorded") };
    assert_eq!(forged["responseObject"]["metadata"]["labels"]["mfa-operator.dev/policy"], "mfa");
}
