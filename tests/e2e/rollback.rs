//! Changes that new pods do not survive: old pods serve on, every target goes back, and it goes on by itself
//! once whatever it failed with is mended.

use serde_json::{Value, json};

use crate::api;
use crate::cluster::{self, LONG};
use crate::config_file::wire;
use crate::install::strict;
use crate::kratos::CODE_IS_FIRST_FACTOR;
use crate::levels::{self, NAMESPACE};
use crate::traffic::Traffic;
use crate::visitor::Visitor;

/// From the second crash to the verdict, in milliseconds.
const CALLED: i64 = 30_000;

/// A policy that Kratos refuses to start with where a code is a first factor.
fn fatal() -> Value {
    cluster::code_as_second_factor(strict())
}

/// A copy of Kratos that refuses the fatal policy for a reason that nobody can read.
fn kratos(name: &str, replicas: u32, edit: impl FnOnce(&mut Value)) {
    levels::scene();
    cluster::copy_of_kratos(NAMESPACE, name, replicas, |workload| {
        cluster::take_code_as_first_factor(workload);
        edit(workload);
    });
}

fn apply(name: &str, spec: &Value) {
    cluster::apply(&cluster::policy(NAMESPACE, name, name, spec));
}

fn await_rolled_back(name: &str, words: &[&str]) {
    cluster::await_told(NAMESPACE, name, ("Ready", "False", "RolledBack"), words);
}

fn status(name: &str) -> Value {
    cluster::get(NAMESPACE, &format!("mfapolicy/{name}"))["status"].clone()
}

/// What is noted of the failure.
fn verdict(name: &str) -> Value {
    let records = api::objects(NAMESPACE, "controllerrevision", &format!("mfa-operator.dev/policy={name}"));
    let noted = records
        .iter()
        .find_map(|record| record["metadata"]["annotations"]["mfa-operator.dev/verdict"].as_str());
    noted.map(|text| serde_json::from_str(text).expect("a verdict is JSON")).unwrap_or_default()
}

/// When a container of a pod of this workload ended for the second time, in milliseconds since the epoch.
fn second_crash(workload: &str) -> Option<i64> {
    api::objects(NAMESPACE, "pod", &format!("app.kubernetes.io/name={workload}")).iter().find_map(|pod| {
        let container = &pod["status"]["containerStatuses"][0];
        let ended = container["lastState"]["terminated"]["finishedAt"].as_str()?;
        (container["restartCount"] == 1 && !container["state"]["waiting"].is_null())
            .then(|| ended.parse::<k8s_openapi::jiff::Timestamp>().map(|at| at.as_millisecond()).ok())?
    })
}

pub fn undone_and_mended() {
    let name = "undone";
    // What it goes back to holds characters that the API server writes otherwise than others do.
    let named = |mut spec: Value| {
        spec["methods"]["totp"] = json!({"enabled": true, "issuer": "Smith & Sons <b>"});
        spec
    };
    kratos(name, 2, |_| {});
    cluster::await_wanted(NAMESPACE, name);
    apply(name, &named(strict()));
    cluster::await_ready(NAMESPACE, name);
    let good = status(name)["revision"].clone();
    let old = cluster::uids(NAMESPACE, name);
    let visitor = Visitor::of(NAMESPACE);
    let person = cluster::service(NAMESPACE, "kratos-admin").create_person();
    let public = cluster::service(NAMESPACE, &format!("{name}-public"));
    let traffic = Traffic::begin(
        cluster::service(NAMESPACE, &format!("{name}-public")),
        person.clone(),
        public.sign_in(&person),
    );

    apply(name, &named(fatal()));
    let mut second = None;
    let verdict = cluster::until("the failure is called", LONG, || {
        second = second.or_else(|| second_crash(name));
        let found = verdict(name);
        if found.is_null() { Err("no verdict".into()) } else { Ok(found) }
    });
    await_rolled_back(name, &["undone-", "exit code 1", "in force is revision", "mfa-operator.dev/retry"]);
    cluster::await_wanted(NAMESPACE, name);
    let served = traffic.end();
    println!("a failing roll: {} requests, lost: {:?}", served.requests, served.lost);
    assert_eq!(served.lost, Vec::<String>::new(), "of {} requests, while no old pod ended", served.requests);
    assert_eq!(cluster::uids(NAMESPACE, name), old, "an old pod was replaced");
    let called = verdict["since"].as_i64().zip(second).map(|(called, second)| called - second);
    println!("called {called:?} ms after the second crash");
    assert!(called.is_none_or(|called| called <= CALLED), "{called:?} ms after the second crash");
    let told = status(name);
    assert_eq!(
        (&told["revision"], &told["requiredAAL"]["whoami"]),
        (&good, &json!("highest_available")),
        "{told:#}"
    );
    assert_ne!(told["failedRevision"], good);
    assert_eq!(told["targets"][0]["lastGoodRevision"], good);
    visitor.must_step_up("what was in force still is", &cluster::doors(NAMESPACE, name));
    cluster::await_event(NAMESPACE, name, "RolledBack", "exit code 1");

    // Whoever mends the server need not touch the policy.
    let template = json!({"spec": {"template": {"spec": {"containers": [{"name": "kratos", "env": [{"name": CODE_IS_FIRST_FACTOR, "$patch": "delete"}]}]}}}});
    cluster::kubectl(&["-n", NAMESPACE, "patch", "deployment", name, "-p", &template.to_string()]);
    cluster::await_ready(NAMESPACE, name);
    assert!(verdict_is_gone(name), "{}", self::verdict(name));
    let told = status(name);
    assert!(told["failedRevision"].is_null() && told["revision"] != good, "{told:#}");
    assert_eq!(records(name).len(), 2, "it was not the only good one until now");

    // Nobody needs the first any more, and no more than one is asked for.
    let mut third = named(fatal());
    third["privilegedSessionMaxAge"] = json!("4m");
    third["rollout"]["revisionHistoryLimit"] = json!(1);
    apply(name, &third);
    cluster::await_ready(NAMESPACE, name);
    cluster::until("the oldest record goes", LONG, || match records(name) {
        found
            if found.len() == 2
                && !found.iter().any(|record| record.contains(good.as_str().expect("a revision"))) =>
        {
            Ok(())
        }
        found => Err(format!("{found:?}")),
    });
    cluster::end_copy(NAMESPACE, name);
}

