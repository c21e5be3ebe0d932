//! What stands in front of the admin port of a real Kratos, and what admission makes of its pods: a change
//! that new pods do not survive is taken back all the same.

use serde_json::{Value, json};

use crate::cluster;
use crate::install::strict;
use crate::levels::{self, NAMESPACE};

/// Where the proxy listens, beside Kratos in the pod.
const PORT: u16 = 4435;

/// Does nothing, for ever.
const AGENT: &str = "docker.io/testbed/pause:1";

/// A copy of Kratos with one pod, whose admin port is asked through a proxy of this kind.
fn kratos_behind(name: &str, kind: &str) {
    cluster::copy_of_kratos(NAMESPACE, name, 1, |workload| {
        cluster::take_code_as_first_factor(workload);
        let proxy = json!({
            "name": "proxy", "image": "docker.io/testbed/probe:1", "imagePullPolicy": "IfNotPresent",
            "args": ["proxy", format!(":{PORT}"), "127.0.0.1:4434", kind],
        });
        workload["spec"]["template"]["spec"]["containers"].as_array_mut().expect("a list").push(proxy);
    });
}

fn apply(name: &str, mut spec: Value) {
    spec["verification"] = json!({"port": PORT.to_string()});
    let target = json!([{"name": name, "container": "kratos"}]);
    cluster::apply(&cluster::policy_over(NAMESPACE, name, &target, &spec));
}

fn await_rolled_back(name: &str) {
    cluster::await_told(
        NAMESPACE,
        name,
        ("Ready", "False", "RolledBack"),
        &["exit code 1", "in force is the server's own configuration"],
    );
}

/// All at once: each takes as long as two crashes.
pub fn taken_back() {
    levels::scene();
    let fronts =
        [("front-closed", "close"), ("front-tls", "tls"), ("front-401", "401"), ("front-404", "404")];
    fronts.iter().for_each(|(name, kind)| kratos_behind(name, kind));
    kratos_behind("front-open", "pass");
    let old = fronts.map(|(name, _)| {
        cluster::await_wanted(NAMESPACE, name);
        cluster::uids(NAMESPACE, name)
    });
    cluster::await_wanted(NAMESPACE, "front-open");
    fronts.iter().for_each(|(name, _)| apply(name, cluster::code_as_second_factor(strict())));
    apply("front-open", strict());
    for ((name, _), old) in fronts.iter().zip(old) {
        await_rolled_back(name);
        cluster::await_wanted(NAMESPACE, name);
        assert_eq!(cluster::uids(NAMESPACE, name), old, "{name}: the old pod was replaced");
    }
    // It is Kratos that stands behind the proxy.
    cluster::await_condition(NAMESPACE, "front-open", ("Effective", "True", "HashesAgree"));
    fronts.iter().for_each(|(name, _)| cluster::end_copy(NAMESPACE, name));
    cluster::end_copy(NAMESPACE, "front-open");
}

/// As OpenTelemetry, VPA and an agent's injector do: no two pods of one template are the same.
pub fn mutated() {
    levels::scene();
    let name = "mutated";
    let registration = "admissionregistration.k8s.io/v1";
    let rules =
        json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]);
    let owner = "object.metadata.ownerReferences[0].name";
    let added = format!(
        "Object{{metadata: Object.metadata{{annotations: {{'engine.example/of': {owner}}}}}, spec: Object.spec{{containers: [\
         Object.spec.containers{{name: 'kratos', env: [Object.spec.containers.env{{name: 'OTEL_RESOURCE_ATTRIBUTES', value: {owner}}}]}}, \
         Object.spec.containers{{name: 'agent', image: '{AGENT}', \
         env: [Object.spec.containers.env{{name: 'OF', value: {owner}}}]}}]}}}}"
    );
    let only = json!({"objectSelector": {"matchLabels": {"app.kubernetes.io/name": name}}});
    cluster::apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": registration, "kind": "MutatingAdmissionPolicy", "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail", "reinvocationPolicy": "Never", "matchConstraints": {"resourceRules": rules},
                "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": added}}],
            },
        },
        {
            "apiVersion": registration, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
            "spec": {"policyName": name, "matchResources": only},
        },
    ]}));
    let done = std::panic::catch_unwind(|| {
        // What the engine made of each pod that is not about to end; nothing where it made nothing.
        let agents = || {
            let mut pods = crate::api::objects(NAMESPACE, "pod", &format!("app.kubernetes.io/name={name}"));
            pods.retain(|pod| pod["metadata"]["deletionTimestamp"].is_null());
            let agent = |pod: &Value| {
                let agent = pod["spec"]["containers"]
                    .as_array()?
                    .iter()
                    .find(|container| container["name"] == "agent")?;
                agent["env"][0]["value"].as_str().map(ToOwned::to_owned)
            };
            pods.iter().map(|pod| agent(pod).unwrap_or_default()).collect::<std::collections::BTreeSet<_>>()
        };
        cluster::copy_of_kratos(NAMESPACE, name, 1, cluster::take_code_as_first_factor);
        cluster::await_wanted(NAMESPACE, name);
        cluster::until("the engine works", cluster::LONG, || {
            let agents = agents();
            if agents.contains("") {
                cluster::kubectl(&[
                    "-n",
                    NAMESPACE,
                    "delete",
                    "pod",
                    "-l",
                    &format!("app.kubernetes.io/name={name}"),
                    "--wait=false",
                ]);
            }
            if agents.iter().any(|agent| !agent.is_empty()) {
                Ok(())
            } else {
                Err("it changes no pod yet".into())
            }
        });
        cluster::await_wanted(NAMESPACE, name);
        let old = cluster::uids(NAMESPACE, name);
        let target = json!([{"name": name, "container": "kratos"}]);
        cluster::apply(&cluster::policy_over(
            NAMESPACE,
            name,
            &target,
            &cluster::code_as_second_factor(strict()),
        ));
        cluster::until("a new pod differs from the old one", cluster::LONG, || match agents() {
            agents if agents.len() == 2 => Ok(()),
            agents => Err(format!("{agents:?}")),
        });
        await_rolled_back(name);
        cluster::await_wanted(NAMESPACE, name);
        assert_eq!(cluster::uids(NAMESPACE, name), old, "the old pod was replaced");
    });
    cluster::kubectl(&["delete", "mutatingadmissionpolicybinding,mutatingadmissionpolicy", name]);
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    cluster::end_copy(NAMESPACE, name);
}
