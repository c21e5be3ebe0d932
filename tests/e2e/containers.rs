//! A pod with several containers of Kratos' own image: only the server gets the policy, and what the others
//! do is told.

use serde_json::{Value, json};

use crate::cluster::Pod;
use crate::levels::{self, NAMESPACE};
use crate::visitor::Visitor;
use crate::{cluster, install};

const NAME: &str = "companions";
const SERVER: &str = "server";
/// A sidecar that starts only while the ConfigMap of this name is there, and is ready only while the Service
/// of this name leads to somebody.
const SIDECAR: &str = "mailer";

pub fn companions() {
    levels::scene();
    let visitor = Visitor::of(NAMESPACE);
    let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": SIDECAR, "namespace": NAMESPACE}, "data": {"a": "b"}});
    cluster::apply(&config_map);
    lead_to("kratos");
    let host = cluster::get(NAMESPACE, &format!("service/{SIDECAR}"))["spec"]["clusterIP"].clone();
    cluster::copy_of_kratos(NAMESPACE, NAME, 1, |deployment| add_companions(deployment, &host));
    cluster::await_wanted(NAMESPACE, NAME);
    let template = || cluster::get(NAMESPACE, &format!("deployment/{NAME}"))["spec"]["template"].clone();
    let (original, before) = (template(), cluster::uids(NAMESPACE, NAME));
    visitor.passes("before the policy", &cluster::doors(NAMESPACE, NAME));

    let mut policy = cluster::policy(NAMESPACE, NAME, NAME, &install::strict());
    cluster::apply(&policy);
    let choice = format!("{SIDECAR}, {SERVER}");
    cluster::await_told(NAMESPACE, NAME, ("Accepted", "False", "ContainerNotFound"), &[&choice]);
    policy["spec"]["targetRefs"][0]["container"] = json!("migrate");
    cluster::apply(&policy);
    cluster::await_told(
        NAMESPACE,
        NAME,
        ("Accepted", "False", "ContainerNotFound"),
        &["no container migrate", &choice],
    );
    assert_eq!(template(), original, "without a container nothing is written");

    lead_to("nobody");
    policy["spec"]["targetRefs"][0]["container"] = json!(SERVER);
    cluster::apply(&policy);
    let pod = cluster::until("the new server runs, and its sidecar not yet", cluster::LONG, || {
        let new = |pod: &Pod| pod.running == [SERVER] && !before.contains(&pod.uid);
        cluster::pods(NAMESPACE, NAME).into_iter().find(new).ok_or_else(|| "no such pod".to_owned())
    });
    visitor.must_step_up("beside a sidecar that is not ready", &[pod.door()]);
    cluster::await_condition(NAMESPACE, NAME, ("RolledOut", "False", "Progressing"));
    lead_to("kratos");
    cluster::await_ready(NAMESPACE, NAME);
    visitor.must_step_up("after the policy", &cluster::doors(NAMESPACE, NAME));
    assert_eq!(without_policy(template()), original, "nothing but the server's variables changed");

    cluster::kubectl(&["-n", NAMESPACE, "delete", "configmap", SIDECAR]);
    policy["spec"]["privilegedSessionMaxAge"] = json!("20m");
    cluster::apply(&policy);
    let words = [&*format!("container {SIDECAR}"), "CreateContainerConfigError"];
    cluster::await_told(NAMESPACE, NAME, ("RolledOut", "False", "Waiting"), &words);
    let status = cluster::get(NAMESPACE, &format!("mfapolicy/{NAME}"))["status"].clone();
    assert_eq!(status["pods"], "0/1", "no pod with the new revision is ready");
    visitor.must_step_up("while the sidecar waits", &cluster::doors(NAMESPACE, NAME));
    cluster::apply(&config_map);
    cluster::await_ready(NAMESPACE, NAME);
    visitor.steps_up(&cluster::doors(NAMESPACE, NAME));
    cluster::end_copy(NAMESPACE, NAME);
}

fn lead_to(name: &str) {
    cluster::apply(&json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": SIDECAR, "namespace": NAMESPACE},
        "spec": {"selector": {"app.kubernetes.io/name": name}, "ports": [{"port": 80, "targetPort": "http-public"}]},
    }));
}

/// An init container, a native sidecar and a sidecar before the server, all of one image.
fn add_companions(deployment: &mut Value, host: &Value) {
    let pod = &mut deployment["spec"]["template"]["spec"];
    let mut server = pod["containers"][0].clone();
    server["name"] = json!(SERVER);
    let mut mailer = server.clone();
    let fields = mailer.as_object_mut().expect("a map");
    ["ports", "readinessProbe", "startupProbe"].iter().for_each(|field| drop(fields.remove(*field)));
    mailer["args"] = json!(["courier", "watch", "--config", "/etc/config/kratos.yaml"]);

    let mut native = mailer.clone();
    native["name"] = json!("native");
    native["restartPolicy"] = json!("Always");
    let mut migrate = mailer.clone();
    migrate["name"] = json!("migrate");
    migrate["args"] = json!(["migrate", "sql", "-e", "--yes", "--config", "/etc/config/kratos.yaml"]);

    mailer["name"] = json!(SIDECAR);
    mailer["envFrom"] = json!([{"configMapRef": {"name": SIDECAR}}]);
    mailer["readinessProbe"] =
        json!({"tcpSocket": {"host": host, "port": 80}, "periodSeconds": 1, "failureThreshold": 1});
    pod["initContainers"] = json!([migrate, native]);
    pod["containers"] = json!([mailer, server]);
}

/// The template without the variables of the policy in the server.
fn without_policy(mut template: Value) -> Value {
    let own = ["REVISION", "SELFSERVICE_FLOWS_SETTINGS_REQUIRED_AAL", "SESSION_WHOAMI_REQUIRED_AAL"];
    let env = template["spec"]["containers"][1]["env"].as_array_mut().expect("a list");
    let count = env.len();
    env.retain(|variable| own.iter().all(|own| variable["name"] != *own));
    assert_eq!(env.len() + own.len(), count, "the server has every variable once");
    template
}
