//! Delivery by a mounted file: wired once, read anew by running pods, rolled for a level, and proven
//! by what the pods answer.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::kratos::{AT_AAL1, Door, PASSES, STEP_UP, Session};
use crate::levels::{self, NAMESPACE};
use crate::{cluster, install};

/// The kubelet brings a file up to date within a minute and a half.
const READ: Duration = Duration::from_secs(150);
/// When a file that was not read is called so, and some more.
const TOLD: Duration = Duration::from_secs(400);

/// Adds the file of this config map to a Deployment, as its owner would.
pub fn wire(deployment: &mut Value, config_map: &str) {
    read_also(deployment, config_map, "/etc/mfa", "kratos.yaml");
}

/// Has a Deployment read one more file of this config map, mounted at this folder.
pub fn read_also(deployment: &mut Value, config_map: &str, folder: &str, file: &str) {
    let pod = &mut deployment["spec"]["template"]["spec"];
    push(&mut pod["volumes"], json!({"name": config_map, "configMap": {"name": config_map}}));
    push(
        &mut pod["containers"][0]["volumeMounts"],
        json!({"name": config_map, "mountPath": folder, "readOnly": true}),
    );
    push(&mut pod["containers"][0]["args"], json!(format!("--config={folder}/{file}")));
}

fn push(list: &mut Value, item: Value) {
    list.as_array_mut().expect("a list").push(item);
}

/// The spec of a policy that is delivered so.
pub fn by_file(mut spec: Value) -> Value {
    spec["delivery"] = json!({"type": "ConfigFile"});
    spec
}

