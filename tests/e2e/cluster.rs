//! The cluster as people change it, by kubectl and Helm, and as it then stands. The tests and the
//! story of `make demo` share it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api;
use crate::kratos::{CODE_IS_FIRST_FACTOR, Door};

/// Longer than any start, and any roll of a few pods, also on a busy machine.
pub const LONG: Duration = Duration::from_secs(420);

/// Longer than the operator takes to react, so that what has not happened then does not happen.
pub const REACTION: Duration = Duration::from_secs(4);

/// The operator's release, and its Deployment and ServiceAccount with it.
pub const OPERATOR: &str = "mfa-operator";

/// A pod that is not about to end.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    pub name: String,
    pub uid: String,
    pub node: String,
    pub address: String,
    pub ready: bool,
    /// The names of the containers that are ready.
    pub running: Vec<String>,
    /// The variables that it was created with, as the pod writes them.
    pub variables: Vec<(String, String)>,
}

impl Pod {
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Its public API.
    pub fn door(&self) -> Door {
        Door::new(format!("pod {}", self.name), format!("http://{}:4433", self.address))
    }
}

/// Runs a program to its end; its output, or what it complained about.
pub fn attempt(
    program: &str,
    arguments: &[impl AsRef<OsStr>],
    input: Option<&str>,
) -> Result<String, String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        stdin.write_all(input.as_bytes()).map_err(|error| format!("{program}: {error}"))?;
    }
    let output = child.wait_with_output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let arguments: Vec<_> =
        arguments.iter().map(|argument| argument.as_ref().to_string_lossy().into_owned()).collect();
    Err(format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

pub fn run(program: &str, arguments: &[impl AsRef<OsStr>]) -> String {
    attempt(program, arguments, None).unwrap_or_else(|complaint| panic!("{complaint}"))
}

pub fn kubectl(arguments: &[&str]) -> String {
    run("kubectl", arguments)
}

/// The arguments of one line; none of them holds a space.
pub fn kubectl_line(line: &str) -> String {
    run("kubectl", &line.split(' ').collect::<Vec<_>>())
}

/// The object as it stands, or null; named as kubectl takes it, in the singular: `kind/name`.
pub fn get(namespace: &str, object: &str) -> Value {
    let (kind, name) = object.split_once('/').expect("kind/name");
    api::object(namespace, kind, name)
}

pub fn apply(object: &Value) -> String {
    attempt("kubectl", &["apply", "-f", "-"], Some(&object.to_string()))
        .unwrap_or_else(|complaint| panic!("{complaint}"))
}

/// Asks every half second until there is an answer.
pub fn until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(seen) => {
                assert!(Instant::now() < deadline, "{what}: not after {} s: {seen}", limit.as_secs())
            }
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// As kubectl names a workload, with its kind: a name alone is that of a Deployment.
fn with_kind(workload: &str) -> String {
    if workload.contains('/') { workload.into() } else { format!("deployment/{workload}") }
}

/// Pods of a workload that are not about to end.
pub fn pods(namespace: &str, workload: &str) -> Vec<Pod> {
    found(namespace, workload).iter().filter(|pod| !is_ending(pod)).map(pod).collect()
}

fn is_ending(pod: &Value) -> bool {
    !pod["metadata"]["deletionTimestamp"].is_null()
}

fn found(namespace: &str, workload: &str) -> Vec<Value> {
    let selector = get(namespace, &with_kind(workload))["spec"]["selector"]["matchLabels"].clone();
    let selector: Vec<_> = selector
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    api::objects(namespace, "pod", &selector.join(","))
}

fn pod(object: &Value) -> Pod {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let conditions = object["status"]["conditions"].as_array();
    let variables = object["spec"]["containers"][0]["env"].as_array();
    let containers = object["status"]["containerStatuses"].as_array();
    Pod {
        name: text(&object["metadata"]["name"]),
        uid: text(&object["metadata"]["uid"]),
        node: text(&object["spec"]["nodeName"]),
        address: text(&object["status"]["podIP"]),
        ready: conditions
            .into_iter()
            .flatten()
            .any(|condition| condition["type"] == "Ready" && condition["status"] == "True"),
        running: containers
            .into_iter()
            .flatten()
            .filter(|own| own["ready"] == true)
            .map(|own| text(&own["name"]))
            .collect(),
        variables: variables
            .into_iter()
            .flatten()
            .map(|variable| (text(&variable["name"]), text(&variable["value"])))
            .collect(),
    }
}

pub fn uids(namespace: &str, workload: &str) -> BTreeSet<String> {
    pods(namespace, workload).into_iter().map(|pod| pod.uid).collect()
}

/// A pod that ends serves on until every proxy has learnt of it. One on a node that is lost never goes.
const BEHIND: Duration = Duration::from_secs(20);

/// The public API of each ready pod, and that of the Service last, which has no answers of pods that end.
pub fn doors(namespace: &str, workload: &str) -> Vec<Door> {
    let deadline = Instant::now() + BEHIND;
    while found(namespace, workload).iter().any(is_ending) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(500));
    }
    let mut doors: Vec<_> = pods(namespace, workload).iter().filter(|pod| pod.ready).map(Pod::door).collect();
    let name = workload.rsplit('/').next().unwrap_or_default();
    doors.push(service(namespace, &format!("{name}-public")));
    doors
}