/// The names of what the operator remembers.
fn records(policy: &str) -> Vec<String> {
    let label = format!("mfa-operator.dev/policy={policy}");
    let names =
        cluster::kubectl(&["-n", NAMESPACE, "get", "controllerrevisions", "-l", &label, "-o", "name"]);
    names.lines().map(ToOwned::to_owned).collect()
}

fn verdict_is_gone(name: &str) -> bool {
    cluster::until("nothing is held against it any more", LONG, || match verdict(name) {
        Value::Null => Ok(true),
        found => Err(found.to_string()),
    })
}

pub fn first_of_all() {
    let name = "first";
    kratos(name, 2, |_| {});
    let old: std::collections::BTreeSet<_> =
        cluster::await_wanted(NAMESPACE, name).into_iter().map(|pod| pod.uid).collect();
    let visitor = Visitor::of(NAMESPACE);
    apply(name, &fatal());
    await_rolled_back(name, &["the server's own configuration", "tried again by itself"]);
    cluster::await_wanted(NAMESPACE, name);
    assert_eq!(cluster::uids(NAMESPACE, name), old);
    visitor.passes("nothing is in force", &cluster::doors(NAMESPACE, name));
    let told = status(name);
    assert_eq!(
        (&told["requiredAAL"]["whoami"], &told["revision"]),
        (&json!("aal1"), &Value::Null),
        "the server's own file says so: {told:#}"
    );
    cluster::await_event(NAMESPACE, name, "RolledBackWeaker", "\"Warning\"");

    // It is tried again when somebody asks for it, and fails again.
    assert_eq!(verdict(name)["attempts"], 1);
    cluster::kubectl(&["-n", NAMESPACE, "annotate", "mfapolicy", name, "mfa-operator.dev/retry=now"]);
    cluster::until("it is tried once more", LONG, || match verdict(name)["attempts"].as_i64() {
        Some(2) => Ok(()),
        other => Err(format!("attempts: {other:?}")),
    });
    await_rolled_back(name, &["the server's own configuration"]);
    cluster::await_event(NAMESPACE, name, "Retrying", "\"Retrying\"");
    let mut correction = strict();
    correction["acknowledge"] = json!(["MethodSwitchedOff:code"]);
    apply(name, &correction);
    cluster::await_ready(NAMESPACE, name);
    visitor.must_step_up("the correction", &cluster::doors(NAMESPACE, name));
    cluster::end_copy(NAMESPACE, name);
}

