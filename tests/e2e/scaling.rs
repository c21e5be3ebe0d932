//! The number of pods is somebody else's: none at all, and one that an autoscaler changes during a roll.

use serde_json::json;

use crate::levels::{self, NAMESPACE};
use crate::visitor::Visitor;
use crate::{cluster, install};

/// A pod that comes later enforces, without a roll.
pub fn from_zero() {
    levels::scene();
    let name = "from-zero";
    let visitor = Visitor::of(NAMESPACE);
    cluster::copy_of_kratos(NAMESPACE, name, 0, |_| {});
    cluster::apply(&cluster::policy(NAMESPACE, name, name, &install::strict()));
    cluster::await_condition(NAMESPACE, name, ("RolledOut", "True", "NoPods"));
    cluster::await_ready(NAMESPACE, name);
    let status = || cluster::get(NAMESPACE, &format!("mfapolicy/{name}"))["status"].clone();
    assert_eq!(status()["pods"], "0/0");

    let generation =
        || cluster::get(NAMESPACE, &format!("deployment/{name}"))["metadata"]["generation"].as_i64();
    let before = generation();
    scale(name, 2);
    let pods = cluster::await_wanted(NAMESPACE, name);
    assert_eq!(pods.len(), 2);
    visitor.must_step_up("the first pods", &cluster::doors(NAMESPACE, name));
    cluster::await_condition(NAMESPACE, name, ("RolledOut", "True", "RolledOut"));
    cluster::await_ready(NAMESPACE, name);
    cluster::until("the status counts them", cluster::LONG, || {
        if status()["pods"] == "2/2" { Ok(()) } else { Err(status().to_string()) }
    });
    assert_eq!(generation(), before.map(|before| before + 1), "scaling is the only change");
    cluster::end_copy(NAMESPACE, name);
}

/// First somebody scales by hand, then an autoscaler, while the same roll goes on.
pub fn during_a_roll() {
    levels::scene();
    let name = "scaled";
    let visitor = Visitor::of(NAMESPACE);
    // Pods are replaced one by one, which takes longer than an autoscaler needs for its first look (15 s).
    cluster::copy_of_kratos(NAMESPACE, name, 2, |deployment| {
        deployment["spec"]["minReadySeconds"] = json!(10);
        deployment["spec"]["strategy"] =
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    });
    let before = cluster::await_wanted(NAMESPACE, name);
    cluster::apply(&cluster::policy(NAMESPACE, name, name, &install::strict()));
    cluster::apply(&json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": NAMESPACE},
        // The lower bound needs no metrics.
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}, "minReplicas": 4, "maxReplicas": 4},
    }));
    cluster::await_condition(NAMESPACE, name, ("RolledOut", "False", "Progressing"));
    scale(name, 3);
    let deployment = || cluster::get(NAMESPACE, &format!("deployment/{name}"));
    cluster::until("the autoscaler scales", cluster::LONG, || {
        match deployment()["spec"]["replicas"].as_u64() {
            Some(4) => Ok(()),
            other => Err(format!("{other:?} replicas")),
        }
    });
    let old = cluster::pods(NAMESPACE, name)
        .into_iter()
        .filter(|pod| before.iter().any(|before| before.uid == pod.uid))
        .count();
    assert!(old > 0, "the roll was over before the autoscaler came");
    assert_eq!(
        cluster::condition(NAMESPACE, name, "Ready").map(|(status, _)| status).as_deref(),
        Some("False"),
        "an old pod still runs"
    );

    cluster::await_ready(NAMESPACE, name);
    let doors = cluster::doors(NAMESPACE, name);
    assert_eq!(doors.len(), 5, "four pods and the Service");
    visitor.must_step_up("after the roll", &doors);
    assert_eq!(cluster::available(&deployment()), 4);
    let sets = crate::api::objects(NAMESPACE, "replicaset", &format!("app.kubernetes.io/name={name}"));
    assert_eq!(sets.len(), 2, "it rolled once: {sets:?}");
    cluster::kubectl(&["-n", NAMESPACE, "delete", "hpa", name]);
    cluster::end_copy(NAMESPACE, name);
}

/// By the subresource, as autoscalers do.
fn scale(name: &str, replicas: u32) {
    cluster::kubectl(&[
        "-n",
        NAMESPACE,
        "scale",
        &format!("deployment/{name}"),
        &format!("--replicas={replicas}"),
    ]);
}
