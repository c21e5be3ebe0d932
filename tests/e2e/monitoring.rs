//! A real Prometheus scrapes the operator while everything else here rolls and is rolled back. At the end
//! every query of the dashboard and every alert is put to it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{self, run, until};
use crate::install;

const OPERATORS: &str = "app.kubernetes.io/name=mfa-operator";
const LISTEN: &str = "127.0.0.1:9099";
/// Longer than these tests take: whatever was counted meanwhile is in it.
const ALL_OF_IT: &str = "3h";

/// What a rollout and a rollback do not bring.
const SELDOM: [&str; 3] = ["mfa_workload_left", "mfa_policy_overridden", "mfa_operator_unreadable_objects"];

static STARTED: Mutex<Option<(Child, tempfile::TempDir)>> = Mutex::new(None);

/// Starts Prometheus. It finds the operators by itself, whenever they come.
pub fn watch() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let programs = run(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/prometheus"), &[""; 0]);
    let targets = folder.path().join("targets.json");
    std::fs::write(&targets, "[]").expect("the file can be written");
    let alerts = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/mfa-operator/files/alerts.yaml");
    // Scraped as the chart's ServiceMonitor says it, and often, for nothing here lasts.
    let configuration = json!({
        "global": {"scrape_interval": "2s", "evaluation_interval": "5s"},
        "rule_files": [alerts],
        "scrape_configs": [{
            "job_name": "mfa-operator",
            "file_sd_configs": [{"files": [targets], "refresh_interval": "2s"}],
        }],
    });
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, configuration.to_string()).expect("the file can be written");
    let process = Command::new(format!("{}/prometheus", programs.trim()))
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address={LISTEN}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.path().join("log")).expect("a log can be written"))
        .spawn()
        .expect("Prometheus starts");
    // Debian's finds no pods by itself. The thread ends with the tests.
    std::thread::spawn(move || {
        while targets.exists() {
            let _ = find(&targets);
            std::thread::sleep(Duration::from_secs(2));
        }
    });
    *STARTED.lock().expect("no test panicked here") = Some((process, folder));
}

/// Names the operators of this moment.
fn find(targets: &Path) -> Result<(), String> {
    let found = cluster::attempt(
        "kubectl",
        &["-n", install::SYSTEM, "get", "pods", "-l", OPERATORS, "-o", "json"],
        None,
    )?;
    let found: Value = serde_json::from_str(&found).map_err(|error| error.to_string())?;
    let addresses =
        found["items"].as_array().into_iter().flatten().filter_map(|pod| pod["status"]["podIP"].as_str());
    let addresses: Vec<_> = addresses.map(|address| format!("{address}:8080")).collect();
    let labels = json!({"namespace": install::SYSTEM});
    // Prometheus must not read half a file.
    let fresh = targets.with_extension("fresh");
    std::fs::write(&fresh, json!([{"targets": addresses, "labels": labels}]).to_string())
        .map_err(|error| error.to_string())?;
    std::fs::rename(&fresh, targets).map_err(|error| error.to_string())
}

/// Ends it.
pub fn end() {
    if let Some((mut process, _folder)) = STARTED.lock().expect("no test panicked here").take() {
        let _ = process.kill();
        let _ = process.wait();
    }
}

fn ask(path: &str, query: &str) -> Result<Value, String> {
    let answer = ureq::get(format!("http://{LISTEN}/api/v1/{path}")).query("query", query).call();
    let text = answer
        .and_then(|mut answer| answer.body_mut().read_to_string())
        .map_err(|error| format!("{query}: {error}"))?;
    let answer: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if answer["status"] == "success" { Ok(answer["data"].clone()) } else { Err(format!("{query}: {answer}")) }
}

fn has_data(query: &str) -> Result<(), String> {
    let found = ask("query", query)?["result"].as_array().map_or(0, Vec::len);
    if found > 0 { Ok(()) } else { Err(format!("no data: {query}")) }
}

/// Runs last, and needs a rollout and a rollback before it.
pub fn every_query_has_data() {
    install::operator();
    until("Prometheus scrapes the operator", cluster::LONG, || has_data("mfa_operator_build_info"));
    let counted = |name: &str| has_data(&format!("sum(max_over_time({name}[{ALL_OF_IT}])) > 0"));
    counted("mfa_operator_rollouts_finished_total").expect("a rollout went before");
    counted("mfa_operator_rollbacks_total").expect("a rollback went before");
    counted("mfa_policy_not_ready{reason=\"RolledBack\"}").expect("a policy told of its rollback");
    counted("mfa_policy_weaker").expect("pods demanded less before they were rolled");

    let dashboard: Value =
        serde_json::from_str(include_str!("../../charts/mfa-operator/files/dashboard.json"))
            .expect("it is JSON");
    let targets = dashboard["panels"]
        .as_array()
        .expect("panels")
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("queries"));
    // One cluster, whose metrics say nothing of it.
    let filled = |query: &str| query.replace("$__rate_interval", ALL_OF_IT).replace("$cluster", "");
    let queries: Vec<_> = targets.map(|target| filled(target["expr"].as_str().expect("a query"))).collect();
    assert!(queries.len() > 20, "{queries:?}");
    // What the last moments scraped may be of an operator that just came: a rate needs two samples of it.
    let mut missing: Vec<_> = Vec::new();
    for query in &queries {
        let now_and_then =
            if query.contains('[') || query.contains("or ") { query.clone() } else { past(query) };
        missing.extend(has_data(&now_and_then).err());
    }
    for expression in alerts() {
        if expression.starts_with("absent") {
            ask("query", &expression).expect("a query that is understood");
            continue;
        }
        for selector in selectors(&expression) {
            let name = selector.split('{').next().unwrap_or_default();
            if !SELDOM.contains(&name) {
                missing.extend(has_data(&format!("last_over_time({name}[{ALL_OF_IT}])")).err());
            }
        }
        ask("query", &expression).expect("a query that is understood");
    }
    let rules = ask("rules", "").expect("it tells its rules");
    let health: Vec<_> = rules["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|group| group["rules"].as_array().cloned())
        .flatten()
        .collect();
    let ill: Vec<_> = health.iter().filter(|rule| rule["health"] != "ok").collect();
    assert!(health.len() >= 15 && ill.is_empty(), "{ill:?}");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The same query about all of the run: policies of tests that have passed are gone.
fn past(query: &str) -> String {
    let names = selectors(query);
    names.iter().fold(query.to_owned(), |query, selector| {
        query.replacen(selector.as_str(), &format!("last_over_time({selector}[{ALL_OF_IT}])"), 1)
    })
}

fn alerts() -> Vec<String> {
    let rules: Value = serde_yaml::from_str(include_str!("../../charts/mfa-operator/files/alerts.yaml"))
        .expect("it is YAML");
    let groups = rules["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("rules"));
    groups.map(|rule| rule["expr"].as_str().expect("a query").to_owned()).collect()
}

/// The names of metrics in a query, each with its matchers.
fn selectors(query: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = query;
    while let Some(at) = ["mfa_", "process_"].iter().filter_map(|prefix| rest.find(prefix)).min() {
        let name = rest[at..]
            .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .map_or(rest.len(), |end| at + end);
        let matchers = rest[name..]
            .strip_prefix('{')
            .and_then(|inner| inner.find('}'))
            .map_or(name, |end| name + end + 2);
        found.push(rest[at..matchers].to_owned());
        rest = &rest[matchers..];
    }
    found
}