pub fn held() {
    let name = "held";
    kratos(name, 2, |_| {});
    let old: std::collections::BTreeSet<_> =
        cluster::await_wanted(NAMESPACE, name).into_iter().map(|pod| pod.uid).collect();
    let mut spec = fatal();
    spec["rollout"] = json!({"onFailure": "Hold"});
    apply(name, &spec);
    cluster::await_told(
        NAMESPACE,
        name,
        ("Ready", "False", "Crashing"),
        &["onFailure is Hold", "kubectl logs"],
    );
    std::thread::sleep(cluster::REACTION);
    let serving: std::collections::BTreeSet<_> =
        cluster::pods(NAMESPACE, name).into_iter().filter(|pod| pod.ready).map(|pod| pod.uid).collect();
    assert_eq!(serving, old, "the old pods serve on");
    let template = cluster::get(NAMESPACE, &format!("deployment/{name}"))["spec"]["template"].to_string();
    assert!(template.contains("CODE_MFA_ENABLED"), "it was left as it is: {template}");
    assert!(verdict(name).is_null());
    // Letting go of the hold has it undone.
    apply(name, &fatal());
    await_rolled_back(name, &[]);
    cluster::end_copy(NAMESPACE, name);
}

/// Kubernetes leaves it waiting for a pod that cannot start, whatever its template says by then.
pub fn stateful() {
    let name = "stateful-back";
    kratos(name, 2, |workload| crate::kinds::reshape(workload, "StatefulSet", &json!({})));
    let target = json!([{"kind": "StatefulSet", "name": name}]);
    let workload = format!("statefulset/{name}");
    cluster::await_wanted(NAMESPACE, &workload);
    cluster::apply(&cluster::policy_over(NAMESPACE, name, &target, &strict()));
    cluster::await_ready(NAMESPACE, name);
    let good = status(name)["revision"].clone();
    let visitor = Visitor::of(NAMESPACE);
    cluster::apply(&cluster::policy_over(NAMESPACE, name, &target, &fatal()));
    await_rolled_back(name, &["stateful-back-1"]);
    let pods = cluster::await_wanted(NAMESPACE, &workload);
    assert!(pods.iter().all(|pod| pod.variable("REVISION") == good.as_str()), "{pods:?}");
    visitor.must_step_up("what was in force is again", &cluster::doors(NAMESPACE, &workload));
    cluster::end_copy(NAMESPACE, name);
}

/// No old pod is left to compare with: that they ran well before is what tells.
pub fn recreate() {
    let name = "recreate-back";
    kratos(name, 2, |workload| {
        crate::kinds::reshape(workload, "Deployment", &json!({"strategy": {"type": "Recreate"}}))
    });
    cluster::await_wanted(NAMESPACE, name);
    apply(name, &strict());
    cluster::await_ready(NAMESPACE, name);
    let visitor = Visitor::of(NAMESPACE);
    apply(name, &fatal());
    await_rolled_back(name, &["exit code 1"]);
    cluster::await_wanted(NAMESPACE, name);
    visitor.must_step_up("what was in force is again", &cluster::doors(NAMESPACE, name));
    cluster::end_copy(NAMESPACE, name);
}

fn lax() -> Value {
    json!({"requiredAAL": {"settings": "aal1", "whoami": "aal1"}})
}

/// The first target takes it and keeps it, the second does not survive it, the third is never reached.
pub fn every_target() {
    let name = "each";
    levels::scene();
    let targets = ["each-1", "each-2", "each-3"];
    for target in targets {
        cluster::copy_of_kratos(NAMESPACE, target, 1, |workload| {
            if target == "each-2" {
                cluster::take_code_as_first_factor(workload);
            }
        });
    }
    let refs = json!(targets.map(|target| json!({"name": target})));
    targets.iter().for_each(|target| drop(cluster::await_wanted(NAMESPACE, target)));
    cluster::apply(&cluster::policy_over(NAMESPACE, name, &refs, &lax()));
    cluster::await_ready(NAMESPACE, name);
    let old = targets.map(|target| cluster::uids(NAMESPACE, target));
    let visitor = Visitor::of(NAMESPACE);
    cluster::apply(&cluster::policy_over(NAMESPACE, name, &refs, &fatal()));
    await_rolled_back(name, &["each-2", "in force is", "Deployment each-1 runs well on it, and keeps it"]);
    let told = status(name);
    let (good, failed) = (told["revision"].clone(), told["failedRevision"].clone());
    for (target, revision) in targets.iter().zip([&failed, &good, &good]) {
        let pods = cluster::await_wanted(NAMESPACE, target);
        assert!(pods.iter().all(|pod| pod.variable("REVISION") == revision.as_str()), "{target}: {pods:?}");
    }
    let [first, second, third] = targets.map(|target| cluster::uids(NAMESPACE, target));
    assert!(first.is_disjoint(&old[0]), "it had taken it");
    assert_eq!((second, third), (old[1].clone(), old[2].clone()), "no old pod was replaced");
    visitor.must_step_up("what runs well is not lowered", &cluster::doors(NAMESPACE, "each-1"));
    for target in ["each-2", "each-3"] {
        visitor.passes("what was in force still is", &cluster::doors(NAMESPACE, target));
    }
    cluster::await_event(NAMESPACE, name, "RolledBackWeaker", "\"Warning\"");
    assert!(
        !cluster::events(NAMESPACE, name, "").contains("DriftRepaired"),
        "nobody but the operator wrote anything"
    );
    targets.iter().for_each(|target| cluster::end_copy(NAMESPACE, target));
    cluster::kubectl(&["-n", NAMESPACE, "delete", "mfapolicy", name, "--wait=false"]);
}

