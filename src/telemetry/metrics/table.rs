//! Every metric once: its name, type, labels and meaning. What is scraped and docs/metrics.md come from here.

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Counter,
    Gauge,
    Histogram,
    Info,
}

/// A metric, and what it means.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Without the suffix that its type adds.
    pub name: &'static str,
    pub type_: Type,
    /// Each label with what stands in it.
    pub labels: &'static [(&'static str, &'static str)],
    /// Without the full stop, which the library adds.
    pub help: &'static str,
}

impl Metric {
    /// Name of the metric in queries.
    #[must_use]
    pub fn full_name(&self) -> String {
        let suffix = match self.type_ {
            Type::Counter => "_total",
            Type::Info => "_info",
            Type::Gauge | Type::Histogram => "",
        };
        format!("{}{suffix}", self.name)
    }
}

/// Not `namespace`: Prometheus gives that to whatever it scrapes, and may put it in the place of ours.
const NAMESPACE: (&str, &str) = ("policy_namespace", "namespace of the policy");
const NAME: (&str, &str) = ("name", "its name");
const WORKLOAD_KIND: (&str, &str) = ("kind", "`Deployment`, `StatefulSet` or `DaemonSet`");

pub const POLICY: Metric = Metric {
    name: "mfa_policy",
    type_: Type::Info,
    labels: &[
        NAMESPACE,
        NAME,
        (
            "revision",
            "what its pods shall have: wanted and being applied, after a rollback what it went back to; in force everywhere once the policy is Ready. Empty where that is the server's own configuration. Equal policies have equal revisions, also in different clusters",
        ),
        (
            "settings",
            "weakest level that any pod demands for the settings page, by the pod templates and the counts of their controllers, whatever the status says: `aal1`, `highest_available` or `Unknown`",
        ),
        ("whoami", "likewise for sessions"),
    ],
    help: "What the pods of each policy shall have, and what they demand, always 1",
};
pub const POLICY_NOT_READY: Metric = Metric {
    name: "mfa_policy_not_ready",
    type_: Type::Gauge,
    labels: &[
        NAMESPACE,
        NAME,
        (
            "reason",
            "reason of the condition Ready; `Unknown` where none was told yet, or where that says Ready while `mfa_policy_weaker` is 1",
        ),
    ],
    help: "1 for each policy that is not Ready; there is no series for one that is",
};
pub const POLICY_WEAKER: Metric = Metric {
    name: "mfa_policy_weaker",
    type_: Type::Gauge,
    labels: &[NAMESPACE, NAME],
    help: "1 for each policy of which some pod demands less than it asks for, or is not known to demand as much, by the pod templates and the counts of their controllers; no series for others. Every operator tells it, also one that stands by or whose status says otherwise",
};
pub const POLICY_OVERRIDDEN: Metric = Metric {
    name: "mfa_policy_overridden",
    type_: Type::Gauge,
    labels: &[NAMESPACE, NAME],
    help: "1 for each policy that something in a workload can beat; no series for others",
};
pub const WORKLOAD_LEFT: Metric = Metric {
    name: "mfa_workload_left",
    type_: Type::Gauge,
    labels: &[NAMESPACE, WORKLOAD_KIND, NAME, ("policy", "name of the policy that its label names")],
    help: "1 for each workload that was governed and is left as it is until a policy names it; no series for others",
};
pub const REVERSALS_DELAYED: Metric = Metric {
    name: "mfa_operator_reversals_delayed",
    type_: Type::Gauge,
    labels: &[],
    help: "Policies that are gone and whose settings stay for 15 minutes, because many are gone: at least five, and a tenth of all",
};
pub const UNREADABLE: Metric = Metric {
    name: "mfa_operator_unreadable_objects",
    type_: Type::Gauge,
    labels: &[("kind", "kind of the objects")],
    help: "Objects that concern a policy (it itself, a workload that it names, what carries its label) and cannot be read, so that what they hold is not known; no series for kinds without",
};
pub const POLICIES: Metric = Metric {
    name: "mfa_operator_policies",
    type_: Type::Gauge,
    labels: &[("reason", "reason of the condition Ready")],
    help: "Policies by the reason of their condition Ready",
};
pub const RECONCILES: Metric = Metric {
    name: "mfa_operator_reconciles",
    type_: Type::Counter,
    labels: &[("result", "`success`; `stale`: something changed meanwhile, it is read again; `error`")],
    help: "Looks at a policy, by how they ended",
};
pub const DURATION: Metric = Metric {
    name: "mfa_operator_reconcile_duration_seconds",
    type_: Type::Histogram,
    labels: &[],
    help: "How long a look at a policy takes, from the first read to the last write",
};
pub const ERRORS: Metric = Metric {
    name: "mfa_operator_reconcile_errors",
    type_: Type::Counter,
    labels: &[(
        "kind",
        "`deadline`: no answer in time; `unreachable`: no answer; `forbidden`: a right is missing; `rejected`: another answer below 500; `server`: 500 and above; `other`",
    )],
    help: "Looks that ended with an error and are tried again, by its kind",
};
pub const LAST_SUCCESS: Metric = Metric {
    name: "mfa_operator_last_success_timestamp_seconds",
    type_: Type::Gauge,
    labels: &[],
    help: "When a look last succeeded, in seconds since the Unix epoch; 0 before the first",
};
pub const QUEUE: Metric = Metric {
    name: "mfa_operator_queue_depth",
    type_: Type::Gauge,
    labels: &[],
    help: "Policies about which something changed and that wait for their look",
};
pub const WRITES: Metric = Metric {
    name: "mfa_operator_writes",
    type_: Type::Counter,
    labels: &[
        ("resource", "plural name, with the subresource"),
        ("verb", "`create`, `apply`, `patch`, `update` or `delete`"),
        (
            "result",
            "`done`; `conflict`: it changed meanwhile, or another manager owns a field; `gone`; `refused`: by admission, rights or quota; `error`: the API server failed or did not answer",
        ),
    ],
    help: "Writes to the API server, by how it answered; one that changes nothing counts too",
};
pub const WATCH_ERRORS: Metric = Metric {
    name: "mfa_operator_watch_errors",
    type_: Type::Counter,
    labels: &[("kind", "kind of the objects")],
    help: "Watches that failed and start again. While they go on failing the operator is blind",
};
pub const WATCH_STARTS: Metric = Metric {
    name: "mfa_operator_watch_lists",
    type_: Type::Counter,
    labels: &[("kind", "kind of the objects")],
    help: "Full lists that watches began with",
};
pub const ROLLOUTS_STARTED: Metric = Metric {
    name: "mfa_operator_rollouts_started",
    type_: Type::Counter,
    labels: &[WORKLOAD_KIND],
    help: "Writes that make a workload replace its pods",
};
pub const ROLLOUTS_FINISHED: Metric = Metric {
    name: "mfa_operator_rollouts_finished",
    type_: Type::Counter,
    labels: &[WORKLOAD_KIND],
    help: "Workloads seen to run on all pods what was written to them",
};
pub const ROLLBACKS: Metric = Metric {
    name: "mfa_operator_rollbacks",
    type_: Type::Counter,
    labels: &[("weaker", "`true` where what it goes back to demands less")],
    help: "Revisions that failed and were taken back",
};
pub const DRIFT_REPAIRS: Metric = Metric {
    name: "mfa_operator_drift_repairs",
    type_: Type::Counter,
    labels: &[("kind", "kind of the object")],
    help: "Objects that had lost what a policy sets and got it again",
};
pub const VERIFICATIONS: Metric = Metric {
    name: "mfa_operator_verifications",
    type_: Type::Counter,
    labels: &[("result", "reason of the condition Effective; `Progressing` where it is too early to tell")],
    help: "Times that the pods of a workload were asked what they run, by what they prove",
};
pub const PODS_ASKED: Metric = Metric {
    name: "mfa_operator_pods_asked",
    type_: Type::Counter,
    labels: &[(
        "answer",
        "`hash`, `revision`, `other`: an answer that tells nothing, `unreachable` or `late`: no time was left",
    )],
    help: "Pods that were asked at their admin port, by what they answered",
};
pub const CONFINED: Metric = Metric {
    name: "mfa_operator_writes_confined",
    type_: Type::Counter,
    labels: &[("resource", "plural name, with the subresource")],
    help: "Writes that the admission policy of its own confinement refused to the operator: it and the policy are of different versions, or something changes what it writes on its way",
};
pub const PROTECTION: Metric = Metric {
    name: "mfa_operator_protection",
    type_: Type::Gauge,
    labels: &[
        ("policy", "`confinement`, `weakening` or `history`"),
        (
            "state",
            "`InForce`; `Absent`: nothing is refused by it; `Unknown`: the operator could not find out",
        ),
    ],
    help: "Whether the cluster holds to each admission policy of the chart, as the operator finds out itself, always 1",
};
pub const LEADER: Metric = Metric {
    name: "mfa_operator_leader",
    type_: Type::Gauge,
    labels: &[],
    help: "1 while this operator is the one that works, 0 while it stands by",
};
pub const BUILD: Metric = Metric {
    name: "mfa_operator_build",
    type_: Type::Info,
    labels: &[("version", "version of the operator")],
    help: "The operator that answers, always 1",
};
pub const MEMORY: Metric = Metric {
    name: "process_resident_memory_bytes",
    type_: Type::Gauge,
    labels: &[],
    help: "Memory of the process",
};

/// In the order of docs/metrics.md.
pub const ALL: [&Metric; 27] = [
    &POLICY,
    &POLICY_NOT_READY,
    &POLICY_WEAKER,
    &POLICY_OVERRIDDEN,
    &WORKLOAD_LEFT,
    &REVERSALS_DELAYED,
    &UNREADABLE,
    &POLICIES,
    &ROLLOUTS_STARTED,
    &ROLLOUTS_FINISHED,
    &ROLLBACKS,
    &DRIFT_REPAIRS,
    &VERIFICATIONS,
    &PODS_ASKED,
    &WRITES,
    &CONFINED,
    &PROTECTION,
    &RECONCILES,
    &DURATION,
    &ERRORS,
    &LAST_SUCCESS,
    &QUEUE,
    &WATCH_ERRORS,
    &WATCH_STARTS,
    &LEADER,
    &BUILD,
    &MEMORY,
];

/// Whatever this operator writes; names of objects are never among it.
pub(super) const RESOURCES: [&str; 9] = [
    "deployments",
    "statefulsets",
    "daemonsets",
    "configmaps",
    "controllerrevisions",
    "mfapolicies/status",
    "pods",
    "events",
    "leases",
];

#[cfg(test)]
mod tests;
