//! What each reason means and what to do about it: the words of the table in docs/status.md,
//! which a test compares with these. `kubectl mfa explain` and `rollout status` print them.

use super::Reason;

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remedy {
    pub means: &'static str,
    pub to_do: &'static str,
}

impl Reason {
    /// Whatever keeps a policy from being ready.
    pub const NOT_READY: [Self; 22] = [
        Self::InvalidSpec,
        Self::TargetNotFound,
        Self::Unreadable,
        Self::ContainerNotFound,
        Self::NotKratos,
        Self::NotWired,
        Self::TargetClaimed,
        Self::ConfigMapTaken,
        Self::FieldConflict,
        Self::WriteRefused,
        Self::Progressing,
        Self::TargetPaused,
        Self::Waiting,
        Self::RolledBack,
        Self::Crashing,
        Self::Suspended,
        Self::Overridden,
        Self::PodsOfAnotherOwner,
        Self::Mismatch,
        Self::Unreachable,
        Self::NotSupported,
        Self::NoPods,
    ];

    /// The reason of this word, if it can keep a policy from being ready.
    #[must_use]
    pub fn not_ready(word: &str) -> Option<Self> {
        Self::NOT_READY.into_iter().find(|reason| reason.as_str() == word)
    }

    /// None where all is well, or nothing is asked.
    #[must_use]
    pub fn remedy(self) -> Option<Remedy> {
        let (means, to_do) = match self {
            Self::InvalidSpec => (
                "A rule is broken that the API server did not catch: a method would go off, what is in force would become weaker without being stated, or the server's own configuration or version is against it.",
                "Do what the message says; each refusal (docs/advisories.md#refused-unless-acknowledged) is explained by its word. What was accepted last stays in force; if nothing was, the server's own configuration does. A target to which the policy is new (docs/advisories.md#refused-until-it-is-stated) is stopped alone.",
            ),
            Self::TargetNotFound => (
                "No such workload in the policy's namespace.",
                "Create it, or correct the name. It is picked up when it appears.",
            ),
            Self::Unreadable => (
                "A workload, one of its pods, the ConfigMap or a record of the policy is there, and a field of it is not what the operator expects. What it holds is not known: the levels are Unknown, and nothing of it is written, reverted or made anew.",
                "Correct the field that the message names, or, where the API is newer than the operator, upgrade the operator. It is read again when it changes.",
            ),
            Self::ContainerNotFound => (
                "The named container does not exist, or there are several, the policy names none, and none is called like the target or kratos.",
                "Set targetRefs[].container to one of the names in the message.",
            ),
            Self::NotKratos => (
                "The container's image is no identity server.",
                "Name the right container; for an image of another name see serverImages in the chart, or the annotation mfa-operator.dev/allow: \"true\" on the workload.",
            ),
            Self::NotWired => (
                "Delivery by a file, and the container does not read it.",
                "Add what the message says to the workload, for example to the values of Ory's chart. It goes on by itself.",
            ),
            Self::TargetClaimed => ("Another policy governs the workload.", "Remove it from one of the two."),
            Self::ConfigMapTaken => (
                "The ConfigMap exists and is not this policy's.",
                "Choose another delivery.configMapName, or delete it.",
            ),
            Self::FieldConflict => (
                "Another manager set a variable that the policy sets, or keeps undoing the repair of a variable.",
                "Remove it where it comes from, in the Helm values for example. TakeOver takes a variable. An entry with valueFrom and one that is listed twice have to be removed by hand.",
            ),
            Self::WriteRefused => (
                "The cluster refused a write: a missing right, a quota, an admission policy, a webhook that does not answer. Its own words are in the message.",
                "Remove the cause. It is tried again every 30 s.",
            ),
            Self::Progressing => ("The roll is under way, or waits its turn.", "Wait."),
            Self::TargetPaused => (
                "The Deployment has spec.paused, or the update strategy leaves pods to somebody: OnDelete, or a partition.",
                "kubectl rollout resume; delete the pods that are left; lower the partition to 0.",
            ),
            Self::Waiting => (
                "A pod cannot be scheduled, created or started for reasons of the cluster: no room, a quota, an image that is being pulled; or it does not run, and the policy may not be why: the database is away, a node is lost, somebody else changed something at the same time, or nothing that the policy changed keeps a server from starting. Or the pods of a target cannot be listed (a missing right, too many of them, an API server that fails), or cannot be told from those of others (ReplicaSets may not be read, and there are more pods than the Deployment counts), and the levels are Unknown.",
                "Do what the message says, or look at the events of the pod. It goes on by itself.",
            ),
            Self::RolledBack => (
                "New pods did not survive the change, and it was taken back. The message says on which pod, why, and what is in force.",
                "Correct the policy or the server's own configuration, or have it tried again: when a change fails (docs/rollback.md).",
            ),
            Self::Crashing => (
                "Pods with the new settings do not run, and it is not decided yet, or is left so (onFailure: Hold, or nothing that could come back; the message says why).",
                "Read kubectl logs of the pod. Kratos validates the *merged* configuration, so the policy may clash with the server's own files. Correct either; the fix does not wait.",
            ),
            Self::Suspended => (
                "The policy is suspended; the message lists the changes that are waiting.",
                "Set suspend to false when you want them written.",
            ),
            Self::Overridden => (
                "The container has what can beat the policy: a variable of another spelling (session_whoami_required_aal) or of a parent (SESSION), under ConfigFile any variable of a key that the policy sets, the levels aside, or a later --config. Which of two variables counts may differ from pod to pod.",
                "Remove what the message names, where it says. See what beats a policy (docs/overrides.md).",
            ),
            Self::PodsOfAnotherOwner => (
                "Pods have the labels that a target selects, and a workload controls them that this policy does not govern: a Rollout of Argo's, or a Deployment with the same labels. They may serve sign-in, and what they demand is not known: SETTINGS and WHOAMI are Unknown. Pods of a Job count only where their command says serve: that of the migration in Ory's chart has the labels and serves nobody.",
                "Name their workload in spec.targetRefs if it is a Deployment, StatefulSet or DaemonSet; otherwise give its pods other labels, or read about Argo Rollouts (docs/gitops.md#argo-rollouts). It goes on by itself when they are gone.",
            ),
            Self::Mismatch => (
                "A pod answers another revision than it was started with, or the pods of a target answer differently. Delivery by a file: three minutes after a change a pod still runs what it had; it serves on, and would not start again.",
                "Do what the message says; with a file, read the pod's log, and correct the policy or the server's own configuration. Where it is sure that the file was refused, it is taken back at once, and the reason is RolledBack.",
            ),
            Self::Unreachable | Self::NotSupported | Self::NoPods => (
                "The proof is required, and a pod does not answer, answers something else, or there is none. What SETTINGS, WHOAMI and RolledOut say still holds.",
                "Let the operator reach the admin port, correct verification.port, or do not require the proof: see proof by the pods (docs/verification.md).",
            ),
            Self::Accepted
            | Self::RolledOut
            | Self::Confirmed
            | Self::HashesAgree
            | Self::Off
            | Self::Ready => return None,
        };
        Some(Remedy { means, to_do })
    }
}