/// Whoever can make new pods fail, and nothing else, has no raised level taken back. The means is a Secret:
/// what stands in it is read by new pods alone, and Kratos does not start with such a level of its log.
pub fn innocent() {
    let name = "innocent";
    levels::scene();
    let secret = |level: &str| {
        let metadata = json!({"name": name, "namespace": NAMESPACE});
        cluster::apply(
            &json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"level": level}}),
        );
    };
    secret("info");
    cluster::copy_of_kratos(NAMESPACE, name, 2, |workload| {
        let variable =
            json!({"name": "LOG_LEVEL", "valueFrom": {"secretKeyRef": {"name": name, "key": "level"}}});
        workload["spec"]["template"]["spec"]["containers"][0]["env"]
            .as_array_mut()
            .expect("a list")
            .push(variable);
    });
    cluster::await_wanted(NAMESPACE, name);
    apply(name, &lax());
    cluster::await_ready(NAMESPACE, name);
    let old = cluster::uids(NAMESPACE, name);
    let visitor = Visitor::of(NAMESPACE);
    secret("no-such-level");
    apply(name, &strict());
    cluster::await_told(
        NAMESPACE,
        name,
        ("Ready", "False", "Waiting"),
        &["keeps no server from starting", "kubectl logs innocent-"],
    );
    // Longer than it takes to call what is no such change.
    std::thread::sleep(std::time::Duration::from_millis(CALLED.unsigned_abs()));
    assert!(verdict(name).is_null(), "{}", verdict(name));
    let template = cluster::get(NAMESPACE, &format!("deployment/{name}"))["spec"]["template"].to_string();
    assert!(template.contains("highest_available"), "{template}");
    let serving: std::collections::BTreeSet<_> =
        cluster::pods(NAMESPACE, name).into_iter().filter(|pod| pod.ready).map(|pod| pod.uid).collect();
    assert_eq!(serving, old, "the old pods serve on");
    visitor.passes("no new pod runs yet", &cluster::doors(NAMESPACE, name));
    secret("info");
    cluster::await_ready(NAMESPACE, name);
    visitor.must_step_up("it is in force when that ends", &cluster::doors(NAMESPACE, name));
    assert!(!cluster::events(NAMESPACE, name, "").contains("RolledBack"), "it was never taken back");
    cluster::end_copy(NAMESPACE, name);
}

/// A level that changes together with what Kratos refuses: new pods crash over the file that old ones refuse
/// to read.
pub fn file() {
    let name = "file-back";
    let by_file = |mut spec: Value| {
        spec["delivery"] = json!({"type": "ConfigFile"});
        spec
    };
    levels::scene();
    apply(name, &by_file(strict()));
    kratos(name, 2, |workload| wire(workload, "file-back-mfa"));
    cluster::await_ready(NAMESPACE, name);
    let old = cluster::uids(NAMESPACE, name);
    let visitor = Visitor::of(NAMESPACE);
    let mut spec = by_file(fatal());
    spec["requiredAAL"]["whoami"] = json!("aal1");
    apply(name, &spec);
    await_rolled_back(name, &["exit code 1"]);
    cluster::await_wanted(NAMESPACE, name);
    assert_eq!(cluster::uids(NAMESPACE, name), old, "an old pod was replaced");
    let file = cluster::get(NAMESPACE, "configmap/file-back-mfa")["data"]["kratos.yaml"].to_string();
    assert!(file.contains("highest_available") && !file.contains("mfa_enabled"), "{file}");
    visitor.must_step_up("what was in force still is", &cluster::doors(NAMESPACE, name));
    // A pod that starts now starts with the file of before.
    cluster::kubectl(&["-n", NAMESPACE, "rollout", "restart", &format!("deployment/{name}")]);
    cluster::kubectl(&[
        "-n",
        NAMESPACE,
        "rollout",
        "status",
        &format!("deployment/{name}"),
        "--timeout=420s",
    ]);
    visitor.must_step_up("after a restart", &cluster::doors(NAMESPACE, name));
    cluster::end_copy(NAMESPACE, name);
}

