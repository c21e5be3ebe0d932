//! Two operators, as the chart installs them, and the one that leads is killed.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api;
use crate::cluster::{self, LONG, OPERATOR};
use crate::install::{SYSTEM, strict};
use crate::levels::{self, NAMESPACE};
use crate::rights;
use crate::visitor::Visitor;

/// Where the tests run, so that its processes can be killed from here.
const HERE: &str = "node-0";

/// The pod that holds the lease: its name begins the holder's.
fn leader() -> Result<String, String> {
    let lease = cluster::get(SYSTEM, &format!("lease/{OPERATOR}"));
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
    match holder.rsplit_once('_') {
        Some((pod, _)) => Ok(pod.into()),
        None => Err(format!("the lease says {}", lease["spec"])),
    }
}

fn another_leads(than: &str) -> String {
    cluster::until("another operator leads", LONG, || {
        let now = leader()?;
        if now == than { Err(format!("{now} does")) } else { Ok(now) }
    })
}

/// On the node of the tests: one that leads elsewhere hands over in an orderly way.
fn leader_here() -> String {
    cluster::until("an operator of this node leads", LONG, || {
        let pod = leader()?;
        let found = cluster::get(SYSTEM, &format!("pod/{pod}"));
        match found["spec"]["nodeName"].as_str() {
            Some(HERE) => Ok(pod),
            Some(_) => {
                cluster::kubectl(&["-n", SYSTEM, "delete", "pod", &pod, "--wait=false"]);
                Err(format!("{} does", another_leads(&pod)))
            }
            None => Err(format!("{pod} is no more")),
        }
    })
}

/// SIGKILL for the operator in this pod: it has no moment to give its lease away.
fn kill(pod: &str) {
    let name = format!("POD_NAME={pod}");
    let is_it = |folder: &std::path::Path| {
        let says = |file: &str, word: &str| {
            let text = std::fs::read(folder.join(file)).unwrap_or_default();
            text.split(|byte| *byte == 0).any(|part| part == word.as_bytes())
        };
        says("environ", &name) && says("cmdline", "run")
    };
    let processes = std::fs::read_dir("/proc").expect("there are processes").flatten();
    let process = processes
        .map(|entry| entry.path())
        .find(|path| is_it(path))
        .expect("the operator's process is on this node");
    let id = process.file_name().expect("a number").to_string_lossy().into_owned();
    cluster::run("kill", &["-KILL", &id]);
}

/// How often a template was rolled out.
fn rolls(workload: &str) -> usize {
    let selector = format!("app.kubernetes.io/name={workload}");
    api::objects(NAMESPACE, "replicaset", &selector).len()
}

/// The second target waits for the first when its operator is killed: another one goes on with it.
pub fn killed() {
    let (name, targets) = ("failover", ["failover", "failover-next"]);
    levels::scene();
    cluster::kubectl(&["-n", SYSTEM, "scale", "deployment", OPERATOR, "--replicas=2"]);
    cluster::kubectl(&[
        "-n",
        SYSTEM,
        "rollout",
        "status",
        &format!("deployment/{OPERATOR}"),
        "--timeout=60s",
    ]);
    for target in targets {
        cluster::copy_of_kratos(NAMESPACE, target, 1, |_| {});
    }
    targets.iter().for_each(|target| drop(cluster::await_wanted(NAMESPACE, target)));
    let visitor = Visitor::of(NAMESPACE);
    let first = leader_here();
    let before = rights::requests().iter().map(received).max().unwrap_or_default();
    cluster::apply(&cluster::policy_over(
        NAMESPACE,
        name,
        &serde_json::json!([{"name": targets[0]}, {"name": targets[1]}]),
        &strict(),
    ));
    cluster::until("the roll is under way", LONG, || {
        if rolls(targets[0]) == 2 { Ok(()) } else { Err("it is not".into()) }
    });
    assert_eq!(rolls(targets[1]), 1, "the second waits for the first");
    kill(&first);
    let killed = Instant::now();
    // The kubelet starts the container again, and that would stand for election like the others.
    cluster::kubectl(&["-n", SYSTEM, "delete", "pod", &first, "--force", "--grace-period=0", "--wait=false"]);
    let second = another_leads(&first);
    println!("kill -9 of the leader: another led after {:.1} s", killed.elapsed().as_secs_f32());
    cluster::await_ready(NAMESPACE, name);
    println!("kill -9 of the leader: both targets were rolled after {:.1} s", killed.elapsed().as_secs_f32());
    for target in targets {
        cluster::await_wanted(NAMESPACE, target);
        visitor.must_step_up("with another leader", &cluster::doors(NAMESPACE, target));
    }
    // Nothing more comes of it.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(targets.map(rolls), [2, 2], "each was rolled once");
    one_writer_at_a_time(&before, &first, &second);
    targets.iter().for_each(|target| cluster::end_copy(NAMESPACE, target));
}

/// In what was received since then.
fn one_writer_at_a_time(since: &str, first: &str, second: &str) {
    let writes: Vec<_> = rights::requests()
        .into_iter()
        .filter(rights::is_write)
        .filter(|entry| *received(entry) > *since)
        .collect();
    let of = |pod: &str, lease: bool| {
        let own = writes
            .iter()
            .filter(|entry| entry["user"]["extra"]["authentication.kubernetes.io/pod-name"][0] == pod);
        own.filter(|entry| (entry["objectRef"]["resource"] == "leases") == lease)
            .map(received)
            .collect::<Vec<_>>()
    };
    // A leader renews every two seconds: it has held the lease without a break since it took it.
    let taken = of(second, true).into_iter().min().expect("it took the lease");
    let late: Vec<_> = of(first, false).into_iter().filter(|at| *at >= taken).collect();
    assert!(late.is_empty(), "{first} wrote after {second} had the lease, at {taken}: {late:?}");
    let early: Vec<_> = of(second, false).into_iter().filter(|at| *at <= taken).collect();
    assert!(early.is_empty(), "{second} wrote before it had the lease, at {taken}: {early:?}");
    assert!(!of(first, false).is_empty() && !of(second, false).is_empty(), "both had something to write");
}

/// In a form that sorts.
fn received(entry: &Value) -> String {
    entry["requestReceivedTimestamp"].as_str().unwrap_or_default().into()
}
