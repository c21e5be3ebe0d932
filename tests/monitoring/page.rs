//! Writes docs/metrics.md: from the table of the metrics, and from the alerts of the chart. `make generate`
//! runs it.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program that prints"
)]

use mfa_operator::telemetry::metrics::table::{ALL, Metric, Type};
use serde_yaml::Value;

const HEAD: &str = "# Metrics and alerts

<!-- Written by `make generate` from src/telemetry/metrics/table.rs and charts/mfa-operator/files/alerts.yaml. -->

The operator serves `/metrics` at the port `metrics` (8080): OpenMetrics for who asks for it, as Prometheus does, else Prometheus' own text. They tell names and namespaces of policies and workloads, revisions, levels and reasons; never a value of a variable or of a configuration.

With the Prometheus operator, switch on `monitoring.serviceMonitor.enabled`, `monitoring.prometheusRule.enabled` and, for Grafana's sidecar, `monitoring.dashboard.enabled` in the chart's values. Without it, take [alerts.yaml](../charts/mfa-operator/files/alerts.yaml) and [dashboard.json](../charts/mfa-operator/files/dashboard.json) as they are, and replace the path in `runbook_url` by where you keep the runbook. Scrape each pod (`kubernetes_sd_configs`, role `pod` or `endpointslice`), not the address of the Service, behind which one replica answers at a time. A policy's metrics name its namespace in `policy_namespace`: `namespace` is that of the operator, as Prometheus found it. An alert about a policy has the policy's namespace as `namespace`, too, so that it reaches whoever gets the alerts of that namespace. The dashboard shows the clusters of one Prometheus one at a time, by their label `cluster`; where yours is called otherwise, write that into its variable and queries. The alerts are for the Prometheus of one cluster: where one has several, add the label that tells them apart to each `by` and `on`.

A standby tells of policies what the one that works tells, so aggregate with `max by (policy_namespace, name)`. Series of a policy go with it; one that is ready has one. For conditions in full, have [kube-state-metrics](../charts/mfa-operator/files/kube-state-metrics.yaml) tell them: start it with `--custom-resource-state-config-file`, and with the right to list and watch `mfapolicies` and `customresourcedefinitions`.

Two clusters that shall enforce the same do so when the revisions are equal and the policy is ready in both: a revision is what the pods shall have, and `mfa_policy_not_ready` is there until all have it. This lists every policy, by its namespace and name, for which that cannot be shown:

```promql
count by (policy_namespace, name) (count by (policy_namespace, name, revision) (mfa_policy_info)) > 1
  or max by (policy_namespace, name) (mfa_policy_not_ready)
```

More about [several clusters](regions.md).

## Metrics
";

fn main() {
    print!("{HEAD}");
    for metric in ALL {
        print!("\n### `{}`\n\n{}. {}.\n", metric.full_name(), word(metric), metric.help);
        if !metric.labels.is_empty() {
            print!("\n| label | what stands in it |\n|---|---|\n");
            for (label, meaning) in metric.labels {
                println!("| `{label}` | {meaning} |");
            }
        }
    }
    print!(
        "\n## Alerts\n\nEach names its section of the [runbook](runbook.md).\n\n| alert | fires when, and for how long | what it means | do |\n|---|---|---|---|\n"
    );
    let alerts: Value = serde_yaml::from_str(include_str!("../../charts/mfa-operator/files/alerts.yaml"))
        .expect("alerts.yaml is YAML");
    let groups = alerts["groups"].as_sequence().expect("groups of rules");
    for rule in groups.iter().flat_map(|group| group["rules"].as_sequence().expect("rules")) {
        let text = |value: &Value| {
            value.as_str().unwrap_or_else(|| panic!("a text is missing in {rule:?}")).replace('|', "\\|")
        };
        let place = text(&rule["annotations"]["runbook_url"]).replace("docs/runbook.md", "runbook.md");
        let (name, expression, pause) = (text(&rule["alert"]), text(&rule["expr"]), text(&rule["for"]));
        let (severity, meaning) =
            (text(&rule["labels"]["severity"]), text(&rule["annotations"]["description"]));
        let meaning = meaning.replace("{{ $labels.", "its ").replace(" }}", "");
        println!("| `{name}` ({severity}) | `{expression}` for {pause} | {meaning} | [runbook]({place}) |");
    }
}

fn word(metric: &Metric) -> &'static str {
    match metric.type_ {
        Type::Counter => "A counter",
        Type::Gauge => "A gauge",
        Type::Histogram => "A histogram",
        Type::Info => "An info",
    }
}