/// A Service of Kratos.
pub fn service(namespace: &str, name: &str) -> Door {
    let address = get(namespace, &format!("service/{name}"))["spec"]["clusterIP"].clone();
    Door::new(
        format!("Service {name}"),
        format!("http://{}", address.as_str().unwrap_or_else(|| panic!("no Service {name}"))),
    )
}

/// Installs or upgrades Kratos, and waits until it serves.
pub fn kratos(helm: &str, namespace: &str, replicas: u32, arguments: &[&str]) {
    let replicas = replicas.to_string();
    let helm = format!("HELM={helm}");
    let mut line = vec![helm.as_str(), "tests/cluster/kratos/deploy", namespace, &replicas];
    line.extend(arguments);
    run("env", &line);
}

/// Installs or upgrades the operator, and waits until it is ready.
pub fn operator(helm: &str, namespace: &str, arguments: &[&str]) {
    operator_of("charts/mfa-operator", helm, namespace, arguments);
}

/// The same from this chart.
pub fn operator_of(chart: &str, helm: &str, namespace: &str, arguments: &[&str]) {
    let more = std::env::var("MFA_OPERATOR_HELM_ARGUMENTS").unwrap_or_default();
    let mut line =
        vec!["upgrade", "--install", OPERATOR, chart, "--namespace", namespace, "--create-namespace"];
    line.extend(["--wait", "--timeout", "420s"]);
    line.extend(arguments);
    line.extend(more.split_whitespace());
    run(helm, &line);
}

/// A policy over one Deployment: `spec` is what it says beside its target.
pub fn policy(namespace: &str, name: &str, deployment: &str, spec: &Value) -> Value {
    policy_over(namespace, name, &json!([{"name": deployment}]), spec)
}

/// A policy over these targets.
pub fn policy_over(namespace: &str, name: &str, targets: &Value, spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec["targetRefs"] = targets.clone();
    json!({
        "apiVersion": "mfa-operator.dev/v1alpha1",
        "kind": "MfaPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    })
}

/// Waits until the policy is enforced in its current generation.
pub fn await_ready(namespace: &str, policy: &str) {
    let name = format!("mfapolicy/{policy}");
    let ready = attempt(
        "kubectl",
        &["-n", namespace, "wait", "--for=condition=Ready", &name, "--timeout=420s"],
        None,
    );
    assert!(ready.is_ok(), "{ready:?}; its conditions: {:#}", get(namespace, &name)["status"]["conditions"]);
}

/// Status and reason of a condition, if it speaks of the current generation.
pub fn condition(namespace: &str, policy: &str, type_: &str) -> Option<(String, String)> {
    let found = current_condition(namespace, policy, type_)?;
    Some((found["status"].as_str()?.into(), found["reason"].as_str()?.into()))
}

/// Waits until the condition of the current generation is so.
pub fn await_condition(namespace: &str, policy: &str, condition: (&str, &str, &str)) {
    await_told(namespace, policy, condition, &[]);
}

/// Waits until it is so and its message says all of `words`.
pub fn await_told(
    namespace: &str,
    policy: &str,
    (type_, status, reason): (&str, &str, &str),
    words: &[&str],
) {
    until(
        &format!("condition {type_} of {namespace}/{policy} is {status}/{reason} and says {words:?}"),
        LONG,
        || {
            let found = current_condition(namespace, policy, type_).unwrap_or_default();
            let message = found["message"].as_str().unwrap_or_default();
            let told = found["status"] == status
                && found["reason"] == reason
                && words.iter().all(|word| message.contains(word));
            if told { Ok(()) } else { Err(format!("it is {found}")) }
        },
    );
}

pub fn current_condition(namespace: &str, policy: &str, type_: &str) -> Option<Value> {
    let object = get(namespace, &format!("mfapolicy/{policy}"));
    let found =
        object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_)?;
    (found["observedGeneration"] == object["metadata"]["generation"]).then(|| found.clone())
}

/// Waits until every pod was created with the policy's revision and is ready, however often that rolls.
pub fn await_pods(namespace: &str, deployment: &str, policy: &str) -> Vec<Pod> {
    until(&format!("every pod of {namespace}/{deployment} runs {policy}"), LONG, || {
        let target = get(namespace, &format!("deployment/{deployment}"));
        let policy = get(namespace, &format!("mfapolicy/{policy}"));
        let pods = pods(namespace, deployment);
        let revision = policy["status"]["revision"].as_str();
        let settled = target["status"]["observedGeneration"] == target["metadata"]["generation"]
            && target["spec"]["replicas"] == pods.len()
            && pods.iter().all(|pod| pod.ready && revision.is_some() && pod.variable("REVISION") == revision);
        if settled {
            Ok(pods)
        } else {
            Err(format!(
                "revision {revision:?}, pods {pods:?}, conditions {}",
                policy["status"]["conditions"]
            ))
        }
    })
}

/// How many pods a workload of any kind wants.
pub fn wanted(workload: &Value) -> u64 {
    // A DaemonSet says in its status how many nodes want one.
    let nodes = workload["status"]["desiredNumberScheduled"].as_u64();
    nodes.or(workload["spec"]["replicas"].as_u64()).unwrap_or_default()
}

/// How many of them are available.
pub fn available(workload: &Value) -> u64 {
    let status = &workload["status"];
    status["numberAvailable"].as_u64().or(status["availableReplicas"].as_u64()).unwrap_or_default()
}

/// Waits until every pod that a workload wants is ready, of whatever template.
pub fn await_wanted(namespace: &str, workload: &str) -> Vec<Pod> {
    until(&format!("every pod of {namespace}/{workload} is ready"), LONG, || {
        let object = get(namespace, &with_kind(workload));
        let pods = pods(namespace, workload);
        let seen =
            object["status"]["observedGeneration"] == object["metadata"]["generation"] && !object.is_null();
        let ready = pods.iter().filter(|pod| pod.ready).count() as u64;
        if seen && ready == wanted(&object) && pods.len() as u64 == ready {
            Ok(pods)
        } else {
            Err(format!("{pods:?}"))
        }
    })
}

/// A second Kratos beside the one of the chart in this namespace, on the same database: a Deployment
/// and a Service of another name. `edit` has the Deployment before it is created, and may make it one of
/// another kind.
pub fn copy_of_kratos(namespace: &str, name: &str, replicas: u32, edit: impl FnOnce(&mut Value)) {
    let (deployment, service) = copy_objects(&get(namespace, "deployment/kratos"), name, replicas, edit);
    apply(&json!({"apiVersion": "v1", "kind": "List", "items": [deployment, service]}));
}

/// The variable by which a Kratos of this namespace takes a code as first factor, from a Secret that the
/// operator does not read: a policy that makes it a second one is accepted, and its pods crash.
pub fn code_is_first_factor(namespace: &str) -> Value {
    apply(&json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "first-factor", "namespace": namespace},
        "stringData": {"code": "true"},
    }));
    json!({"name": CODE_IS_FIRST_FACTOR, "valueFrom": {"secretKeyRef": {"name": "first-factor", "key": "code"}}})
}

