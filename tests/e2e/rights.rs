//! What the operator asked of the API server in the whole run, against what the chart grants it: nothing was
//! forbidden, and every right was used. The audit log of the cluster tells; this is the last trial of all,
//! and makes no sense alone.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::Value;

use crate::cluster::{self, OPERATOR};
use crate::install::{self, LEAVING, SYSTEM};

/// One that is granted or used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    group: String,
    /// With its subresource, as rules write it.
    resource: String,
    verb: String,
}

/// What this run does without: this API server streams its lists. tests/control_plane/pages.rs has one that
/// does not.
const IN_PAGES: [(&str, &str, &str); 3] =
    [("apps", "daemonsets", "list"), ("apps", "deployments", "list"), ("apps", "statefulsets", "list")];
/// A record is read where something of its name stands already: tests/control_plane/refusals.rs has that.
const TAKEN: (&str, &str, &str) = ("apps", "controllerrevisions", "get");
/// A workload whose roll fails is read whole. No DaemonSet fails but in the long run.
const LONG: (&str, &str, &str) = ("apps", "daemonsets", "get");

pub fn minimal() {
    install::operator();
    let granted = granted();
    assert!(!granted.is_empty(), "the chart grants the operator its rights");
    for right in &granted {
        let whole = [&right.group, &right.resource, &right.verb].into_iter().any(|part| part.contains('*'));
        assert!(!whole && !right.resource.starts_with("secrets"), "too much: {right:?}");
    }
    let requests = requests();
    let forbidden: Vec<_> =
        requests.iter().filter(|entry| decision(entry) == "forbid").map(describe).collect();
    assert!(
        forbidden.is_empty(),
        "{} requests were forbidden: {:#?}",
        forbidden.len(),
        &forbidden[..forbidden.len().min(20)]
    );
    let used: BTreeSet<_> = requests.iter().map(used).collect();
    let is_excused = |right: &&Right| {
        let right = (right.group.as_str(), right.resource.as_str(), right.verb.as_str());
        IN_PAGES.contains(&right) || right == TAKEN || (!crate::is_long() && right == LONG)
    };
    let (excused, idle): (Vec<_>, Vec<_>) = granted.difference(&used).partition(is_excused);
    println!(
        "{} requests of the operator, none forbidden; {} rights, {} not used",
        requests.len(),
        granted.len(),
        excused.len() + idle.len()
    );
    assert!(idle.is_empty(), "granted and never used: {idle:#?}");
}

fn decision(entry: &Value) -> &str {
    entry["annotations"]["authorization.k8s.io/decision"].as_str().unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().into()
}

fn used(entry: &Value) -> Right {
    let object = &entry["objectRef"];
    let below = object["subresource"].as_str().map(|name| format!("/{name}")).unwrap_or_default();
    Right {
        group: text(&object["apiGroup"]),
        resource: text(&object["resource"]) + &below,
        verb: text(&entry["verb"]),
    }
}

fn describe(entry: &Value) -> String {
    format!(
        "{} {} {}",
        text(&entry["requestReceivedTimestamp"]),
        text(&entry["verb"]),
        text(&entry["requestURI"])
    )
}

/// Everything that the operator's ServiceAccount is bound to.
fn granted() -> BTreeSet<Right> {
    let list = |kind: &str| {
        let found: Value = serde_json::from_str(&cluster::kubectl(&["get", kind, "-A", "-o", "json"]))
            .expect("kubectl writes JSON");
        found["items"].as_array().cloned().unwrap_or_default()
    };
    let own = |subject: &Value| {
        subject["kind"] == "ServiceAccount" && subject["name"] == OPERATOR && subject["namespace"] == SYSTEM
    };
    let bound =
        |binding: &Value| binding["subjects"].as_array().is_some_and(|subjects| subjects.iter().any(own));
    let bindings = list("clusterrolebindings").into_iter().chain(list("rolebindings")).filter(bound);
    let roles = bindings.map(|binding| {
        let namespace = binding["metadata"]["namespace"].as_str().unwrap_or(SYSTEM);
        let (kind, name) =
            (text(&binding["roleRef"]["kind"]).to_lowercase(), text(&binding["roleRef"]["name"]));
        cluster::get(namespace, &format!("{kind}/{name}"))
    });
    let words = |rule: &Value, field: &str| {
        rule[field].as_array().into_iter().flatten().map(text).collect::<Vec<_>>()
    };
    let mut rights = BTreeSet::new();
    for rule in roles.flat_map(|role| role["rules"].as_array().cloned().unwrap_or_default()) {
        for group in words(&rule, "apiGroups") {
            for resource in words(&rule, "resources") {
                let right = |verb| Right { group: group.clone(), resource: resource.clone(), verb };
                rights.extend(words(&rule, "verbs").into_iter().map(right));
            }
        }
    }
    rights
}

pub fn is_write(entry: &Value) -> bool {
    let is_dry = entry["requestURI"].as_str().is_some_and(|uri| uri.contains("dryRun="));
    !is_dry && !matches!(entry["verb"].as_str(), Some("get" | "list" | "watch"))
}

/// What the operator asked for, as the audit log has it, in its order. What it asked for when Helm had taken
/// its rights away already, before its pod had ended, is left out, and so is what the rights of an older
/// chart did not reach.
pub fn requests() -> Vec<Value> {
    let kubeconfig = std::env::var("KUBECONFIG").expect("the cluster's");
    let log = File::open(Path::new(&kubeconfig).with_file_name("audit.log"))
        .expect("the test bed keeps an audit log");
    let account = format!("system:serviceaccount:{SYSTEM}:{OPERATOR}");
    let mut uninstalled = false;
    let mut found = Vec::new();
    for line in BufReader::new(log).lines().map(|line| line.expect("it is text")) {
        let binding = line.contains("bindings") && line.contains(OPERATOR);
        if !binding && !line.contains(&account) && !line.contains(LEAVING) {
            continue;
        }
        // The last line may be on its way.
        let Ok(entry) = serde_json::from_str::<Value>(&line) else { continue };
        let resource = entry["objectRef"]["resource"].as_str().unwrap_or_default();
        // The last step of the test that comes first, and the only one with an older chart.
        if resource == "namespaces" && entry["objectRef"]["name"] == LEAVING && entry["verb"] == "delete" {
            found.retain(|entry| decision(entry) != "forbid");
        }
        if matches!(resource, "clusterrolebindings" | "rolebindings") {
            match entry["verb"].as_str() {
                Some("delete") => uninstalled = true,
                Some("create") => uninstalled = false,
                _ => {}
            }
        }
        // Some tests ask with the operator's name what it may do.
        let agent = entry["userAgent"].as_str().unwrap_or_default();
        let itself = entry["user"]["username"] == account.as_str()
            || entry["impersonatedUser"]["username"] == account.as_str();
        if itself && agent.starts_with(OPERATOR) && !(uninstalled && decision(&entry) == "forbid") {
            found.push(entry);
        }
    }
    found
}
