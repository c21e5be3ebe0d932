//! A first policy is weighed by what the server's own file says, as an edit is by what was there before.

use serde_json::{Value, json};

use crate::objects::{enforces, env, kratos, policy_with, template};
use crate::scene::{SOON, Scene};

const TOTP: &str = "SELFSERVICE_METHODS_TOTP_ENABLED";

/// A server that reads its configuration from this config map.
fn kratos_on(name: &str, config_map: &str) -> Value {
    let mut deployment = kratos(name);
    let pod = &mut deployment["spec"]["template"]["spec"];
    pod["volumes"] = json!([{"name": "config", "configMap": {"name": config_map}}]);
    pod["containers"][0]["volumeMounts"] = json!([{"name": "config", "mountPath": "/etc/config"}]);
    deployment
}

#[tokio::test]
async fn a_first_policy_is_weighed_by_the_servers_own_file() {
    let scene = Scene::start("first-weighed").await;
    let own = "selfservice: {methods: {totp: {enabled: true}, webauthn: {enabled: true, config: {rp: {id: login.example.com, display_name: Example}}}}}";
    scene.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "base"}, "data": {"kratos.yaml": own}})).await;
    scene.create(kratos_on("kratos", "base")).await;
    let before = template(&scene.deployment("kratos").await);
    let rp = json!({"id": "example.com", "displayName": "Example"});
    let methods = json!({"totp": {"enabled": false}, "webauthn": {"enabled": true, "rp": rp}});
    scene.create(policy_with("mfa", &["kratos"], json!({"methods": methods}))).await;
    let message = scene.until_condition("mfa", "Accepted", "False", "InvalidSpec").await;
    for part in ["Deployment kratos", "MethodSwitchedOff:totp", "RelyingPartyChanged:example.com"] {
        assert!(message.contains(part), "{part} is missing in: {message}");
    }
    assert!(!message.contains("login.example.com"), "what others wrote is not repeated: {message}");
    assert_eq!(template(&scene.deployment("kratos").await), before);

    let words = json!({"acknowledge": ["MethodSwitchedOff:totp", "RelyingPartyChanged:example.com"]});
    scene.edit("MfaPolicy", "mfa", json!({ "spec": words })).await;
    scene.until_ready("mfa").await;

    // Who took the words out once the change was through has a server with its policy, also when that is made
    // anew.
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"acknowledge": null}})).await;
    scene.until_ready("mfa").await;
    scene.delete("Deployment", "kratos").await;
    scene.until_condition("mfa", "Accepted", "False", "TargetNotFound").await;
    scene.create(kratos_on("kratos", "base")).await;
    scene
        .until("it is governed again", SOON, async || {
            let now = scene.deployment("kratos").await;
            enforces(&now)?;
            if env(&now, "kratos").get(TOTP).map(String::as_str) == Some("false") {
                Ok(())
            } else {
                Err(format!("{:?}", env(&now, "kratos")))
            }
        })
        .await;
    scene.until_ready("mfa").await;
}
