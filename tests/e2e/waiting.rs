//! What is the cluster's fault, or somebody else's: told with its cause, never undone, and over by itself.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster;
use crate::install::{self, strict};
use crate::levels::{self, NAMESPACE};
use crate::visitor::Visitor;

/// Longer than a pod takes to start on a busy machine, so that nothing but the cause makes it late.
const PATIENCE: Duration = Duration::from_secs(30);

/// Something that keeps new pods from running while old ones do.
pub struct Cause {
    pub name: &'static str,
    /// Told like another one: it is part of the long run.
    pub seldom: bool,
    told: (&'static str, &'static str, &'static str),
    words: &'static [&'static str],
    raise: fn(&str),
    end: fn(&str),
}

fn patch(name: &str, spec: &Value) {
    cluster::kubectl(&[
        "-n",
        NAMESPACE,
        "patch",
        "deployment",
        name,
        "-p",
        &json!({"spec": {"template": {"spec": spec}}}).to_string(),
    ]);
}

fn container(name: &str, fields: Value) {
    let mut container = json!({"name": "kratos"});
    container.as_object_mut().expect("a map").extend(fields.as_object().cloned().unwrap_or_default());
    patch(name, &json!({"containers": [container]}));
}

/// Each is raised a moment after the policy, so that new pods carry both.
pub const CAUSES: &[Cause] = &[
    Cause {
        name: "no-image",
        seldom: false,
        told: ("RolledOut", "False", "Waiting"),
        words: &["ErrImageNeverPull"],
        raise: |name| {
            container(name, json!({"image": "docker.io/testbed/kratos:none", "imagePullPolicy": "Never"}))
        },
        end: |name| {
            container(
                name,
                json!({"image": cluster::get(NAMESPACE, "deployment/kratos")["spec"]["template"]["spec"]["containers"][0]["image"]}),
            )
        },
    },
    Cause {
        name: "no-node",
        seldom: true,
        told: ("RolledOut", "False", "Waiting"),
        words: &["not scheduled"],
        raise: |name| patch(name, &json!({"nodeSelector": {"nobody": "has-it"}})),
        end: |name| patch(name, &json!({"nodeSelector": {"nobody": null}})),
    },
    Cause {
        name: "no-memory",
        seldom: true,
        told: ("RolledOut", "False", "Waiting"),
        words: &["not scheduled"],
        raise: |name| container(name, json!({"resources": {"requests": {"memory": "4000Gi"}}})),
        end: |name| container(name, json!({"resources": {"requests": {"memory": "8Mi"}}})),
    },
    Cause {
        name: "their-crash",
        seldom: false,
        told: ("RolledOut", "False", "Waiting"),
        words: &["something else in its pod template changed as well"],
        raise: |name| container(name, json!({"args": ["serve", "all", "--no-such-flag"]})),
        end: |name| container(name, json!({"args": ["serve", "all", "--config", "/etc/config/kratos.yaml"]})),
    },
    Cause {
        name: "gone",
        seldom: true,
        told: ("Accepted", "False", "TargetNotFound"),
        words: &["does not exist"],
        raise: |name| drop(cluster::kubectl(&["-n", NAMESPACE, "delete", "deployment", name])),
        end: |name| cluster::copy_of_kratos(NAMESPACE, name, 2, |_| {}),
    },
];

pub fn waits(cause: &Cause) {
    levels::scene();
    let name = cause.name;
    cluster::copy_of_kratos(NAMESPACE, name, 2, |_| {});
    cluster::await_wanted(NAMESPACE, name);
    let visitor = Visitor::of(NAMESPACE);
    let mut policy = cluster::policy(NAMESPACE, name, name, &strict());
    policy["spec"]["rollout"] = json!({"progressTimeout": format!("{}s", PATIENCE.as_secs())});
    // The first pods of a slow roll would be done before the cause is raised.
    cluster::apply(&policy);
    (cause.raise)(name);
    cluster::await_told(NAMESPACE, name, cause.told, cause.words);
    std::thread::sleep(PATIENCE + cluster::REACTION);
    cluster::await_told(NAMESPACE, name, cause.told, cause.words);
    never_undone(name);
    (cause.end)(name);
    cluster::await_ready(NAMESPACE, name);
    visitor.must_step_up("when nothing is in the way any more", &cluster::doors(NAMESPACE, name));
    never_undone(name);
    cluster::end_copy(NAMESPACE, name);
}

/// Nothing was ever held against the policy.
pub fn never_undone(name: &str) {
    let events = cluster::events(NAMESPACE, name, "");
    assert!(!events.contains("RolledBack"), "{events}");
}

/// A quota holds for a whole namespace, so this has one of its own.
pub fn quota() {
    let namespace = "e2e-quota";
    install::operator();
    install::begin(namespace);
    cluster::kratos("helm", namespace, 2, &["--set", "courier.enabled=false"]);
    cluster::apply(&json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "full", "namespace": namespace}, "spec": {"hard": {"pods": "2"}},
    }));
    cluster::until("the quota counts", cluster::LONG, || {
        let used = cluster::get(namespace, "resourcequota/full")["status"]["used"]["pods"].clone();
        if used == "2" { Ok(()) } else { Err(used.to_string()) }
    });
    let mut policy = cluster::policy(namespace, "kratos", "kratos", &strict());
    policy["spec"]["rollout"] = json!({"progressTimeout": format!("{}s", PATIENCE.as_secs())});
    cluster::apply(&policy);
    cluster::await_told(namespace, "kratos", ("RolledOut", "False", "Waiting"), &["quota"]);
    std::thread::sleep(PATIENCE + cluster::REACTION);
    cluster::await_condition(namespace, "kratos", ("RolledOut", "False", "Waiting"));
    cluster::kubectl(&["-n", namespace, "delete", "resourcequota", "full"]);
    cluster::await_ready(namespace, "kratos");
    install::end(namespace);
}
