//! An API server that streams no lists: Kubernetes before 1.32, or any whose operators switched that off.

use serde_json::json;

use crate::objects::{daemon, enforces, env, kratos, policy, policy_with, stateful};
use crate::scene::Scene;
use crate::support::control_plane::{ControlPlane, install_definition};

/// One more than a page holds, and `kratos-last` behind them all: lists come in the order of names.
const WORKLOADS: usize = 51;

#[tokio::test]
async fn lists_come_in_pages_and_nothing_is_missed() {
    let plane = ControlPlane::start_with(&[("CONTROL_PLANE_FEATURES", "WatchList=false")]);
    install_definition(&plane.client().await).await;
    let mut scene = Scene::start_on(&plane, "pages").await;
    for number in 0..WORKLOADS {
        let mut workload = kratos(&format!("kratos-{number:02}"));
        workload["spec"]["replicas"] = json!(0);
        scene.create(workload).await;
    }
    scene.create(kratos("kratos-last")).await;
    scene.create(stateful("stateful")).await;
    scene.create(daemon("daemon")).await;

    // The next operator finds them all there.
    let mark = scene.audit_mark();
    scene.operator.restart();
    for (resource, pages) in [
        ("deployments", 2),
        ("statefulsets", 1),
        ("daemonsets", 1),
        ("mfapolicies", 1),
        ("controllerrevisions", 1),
    ] {
        let lists = scene.lists_since(mark, resource);
        assert!(
            lists >= pages,
            "{lists} lists of {resource}, there are {pages} pages:\n{}",
            scene.operator.log()
        );
    }
    assert!(scene.operator.log().contains("listing in pages"), "{}", scene.operator.log());
    scene.create(policy("mfa", &["kratos-last"])).await;
    scene.until_ready("mfa").await;
    enforces(&scene.deployment("kratos-last").await).expect("it was on the second page");
    let targets =
        json!([{"kind": "StatefulSet", "name": "stateful"}, {"kind": "DaemonSet", "name": "daemon"}]);
    scene.create(policy_with("others", &[], json!({"targetRefs": targets}))).await;
    scene.until_ready("others").await;

    // What changes later comes by the watch.
    scene.edit("MfaPolicy", "mfa", json!({"spec": {"privilegedSessionMaxAge": "5m"}})).await;
    scene.until_ready("mfa").await;
    assert_eq!(
        env(&scene.deployment("kratos-last").await, "kratos")["SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE"],
        "5m"
    );
}
