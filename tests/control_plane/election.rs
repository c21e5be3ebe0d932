//! Two operators and one lease: whatever happens to the one that leads, the other carries on, two never write
//! at a time, and nothing rolls twice. The audit log tells who wrote when.

mod faults;

use std::path::Path;
use std::time::{Duration, Instant};

use kube::Api;
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::audit::Write;
use crate::objects::{LABEL, env, generation, kratos, policy};
use crate::rights::{LEASE, grant, may_lead, user};
use crate::scene::{SOON, Scene, resource};
use crate::stage;
use crate::support::control_plane::{ControlPlane, control_plane, create_namespace, install_definition};
use crate::support::operator::{Operator, Options};
use crate::wire::Wire;

pub const MAX_AGE: &str = "SELFSERVICE_FLOWS_SETTINGS_PRIVILEGED_SESSION_MAX_AGE";
/// Policies, each over a workload of its own.
const MANY: usize = 16;

/// Those that the operator has by itself.
pub const BY_DEFAULT: Terms = Terms { duration: 15, arguments: &[] };
/// A machine that runs all tests at once keeps a leader from its renewal for more than ten seconds.
pub const PATIENT: Terms = Terms {
    duration: 30,
    arguments: &["--lease-duration=30s", "--lease-renew-deadline=25s", "--lease-retry-period=1s"],
};
/// Nothing of it runs out within a test.
const ENDLESS: Terms = Terms {
    duration: 900,
    arguments: &["--lease-duration=900s", "--lease-renew-deadline=600s", "--lease-retry-period=1s"],
};

pub struct Terms {
    /// In seconds.
    duration: u64,
    arguments: &'static [&'static str],
}

impl Terms {
    /// Until the other leads, and has done what there is to do.
    fn runs_out(&self) -> Duration {
        Duration::from_secs(self.duration) + SOON
    }
}

/// Two operators of one namespace: the scene's leads, the other stands by.
struct Pair {
    scene: Scene,
    second: Operator,
    users: [String; 2],
    /// The audit log is read from here.
    mark: u64,
}

impl Pair {
    async fn start(name: &str, terms: &Terms, first_by: Option<&Path>) -> Self {
        let plane = control_plane();
        install_definition(&plane.client().await).await;
        let direct = plane.folder().join("kubeconfig");
        let mut scene = Scene::launch_as(plane, name, async |client, namespace| {
            may_lead(client, namespace, &user(namespace)).await;
            options(namespace, user(namespace), first_by.unwrap_or(&direct), terms)
        })
        .await;
        scene.operator.wait_until_ready();
        leads(&scene, &scene.operator, SOON).await;
        let second = format!("{}-second", user(&scene.namespace));
        grant(&scene.client, &scene.namespace, &second).await;
        may_lead(&scene.client, &scene.namespace, &second).await;
        let users = [user(&scene.namespace), second.clone()];
        // A standby has what it needs, and is ready.
        let second = Operator::start(options(&scene.namespace, second, &direct, terms));
        let mark = scene.audit_mark();
        Self { scene, second, users, mark }
    }

    /// Policies in force, and what the workloads' generations are then.
    async fn with_policies(&self, count: usize) -> Vec<i64> {
        let mut generations = Vec::new();
        for number in 0..count {
            self.scene.create(kratos(&name(number))).await;
            self.scene.create(policy(&name(number), &[&name(number)])).await;
        }
        for number in 0..count {
            self.scene.until_ready_without_pods(&name(number)).await;
            generations.push(generation(&self.scene.deployment(&name(number)).await));
        }
        generations
    }

    async fn edit(&self, number: usize) {
        self.scene.edit("MfaPolicy", &name(number), json!({"spec": {"privilegedSessionMaxAge": "7m"}})).await;
    }

    /// Waits until the edit of each has rolled its workload, and that once.
    async fn each_rolled_once(&self, before: &[i64], limit: Duration) {
        for (number, before) in before.iter().enumerate() {
            let name = name(number);
            self.scene
                .until(&format!("{name} has what its policy says"), limit, async || {
                    let found = env(&self.scene.deployment(&name).await, "kratos")
                        .get(MAX_AGE)
                        .cloned()
                        .unwrap_or_default();
                    if found == "7m" {
                        Ok(())
                    } else {
                        Err(format!("{found:?}; the second's log:\n{}", self.second.log()))
                    }
                })
                .await;
            self.scene.until_ready_without_pods(&name).await;
            assert_eq!(generation(&self.scene.deployment(&name).await), before + 1, "{name} rolled once");
        }
    }

    /// Of the first, or of the second.
    fn writes(&self, whose: usize) -> Vec<Write> {
        let writes = self.scene.writes_of(&self.users[whose], self.mark);
        writes.into_iter().filter(|write| write.resource != "leases").collect()
    }

    /// When the second had the lease written as its own.
    fn taken_over(&self) -> String {
        let writes = self.scene.writes_of(&self.users[1], self.mark);
        let taken = writes.into_iter().find(|write| write.resource == "leases" && write.code < 400);
        taken.expect("the second took the lease").received
    }

    /// Whatever the first wrote came before the second took over, and whatever the second wrote, after.
    fn one_writer_at_a_time(&self) {
        let [first, second] = [self.writes(0), self.writes(1)];
        let taken = self.taken_over();
        let late: Vec<_> = first.iter().filter(|write| write.received >= taken).collect();
        assert!(late.is_empty(), "the first wrote after the second had taken over at {taken}: {late:?}");
        let early: Vec<_> = second.iter().filter(|write| write.received <= taken).collect();
        assert!(early.is_empty(), "the second wrote before it took over at {taken}: {early:?}");
        assert!(!first.is_empty() && !second.is_empty(), "both had something to write");
    }