/// Gives a workload that variable.
pub fn take_code_as_first_factor(workload: &mut Value) {
    let variable =
        code_is_first_factor(workload["metadata"]["namespace"].as_str().expect("it has a namespace"));
    workload["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array_mut()
        .expect("a list")
        .push(variable);
}

/// A policy's spec that crashes such a Kratos.
pub fn code_as_second_factor(mut spec: Value) -> Value {
    spec["methods"] = json!({"code": {"mfaEnabled": true}});
    spec["acknowledge"] = json!(["CodeCountsForEveryone"]);
    spec
}

/// What Events of this reason say of a policy; of every reason, as JSON, where none is given.
pub fn events(namespace: &str, policy: &str, reason: &str) -> String {
    let reason = if reason.is_empty() { String::new() } else { format!(",reason={reason}") };
    kubectl(&[
        "-n",
        namespace,
        "get",
        "events",
        "--field-selector",
        &format!("involvedObject.name={policy}{reason}"),
        "-o",
        "json",
    ])
}

/// Waits until such an Event says this: it comes a moment after the status that it tells of.
pub fn await_event(namespace: &str, policy: &str, reason: &str, words: &str) {
    until(&format!("an Event {reason} of {namespace}/{policy} says {words:?}"), LONG, || {
        let told = events(namespace, policy, reason);
        if told.contains(words) { Ok(()) } else { Err(told) }
    });
}

/// Ends such a copy, and the policy of the same name.
pub fn end_copy(namespace: &str, name: &str) {
    let mut objects: Vec<_> =
        ["mfapolicy", "deployment", "statefulset", "daemonset"].map(|kind| format!("{kind}/{name}")).into();
    objects.push(format!("service/{name}-public"));
    let mut line = vec!["-n", namespace, "delete", "--ignore-not-found", "--wait=false"];
    line.extend(objects.iter().map(String::as_str));
    kubectl(&line);
}

fn copy_objects(
    original: &Value,
    name: &str,
    replicas: u32,
    edit: impl FnOnce(&mut Value),
) -> (Value, Value) {
    let namespace = &original["metadata"]["namespace"];
    let labels = json!({"app.kubernetes.io/name": name});
    let mut spec = original["spec"].clone();
    spec["replicas"] = json!(replicas);
    spec["selector"] = json!({"matchLabels": labels});
    spec["template"]["metadata"] = json!({"labels": labels});
    spec["template"]["spec"]["topologySpreadConstraints"][0]["labelSelector"] =
        json!({"matchLabels": labels});
    if let Some(pod) = spec["template"]["spec"].as_object_mut() {
        pod.remove("initContainers"); // the original has migrated the database
    }
    let mut deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": spec,
    });
    edit(&mut deployment);
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": format!("{name}-public"), "namespace": namespace},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http-public"}]},
    });
    (deployment, service)
}
