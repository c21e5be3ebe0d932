//! StatefulSets, DaemonSets and every way in which pods are replaced: what each pod answers before and after
//! the roll, and what is told while pods wait for somebody.

use serde_json::{Value, json};

use crate::cluster::{self, LONG, OPERATOR, Pod};
use crate::install::{self, SYSTEM};
use crate::kratos::Door;
use crate::levels::{self, NAMESPACE};
use crate::visitor::Visitor;

/// A kind of workload and fields of its spec.
pub struct Shape {
    pub name: &'static str,
    kind: &'static str,
    fields: Value,
}

fn shape(name: &'static str, kind: &'static str, fields: Value) -> Shape {
    Shape { name, kind, fields }
}

/// Those that roll by themselves.
pub fn rolling() -> Vec<Shape> {
    // All pods are new long before one is available.
    let all_at_once = json!({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "100%"}}, "minReadySeconds": 6});
    vec![
        shape("stateful", "StatefulSet", json!({})),
        shape("daemon", "DaemonSet", json!({})),
        shape("recreate", "Deployment", json!({"strategy": {"type": "Recreate"}})),
        shape("all-at-once", "Deployment", all_at_once),
    ]
}

/// More of them, for the long run.
pub fn rolling_too() -> Vec<Shape> {
    vec![
        shape("min-ready", "Deployment", json!({"minReadySeconds": 6})),
        shape("parallel", "StatefulSet", json!({"podManagementPolicy": "Parallel"})),
        shape("stateful-min-ready", "StatefulSet", json!({"minReadySeconds": 6})),
        shape(
            "surge",
            "DaemonSet",
            json!({"updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}),
        ),
        shape("daemon-min-ready", "DaemonSet", json!({"minReadySeconds": 6})),
    ]
}

/// Those that replace a pod that cannot start.
pub fn healing() -> Vec<Shape> {
    vec![
        shape("healing-daemon", "DaemonSet", json!({})),
        shape("healing-parallel", "StatefulSet", json!({"podManagementPolicy": "Parallel"})),
    ]
}

/// A copy of Kratos in a shape, and the policy over it.
struct Governed {
    name: &'static str,
    /// With its kind, as kubectl wants it.
    workload: String,
    policy: Value,
    visitor: Visitor,
    /// The pods from before the policy.
    before: Vec<Pod>,
}

impl Governed {
    /// A copy that runs, without its policy.
    fn before(name: &'static str, kind: &str, fields: &Value) -> Self {
        Self::edited(name, kind, fields, |_| {})
    }

    fn edited(name: &'static str, kind: &str, fields: &Value, edit: impl FnOnce(&mut Value)) -> Self {
        levels::scene();
        cluster::copy_of_kratos(NAMESPACE, name, 2, |workload| {
            reshape(workload, kind, fields);
            edit(workload);
        });
        let workload = format!("{}/{name}", kind.to_lowercase());
        let before = cluster::await_wanted(NAMESPACE, &workload);
        let policy =
            cluster::policy_over(NAMESPACE, name, &json!([{"kind": kind, "name": name}]), &install::strict());
        let governed = Self { name, workload, policy, visitor: Visitor::of(NAMESPACE), before };
        governed.visitor.passes("before the policy", &governed.doors());
        governed
    }

    /// The same with its policy.
    fn begin(name: &'static str, kind: &str, fields: &Value) -> Self {
        let governed = Self::before(name, kind, fields);
        cluster::apply(&governed.policy);
        governed
    }

    fn doors(&self) -> Vec<Door> {
        cluster::doors(NAMESPACE, &self.workload)
    }

    /// Nobody but the pods' owner can end this: what is told of it says `words`.
    fn waits(&self, words: &[&str]) {
        cluster::await_told(NAMESPACE, self.name, ("Ready", "False", "TargetPaused"), words);
    }

    /// Of the running pods, exactly this one enforces; the weakest is what the status tells.
    fn only(&self, enforcing: &str) {
        let pods = cluster::await_wanted(NAMESPACE, &self.workload);
        let (new, old): (Vec<_>, Vec<_>) = pods.iter().partition(|pod| pod.name == enforcing);
        let door = |pods: Vec<&Pod>| pods.into_iter().map(Pod::door).collect::<Vec<_>>();
        self.visitor.must_step_up("the pod that was replaced", &door(new));
        self.visitor.passes("the pods that wait", &door(old));
        cluster::until("the status tells of both", LONG, || {
            let status = cluster::get(NAMESPACE, &format!("mfapolicy/{}", self.name))["status"].clone();
            let told = status["pods"] == "1/2" && status["requiredAAL"]["whoami"] == "Unknown";
            if told { Ok(()) } else { Err(status.to_string()) }
        });
    }

    fn patch(&self, spec: &Value) {
        let patch = json!({ "spec": spec }).to_string();
        cluster::kubectl(&["-n", NAMESPACE, "patch", &self.workload, "--type=merge", "-p", &patch]);
    }

    /// Once the policy is ready, every pod is new, available and enforces.
    fn end(self) {
        cluster::await_ready(NAMESPACE, self.name);
        let workload = cluster::get(NAMESPACE, &self.workload);
        let (wanted, available) = (cluster::wanted(&workload), cluster::available(&workload));
        assert_eq!(available, wanted, "ready while pods are not available: {}", workload["status"]);
        let pods = cluster::pods(NAMESPACE, &self.workload);
        assert_eq!(pods.len(), self.before.len(), "{pods:?}");
        assert!(
            pods.iter().all(|pod| pod.ready && self.before.iter().all(|before| before.uid != pod.uid)),
            "{pods:?}"
        );
        let status = cluster::get(NAMESPACE, &format!("mfapolicy/{}", self.name))["status"].clone();
        assert_eq!(status["pods"], format!("{wanted}/{wanted}"));
        assert_eq!(status["requiredAAL"], self.policy["spec"]["requiredAAL"]);
        self.visitor.must_step_up("after the policy", &self.doors());
        self.visitor.steps_up(&self.doors());
        cluster::end_copy(NAMESPACE, self.name);
    }
}

/// Makes a Deployment one of another kind, or of another strategy.
pub fn reshape(workload: &mut Value, kind: &str, fields: &Value) {
    workload["kind"] = json!(kind);
    let public = format!("{}-public", workload["metadata"]["name"].as_str().unwrap_or_default());
    let spec = workload["spec"].as_object_mut().expect("a map");
    if kind != "Deployment" || fields["strategy"].is_object() {
        spec.remove("strategy");
    }
    if kind != "Deployment" {
        spec.remove("progressDeadlineSeconds");
    }
    match kind {
        "StatefulSet" => drop(spec.insert("serviceName".into(), json!(public))),
        "DaemonSet" => drop(spec.remove("replicas")),
        _ => {}
    }
    spec.extend(fields.as_object().cloned().unwrap_or_default());
}

pub fn rolls(shape: &Shape) {
    Governed::begin(shape.name, shape.kind, &shape.fields).end();
}

/// Pods follow when somebody deletes them.
pub fn on_delete(name: &'static str, kind: &str) {
    let governed = Governed::begin(name, kind, &json!({"updateStrategy": {"type": "OnDelete"}}));
    governed.waits(&["OnDelete", "0 of 2", "delete"]);
    governed.visitor.passes("while nobody deletes a pod", &governed.doors());
    let delete = |pod: &Pod| cluster::kubectl(&["-n", NAMESPACE, "delete", "pod", &pod.name]);
    delete(&governed.before[0]);
    governed.waits(&["1 of 2"]);
    let pods = cluster::await_wanted(NAMESPACE, &governed.workload);
    let new = pods
        .iter()
        .find(|pod| governed.before.iter().all(|before| before.uid != pod.uid))
        .expect("a pod was replaced");
    governed.only(&new.name);
    delete(&governed.before[1]);
    governed.end();
}

pub fn partition() {
    let name = "partition";
    let governed =
        Governed::begin(name, "StatefulSet", &json!({"updateStrategy": {"rollingUpdate": {"partition": 1}}}));
    governed.waits(&["partition 1", "1 of 2", "lowered to 0"]);
    governed.only("partition-1");
    governed.patch(&json!({"updateStrategy": {"rollingUpdate": {"partition": 0}}}));
    governed.end();
}

pub fn paused() {
    let governed = Governed::before("paused", "Deployment", &json!({}));
    governed.patch(&json!({"paused": true}));
    cluster::apply(&governed.policy);
    governed.waits(&["paused", "false"]);
    governed.visitor.passes("while it is paused", &governed.doors());
    governed.patch(&json!({"paused": false}));
    governed.end();
}

/// A policy that crashes the first pod it comes to, and its correction.
fn corrected(name: &'static str, kind: &str, fields: &Value) -> Governed {
    let mut governed = Governed::edited(name, kind, fields, cluster::take_code_as_first_factor);
    governed.policy["spec"] = cluster::code_as_second_factor(governed.policy["spec"].take());
    // On a busy machine the way back is over before anybody looked.
    governed.policy["spec"]["rollout"]["onFailure"] = json!("Hold");
    cluster::apply(&governed.policy);
    cluster::await_condition(NAMESPACE, governed.name, ("RolledOut", "False", "Crashing"));

    governed.policy["spec"]["methods"] = Value::Null;
    governed.policy["spec"]["acknowledge"] = json!(["MethodSwitchedOff:code"]);
    cluster::apply(&governed.policy);
    governed
}

/// The correction replaces the pod that crashed.
pub fn heals(shape: &Shape) {
    corrected(shape.name, shape.kind, &shape.fields).end();
}

/// A StatefulSet that starts its pods in order does not replace one that cannot start, not even by a template
/// that is right: the operator lets it, as soon as it may.
pub fn stuck() {
    let name = "stuck";
    let refusal = format!("no-deletion-of-{name}");
    cluster::apply(&json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": refusal},
        "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["pods"]}]},
            "matchConditions": [{
                "name": "by-the-operator",
                "expression": format!("request.userInfo.username == 'system:serviceaccount:{SYSTEM}:{OPERATOR}' && request.name.startsWith('{name}-')"),
            }],
            "validations": [{"expression": "false", "message": "we delete our pods ourselves", "reason": "Forbidden"}],
        },
    }));
    cluster::apply(&json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": refusal},
        "spec": {"policyName": refusal, "validationActions": ["Deny"]},
    }));
    let governed = corrected(name, "StatefulSet", &json!({}));
    governed.waits(&["kubectl delete pod stuck-1"]);
    // It has been tried when the log says so, and the pod is still there.
    cluster::until("the log names the refusal", LONG, || {
        // A pod of the operator that just starts has no log yet.
        let line = ["-n", SYSTEM, "logs", "-l", &format!("app.kubernetes.io/name={OPERATOR}"), "--tail=-1"];
        let log = cluster::attempt("kubectl", &line, None)?;
        if log.contains("we delete our pods ourselves") { Ok(()) } else { Err("it does not".into()) }
    });
    governed.waits(&["kubectl delete pod stuck-1"]);

    cluster::kubectl(&["delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", &refusal]);
    cluster::await_ready(NAMESPACE, governed.name);
    let events = cluster::events(NAMESPACE, governed.name, "StuckPodDeleted");
    assert!(events.contains("stuck-1"), "{events}");
    governed.end();
}