/// What stands in for a server that fails over a level, when a code comes with it: no real one does. The
/// kubelet's part is real.
fn stand_in(name: &str, kind: &str, fault: &str, fields: &Value) {
    levels::scene();
    let labels = json!({"app.kubernetes.io/name": name});
    let mut container = json!({
        "name": "kratos", "image": "docker.io/testbed/probe:1", "imagePullPolicy": "IfNotPresent",
        "args": ["fault", fault, "highest_available"],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    });
    container.as_object_mut().expect("a map").extend(fields.as_object().cloned().unwrap_or_default());
    let mut workload = json!({
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": {"mfa-operator.dev/allow": "true"}},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 1}},
        },
    });
    crate::kinds::reshape(&mut workload, kind, &json!({}));
    cluster::apply(&workload);
    let workload = format!("{}/{name}", kind.to_lowercase());
    cluster::await_wanted(NAMESPACE, &workload);
    let level = |level: &str| {
        let mut spec = json!({"requiredAAL": {"settings": level, "whoami": level}, "rollout": {"progressTimeout": "30s"}});
        if level != "aal1" {
            spec = cluster::code_as_second_factor(spec);
        }
        cluster::apply(&cluster::policy_over(NAMESPACE, name, &json!([{"kind": kind, "name": name}]), &spec));
    };
    level("aal1");
    cluster::await_ready(NAMESPACE, name);
    let good = status(name)["revision"].clone();
    let old = cluster::uids(NAMESPACE, &workload);
    level("highest_available");
    let words: &[&str] =
        if fault == "hungry" { &["OOMKilled", "exit code 137"] } else { &["not ready in time"] };
    await_rolled_back(name, words);
    let pods = cluster::await_wanted(NAMESPACE, &workload);
    assert!(pods.iter().all(|pod| pod.variable("REVISION") == good.as_str()), "{pods:?}");
    // A StatefulSet ends a pod before it starts the next: the one that failed has taken the place of one.
    let kept = cluster::uids(NAMESPACE, &workload).intersection(&old).count();
    assert_eq!(kept, if kind == "StatefulSet" { 1 } else { 2 }, "an old pod was replaced");
    cluster::end_copy(NAMESPACE, name);
}

pub fn never_ready() {
    stand_in("never-ready", "Deployment", "unready", &json!({}));
}

/// It would wait for its pod for ever, whatever its template says.
pub fn never_ready_stateful() {
    stand_in("never-ready-stateful", "StatefulSet", "unready", &json!({}));
}

pub fn out_of_memory() {
    stand_in("out-of-memory", "Deployment", "hungry", &json!({"resources": {"limits": {"memory": "48Mi"}}}));
}

/// What somebody at the Service misses while a policy rolls out well.
fn lost_in_a_roll(name: &str, edit: impl FnOnce(&mut Value)) -> Vec<String> {
    levels::scene();
    cluster::copy_of_kratos(NAMESPACE, name, 2, edit);
    cluster::await_wanted(NAMESPACE, name);
    let person = cluster::service(NAMESPACE, "kratos-admin").create_person();
    let service = || cluster::service(NAMESPACE, &format!("{name}-public"));
    let session = service().sign_in(&person);
    let traffic = Traffic::begin(service(), person, session);
    apply(name, &strict());
    cluster::await_ready(NAMESPACE, name);
    let served = traffic.end();
    println!("{name}: {} requests during a roll, lost: {:?}", served.requests, served.lost);
    assert!(served.requests > 20, "{} requests are too few to tell", served.requests);
    cluster::end_copy(NAMESPACE, name);
    served.lost
}

/// With a pause before pods end, a roll costs nobody anything; without, it is what advice warns of.
pub fn what_a_roll_drops() {
    let drained = lost_in_a_roll("drained", |workload| {
        workload["spec"]["template"]["spec"]["containers"][0]["lifecycle"] =
            json!({"preStop": {"sleep": {"seconds": 5}}});
    });
    lost_in_a_roll("undrained", |_| {});
    assert!(drained.len() <= 1, "{drained:?}");
}