fn await_effective(name: &str, status: &str, reason: &str, limit: Duration) {
    cluster::until(&format!("Effective of {name} is {status}/{reason}"), limit, || match cluster::condition(
        NAMESPACE,
        name,
        "Effective",
    ) {
        Some(found) if found == (status.into(), reason.into()) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

/// A copy of Kratos with a policy over it, and a session that lacks the second factor of its person.
fn scene(name: &str, deployment: impl FnOnce(&mut Value), spec: &Value) -> Session {
    levels::scene();
    cluster::apply(&cluster::policy(NAMESPACE, name, name, spec));
    cluster::copy_of_kratos(NAMESPACE, name, 2, deployment);
    cluster::await_ready(NAMESPACE, name);
    let public = cluster::service(NAMESPACE, &format!("{name}-public"));
    let person = cluster::service(NAMESPACE, "kratos-admin").create_person();
    public.enrol(&public.sign_in(&person));
    public.sign_in(&person)
}

fn verdicts(name: &str, session: &Session) -> BTreeSet<String> {
    cluster::doors(NAMESPACE, name).iter().map(|door| door.whoami(session).verdict()).collect()
}

/// Only the answer of a privileged session that is too old.
fn asks_to_sign_in_anew(door: &Door, session: &Session) -> Result<(), String> {
    let verdict = door.change_password(session).verdict();
    if verdict == "403 session_refresh_required" { Ok(()) } else { Err(format!("{}: {verdict}", door.name)) }
}

/// The way that the README tells: the policy says which values Kratos' release needs.
pub fn by_the_values_that_it_names() {
    let namespace = "e2e-wired";
    install::operator();
    install::begin(namespace);
    let courier = ["--set", "courier.enabled=false"];
    cluster::kratos("helm", namespace, 2, &courier);
    let public = cluster::service(namespace, "kratos-public");
    let person = cluster::service(namespace, "kratos-admin").create_person();
    public.enrol(&public.sign_in(&person));
    let session = public.sign_in(&person);
    cluster::apply(&cluster::policy(namespace, "kratos", "kratos", &by_file(install::strict())));
    let message = cluster::until("the policy tells what is missing", cluster::LONG, || {
        let object = cluster::get(namespace, "mfapolicy/kratos");
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.iter().find(|condition| condition["reason"] == "NotWired");
        found.map(|condition| condition["message"].to_string()).ok_or_else(|| format!("{conditions:?}"))
    });
    let message: String = serde_json::from_str(&message).expect("a message is a string");
    let values = std::env::temp_dir().join(format!("values-{}.json", std::process::id()));
    std::fs::write(&values, &message[message.find('{').expect("the message has values")..])
        .expect("a file can be written");
    let path = values.to_string_lossy().into_owned();
    let wired: Vec<_> = courier.iter().copied().chain(["--values", &path]).collect();
    cluster::kratos("helm", namespace, 2, &wired);
    cluster::await_ready(namespace, "kratos");
    let effective = cluster::until("the pods prove it", cluster::LONG, || {
        cluster::condition(namespace, "kratos", "Effective")
            .filter(|found| found.0 == "True")
            .ok_or_else(|| "not yet".to_owned())
    });
    assert_eq!(effective.1, "HashesAgree");
    for door in cluster::doors(namespace, "kratos") {
        assert_eq!(
            (door.whoami(&session).verdict().as_str(), door.settings(&session).verdict().as_str()),
            (STEP_UP, STEP_UP),
            "{}",
            door.name
        );
    }
    // Upgrades of the release undo nothing.
    let before = cluster::uids(namespace, "kratos");
    cluster::kratos("helm", namespace, 2, &wired);
    cluster::await_ready(namespace, "kratos");
    assert_eq!(cluster::uids(namespace, "kratos"), before, "an upgrade that changes nothing rolled Kratos");
    let _ = std::fs::remove_file(values);
    install::end(namespace);
}

/// Every other key reaches the pods without a new one, and their answers prove that.
pub fn read_anew() {
    let name = "read-anew";
    let session = scene(name, |deployment| wire(deployment, "read-anew-mfa"), &by_file(install::strict()));
    await_effective(name, "True", "HashesAgree", cluster::LONG);
    let pods = cluster::uids(NAMESPACE, name);
    assert_eq!(verdicts(name, &session), BTreeSet::from([STEP_UP.to_owned()]));
    let mut spec = by_file(install::strict());
    spec["privilegedSessionMaxAge"] = json!("1m");
    cluster::apply(&cluster::policy(NAMESPACE, name, name, &spec));
    await_effective(name, "Unknown", "Progressing", cluster::LONG);
    await_effective(name, "True", "HashesAgree", READ);
    assert_eq!(cluster::uids(NAMESPACE, name), pods, "a pod was replaced");
    let person = cluster::service(NAMESPACE, "kratos-admin").create_person();
    let doors: Vec<_> =
        cluster::doors(NAMESPACE, name).into_iter().map(|door| (door.sign_in(&person), door)).collect();
    std::thread::sleep(Duration::from_secs(61));
    doors.iter().for_each(|(session, door)| {
        asks_to_sign_in_anew(door, session).unwrap_or_else(|seen| panic!("{seen}"))
    });
    // A level rolls them all.
    spec["requiredAAL"] = json!({"settings": "highest_available", "whoami": "aal1"});
    cluster::apply(&cluster::policy(NAMESPACE, name, name, &spec));
    cluster::await_ready(NAMESPACE, name);
    assert!(
        cluster::uids(NAMESPACE, name).is_disjoint(&pods),
        "a pod from before the change of a level still runs"
    );
    assert_eq!(verdicts(name, &session), BTreeSet::from([AT_AAL1.to_owned()]));
    cluster::end_copy(NAMESPACE, name);
}

/// Kratos keeps what it has where it refuses the new file, and stays ready: only its answers tell.
pub fn refused() {
    let name = "file-refused";
    let namespace = "e2e-refused";
    install::operator();
    install::begin(namespace);
    cluster::kratos("helm", namespace, 1, &["--set", "courier.enabled=false"]);
    cluster::apply(&cluster::policy(namespace, name, name, &by_file(install::strict())));
    cluster::copy_of_kratos(namespace, name, 2, |deployment| {
        cluster::take_code_as_first_factor(deployment);
        wire(deployment, "file-refused-mfa");
    });
    cluster::await_ready(namespace, name);
    let pods = cluster::uids(namespace, name);
    let spec = cluster::code_as_second_factor(by_file(install::strict()));
    cluster::apply(&cluster::policy(namespace, name, name, &spec));
    cluster::until("the pods are told not to have it", TOLD, || {
        let found = cluster::current_condition(namespace, name, "Ready").unwrap_or_default();
        let message = found["message"].as_str().unwrap_or_default();
        let told = found["reason"] == "RolledBack" && message.contains("the new file was not taken");
        if told { Ok(()) } else { Err(found.to_string()) }
    });
    let file = || cluster::get(namespace, "configmap/file-refused-mfa")["data"]["kratos.yaml"].to_string();
    cluster::until("the file is the one of before", cluster::LONG, || {
        if file().contains("mfa_enabled") { Err(file()) } else { Ok(()) }
    });
    assert_eq!(cluster::uids(namespace, name), pods);
    assert!(cluster::pods(namespace, name).iter().all(|pod| pod.ready), "they serve on");
    let mut corrected = by_file(install::strict());
    corrected["acknowledge"] = json!(["MethodSwitchedOff:code"]);
    corrected["privilegedSessionMaxAge"] = json!("10m");
    cluster::apply(&cluster::policy(namespace, name, name, &corrected));
    cluster::until("the correction is read", READ, || {
        match cluster::condition(namespace, name, "Effective") {
            Some((status, _)) if status == "True" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    cluster::await_ready(namespace, name);
    assert_eq!(cluster::uids(namespace, name), pods, "a pod was replaced");
    install::end(namespace);
}

/// Sets it when it goes.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Asks whoami and settings of this Service all the time; answers whatever it was told but to step up.
fn never_weaker(public: &Door, session: &Session, meanwhile: impl FnOnce()) {
    let (ended, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut others = BTreeSet::new();
            while !ended.load(Ordering::Relaxed) {
                let verdicts = [public.whoami(session).verdict(), public.settings(session).verdict()];
                others.extend(verdicts.into_iter().filter(|verdict| verdict != STEP_UP));
                asked.fetch_add(2, Ordering::Relaxed);
            }
            others
        });
        // However this ends, or else the other asks for ever.
        let end = Ended(&ended);
        meanwhile();
        drop(end);
        let others = asking.join().expect("it asks to the end");
        assert_eq!(others, BTreeSet::new(), "of {} answers", asked.load(Ordering::Relaxed));
    });
    println!("{} answers, none weaker", asked.load(Ordering::Relaxed));
    assert!(
        asked.load(Ordering::Relaxed) > 20,
        "{} answers are too few to tell",
        asked.load(Ordering::Relaxed)
    );
}

/// There and back, each in one roll, while somebody asks all the time: no answer is ever the weaker one.
pub fn switched() {
    let name = "switched";
    let session = scene(name, |deployment| wire(deployment, "switched-mfa"), &install::strict());
    let public = cluster::service(NAMESPACE, &format!("{name}-public"));
    assert_eq!(public.whoami(&session).verdict(), STEP_UP);
    let generation = || {
        cluster::get(NAMESPACE, &format!("deployment/{name}"))["metadata"]["generation"]
            .as_i64()
            .unwrap_or_default()
    };
    never_weaker(&public, &session, || {
        for spec in [by_file(install::strict()), install::strict()] {
            let (before, pods) = (generation(), cluster::uids(NAMESPACE, name));
            cluster::apply(&cluster::policy(NAMESPACE, name, name, &spec));
            cluster::await_ready(NAMESPACE, name);
            assert_eq!(generation(), before + 1, "one roll");
            assert!(
                cluster::uids(NAMESPACE, name).is_disjoint(&pods),
                "a pod from before the switch still runs"
            );
            for door in cluster::doors(NAMESPACE, name) {
                assert_eq!(door.whoami(&session).verdict(), STEP_UP, "{}", door.name);
            }
        }
    });
    cluster::end_copy(NAMESPACE, name);
}

/// Somebody with no right but on ConfigMaps, on whom the cluster sets no other bounds.
struct Intruder {
    account: String,
    /// What guards the operator's ConfigMaps where it is installed: this is about what holds without it.
    guard: Value,
}

impl Intruder {
    fn begin(name: &str) -> Self {
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name, "namespace": NAMESPACE},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch", "update", "delete"]}]});
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": NAMESPACE}]});
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": NAMESPACE}});
        for object in [account, role, binding] {
            cluster::apply(&object);
        }
        let guard = format!("{}-history", cluster::OPERATOR);
        let found = ["get", "validatingadmissionpolicybinding", &guard, "--ignore-not-found", "-o", "json"];
        let mut found: Value = serde_json::from_str(&cluster::kubectl(&found)).unwrap_or_default();
        if let Some(metadata) = found["metadata"].as_object_mut() {
            metadata.retain(|field, _| ["name", "labels", "annotations"].contains(&field.as_str()));
            cluster::kubectl(&["delete", "validatingadmissionpolicybinding", &guard]);
        }
        Self { account: format!("--as=system:serviceaccount:{NAMESPACE}:{name}"), guard: found }
    }

    fn attempt(&self, words: &[&str]) -> Result<String, String> {
        cluster::attempt("kubectl", &[&["-n", NAMESPACE, &self.account][..], words].concat(), None)
    }

    /// The API server takes its time to learn that a binding is gone.
    fn does(&self, words: &[&str]) {
        cluster::until(&format!("the intruder may {words:?}"), cluster::LONG, || self.attempt(words));
    }
}

impl Drop for Intruder {
    fn drop(&mut self) {
        if !self.guard.is_null() {
            let _ = cluster::attempt("kubectl", &["apply", "-f", "-"], Some(&self.guard.to_string()));
        }
    }
}

/// Whatever becomes of the file, by whoever may write ConfigMaps and nothing else, no answer is ever the
/// weaker one: not of pods that read another file, and not of those that start with it.
pub fn attacked() {
    let (name, map) = ("attacked", "attacked-mfa");
    let session = scene(name, |deployment| wire(deployment, map), &by_file(install::strict()));
    let intruder = Intruder::begin("intruder");
    for forbidden in [["get", "mfapolicy", name], ["get", "deployment", name]] {
        assert!(intruder.attempt(&forbidden).is_err(), "{forbidden:?}");
    }
    let weak = "session: {whoami: {required_aal: aal1}}\nselfservice: {flows: {settings: {required_aal: aal1, privileged_session_max_age: 1s}}}\n";
    let patch = |more: Value| {
        let mut patch = json!({"data": {"kratos.yaml": weak}});
        patch.as_object_mut().expect("a map").extend(more.as_object().cloned().unwrap_or_default());
        intruder.does(&["patch", "configmap", map, "--type=merge", "-p", &patch.to_string()]);
    };
    let levels = || cluster::get(NAMESPACE, &format!("mfapolicy/{name}"))["status"]["requiredAAL"].clone();
    let strict = json!({"settings": "highest_available", "whoami": "highest_available"});
    let admin = cluster::service(NAMESPACE, "kratos-admin");
    // The age of a session is in the file alone: it tells that the pods have read what the intruder wrote.
    let read = || {
        cluster::until("the pods have read the intruder's file", READ, || {
            for door in cluster::doors(NAMESPACE, name) {
                // A pod that has not read it yet does change the password, and nobody signs in by the old one
                // again.
                let session = door.sign_in(&admin.create_person());
                std::thread::sleep(Duration::from_secs(2));
                asks_to_sign_in_anew(&door, &session)?;
            }
            Ok(())
        });
        assert_eq!(verdicts(name, &session), BTreeSet::from([STEP_UP.to_owned()]));
        assert_eq!(levels(), strict);
    };
    let taken = json!({"metadata": {"labels": {"mfa-operator.dev/policy": null}, "annotations": {"mfa-operator.dev/governed": null}}});
    let public = cluster::service(NAMESPACE, &format!("{name}-public"));
    never_weaker(&public, &session, || {
        let pods = cluster::uids(NAMESPACE, name);
        for _ in 0..8 {
            patch(json!({}));
            cluster::until("the file is the policy's again", cluster::LONG, || {
                let file =
                    cluster::get(NAMESPACE, &format!("configmap/{map}"))["data"]["kratos.yaml"].to_string();
                if file.contains("highest_available") { Ok(()) } else { Err(file) }
            });
        }
        patch(taken);
        cluster::await_condition(NAMESPACE, name, ("Accepted", "False", "ConfigMapTaken"));
        read();
        assert_eq!(cluster::uids(NAMESPACE, name), pods, "a pod was replaced");
        intruder.does(&["delete", "configmap", map]);
        cluster::await_ready(NAMESPACE, name);
        patch(json!({"immutable": true}));
        cluster::await_condition(NAMESPACE, name, ("Accepted", "False", "WriteRefused"));
        // Those that start now start with it.
        cluster::kubectl(&["-n", NAMESPACE, "rollout", "restart", &format!("deployment/{name}")]);
        cluster::kubectl(&[
            "-n",
            NAMESPACE,
            "rollout",
            "status",
            &format!("deployment/{name}"),
            "--timeout=420s",
        ]);
        read();
        assert!(
            cluster::uids(NAMESPACE, name).is_disjoint(&pods),
            "a pod from before the restart still runs"
        );
        intruder.does(&["delete", "configmap", map]);
        cluster::await_ready(NAMESPACE, name);
    });
    cluster::end_copy(NAMESPACE, name);
}

/// Nothing of it is left in force when it goes, and no pod lacks its file.
pub fn deleted() {
    let name = "file-deleted";
    let session = scene(name, |deployment| wire(deployment, "file-deleted-mfa"), &by_file(install::strict()));
    assert_eq!(verdicts(name, &session), BTreeSet::from([STEP_UP.to_owned()]));
    cluster::kubectl(&["-n", NAMESPACE, "delete", "mfapolicy", name]);
    cluster::until("the policy is reverted", cluster::LONG, || {
        let template = cluster::get(NAMESPACE, &format!("deployment/{name}"))["spec"]["template"].to_string();
        if template.contains("REQUIRED_AAL") { Err(template) } else { Ok(()) }
    });
    cluster::kubectl(&[
        "-n",
        NAMESPACE,
        "rollout",
        "status",
        &format!("deployment/{name}"),
        "--timeout=420s",
    ]);
    for door in cluster::doors(NAMESPACE, name) {
        assert_eq!(
            (door.whoami(&session).verdict().as_str(), door.settings(&session).verdict().as_str()),
            (AT_AAL1, PASSES),
            "{}",
            door.name
        );
    }
    cluster::end_copy(NAMESPACE, name);
}
