//! What anybody may store where the operator reads it: it costs neither the memory that the operator may have, nor the
//! time of others.

use serde_json::json;

use crate::objects::{SETTINGS, env, kratos, policy};
use crate::scene::{SOON, Scene};

/// The limit of the chart.
const LIMIT: u64 = 256 * 1024;

/// 30 KB whose aliases make gigabytes of a tree.
fn laughs() -> String {
    let many = |item: &str| vec![item; 6_000].join(",");
    format!("selfservice: {{}}\na: &a [{}]\nb: [{}]\n", many("0"), many("*a"))
}

#[tokio::test]
async fn what_anybody_stores_costs_little_memory_and_holds_nobody_up() {
    let mut scene = Scene::start("hostile").await;
    let file = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "base"}, "data": {"kratos.yaml": laughs()}});
    scene.create(file).await;
    let mut reading = kratos("reading");
    let pod = &mut reading["spec"]["template"]["spec"];
    pod["volumes"] = json!([{"name": "base", "configMap": {"name": "base"}}]);
    pod["containers"][0]["volumeMounts"] = json!([{"name": "base", "mountPath": "/etc/config"}]);
    scene.create(reading).await;
    scene.create(policy("reading", &["reading"])).await;
    for index in 0..6 {
        let mut huge = kratos(&format!("huge-{index}"));
        let container = &mut huge["spec"]["template"]["spec"]["containers"][0];
        container["image"] = json!("anything");
        container["args"] = json!(["--config", vec!["/a"; 400_000].join(",")]);
        scene.create(huge).await;
    }
    scene.create(kratos("other")).await;
    scene.create(policy("other", &["other"])).await;
    scene
        .until("others are served", SOON, async || {
            let variables = env(&scene.deployment("other").await, "kratos");
            if variables.contains_key(SETTINGS) { Ok(()) } else { Err(format!("{variables:?}")) }
        })
        .await;
    scene.until_ready("reading").await;
    // At a restart all of it comes at once.
    let before = scene.operator.peak_memory();
    scene.operator.restart();
    scene.until_ready("reading").await;
    let peak = before.max(scene.operator.peak_memory());
    assert!(peak < LIMIT, "it took {peak} KiB");
}