    /// The first ends by itself, and says why.
    async fn first_gives_up(&mut self, words: &str, limit: Duration) {
        let deadline = Instant::now() + limit;
        let status = loop {
            match self.scene.operator.ended() {
                Some(status) => break status,
                None => assert!(
                    Instant::now() < deadline,
                    "it goes on without its lease:\n{}",
                    self.scene.operator.log()
                ),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        assert!(!status.success(), "losing the lease is a failure: {status}");
        let log = self.scene.operator.log();
        assert!(
            log.lines().any(|line| line.contains("ERROR") && line.contains(words)),
            "its log must say {words:?}:\n{log}"
        );
    }
}

fn name(number: usize) -> String {
    format!("kratos-{number}")
}

pub fn options(namespace: &str, user: String, kubeconfig: &Path, terms: &Terms) -> Options {
    let lease = format!("--lease={namespace}/{LEASE}");
    let arguments =
        [lease].into_iter().chain(terms.arguments.iter().map(|argument| (*argument).into())).collect();
    Options {
        kubeconfig: kubeconfig.into(),
        namespaces: vec![namespace.into()],
        user,
        log_format: "text",
        log: "info,mfa_operator=debug",
        arguments,
    }
}

pub async fn leads(scene: &Scene, operator: &Operator, limit: Duration) {
    scene
        .until("it leads", limit, async || {
            let log = operator.log();
            if log.contains("this operator leads") { Ok(()) } else { Err(log) }
        })
        .await;
}

/// Kill -9 while the change of many policies is under way.
#[tokio::test]
async fn the_other_carries_on_after_a_kill() {
    let mut pair = Pair::start("ha-kill", &PATIENT, None).await;
    let before = pair.with_policies(MANY).await;
    assert_eq!(pair.second.probe("/readyz"), Some(200), "a standby is ready");
    for (operator, leads) in [(&pair.scene.operator, 1), (&pair.second, 0)] {
        let page = operator.answer("/metrics", "*/*").expect("it answers");
        assert!(page.lines().any(|line| line == format!("mfa_operator_leader {leads}")), "{page}");
    }
    let idle = pair.writes(1);
    assert!(idle.is_empty(), "a standby writes nothing: {idle:?}");
    let patches = |pair: &Pair| pair.writes(0).iter().filter(|write| write.resource == "deployments").count();
    let patched = patches(&pair);
    for number in 0..MANY / 2 {
        pair.edit(number).await;
    }
    pair.scene
        .until("the change is under way", SOON, async || match patches(&pair) - patched {
            0 => Err("nothing is rolled".into()),
            _ => Ok(()),
        })
        .await;
    pair.scene.operator.kill();
    let killed = Instant::now();
    for number in MANY / 2..MANY {
        pair.edit(number).await;
    }
    leads(&pair.scene, &pair.second, PATIENT.runs_out()).await;
    println!("kill -9: the other led after {:?}", killed.elapsed());
    pair.each_rolled_once(&before, SOON).await;
    println!("kill -9: all was done after {:?}", killed.elapsed());
    pair.one_writer_at_a_time();
}

/// With a lease that would hold for a quarter of an hour.
#[tokio::test]
async fn an_orderly_stop_hands_over() {
    let mut pair = Pair::start("ha-stop", &ENDLESS, None).await;
    let before = pair.with_policies(2).await;
    let stopped = Instant::now();
    let status = pair.scene.operator.stop();
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
    for number in 0..2 {
        pair.edit(number).await;
    }
    leads(&pair.scene, &pair.second, SOON).await;
    println!("orderly stop: the other led after {:?}", stopped.elapsed());
    pair.each_rolled_once(&before, SOON).await;
    pair.one_writer_at_a_time();
    // And back: whoever comes is elected as anybody else.
    pair.scene.operator.start_again();
    pair.second.stop();
    pair.scene
        .until("the first leads again", SOON, async || {
            let lease = pair.scene.get("Lease", LEASE).await;
            let transitions = &lease["spec"]["leaseTransitions"];
            if *transitions == 2 { Ok(()) } else { Err(lease["spec"].to_string()) }
        })
        .await;
}

/// The rights of the other are such that what it has can be listed, and never arrives.
#[tokio::test]
async fn a_namespace_that_cannot_be_watched_holds_up_none_but_itself() {
    let plane = control_plane();
    install_definition(&plane.client().await).await;
    let other = create_namespace(&plane.client().await, "ha-blind").await;
    let scene = Scene::launch_as(plane, "ha-seeing", async |client, namespace| {
        may_lead(client, namespace, &user(namespace)).await;
        let group = "rbac.authorization.k8s.io";
        let subjects = json!([{"apiGroup": group, "kind": "User", "name": user(namespace)}]);
        let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]);
        for (kind, more) in [("Role", json!({"rules": rules})), ("RoleBinding", json!({"subjects": subjects}))] {
            let mut object = json!({"apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {"name": "blind"}});
            object.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
            if kind == "RoleBinding" {
                object["roleRef"] = json!({"apiGroup": group, "kind": "Role", "name": "blind"});
            }
            stage::apply(client, &other, object).await;
        }
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stays-unknown", "labels": {LABEL: "mfa"}}});
        stage::apply(client, &other, map).await;
        let mut options = options(namespace, user(namespace), &plane.folder().join("kubeconfig"), &ENDLESS);
        options.namespaces.push(other.clone());
        options
    })
    .await;
    leads(&scene, &scene.operator, SOON).await;
    scene.create(kratos("kratos")).await;
    scene.create(policy("mfa", &["kratos"])).await;
    scene.until_ready_without_pods("mfa").await;
}
