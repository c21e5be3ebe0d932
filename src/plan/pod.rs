//! Pods, as far as decisions need them.

use smol_str::SmolStr;

use super::{Answer, Containers, Millis};
use crate::policy::Kind;

/// A pod of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub name: SmolStr,
    pub uid: SmolStr,
    pub resource_version: SmolStr,
    /// Milliseconds since the Unix epoch.
    pub created: Millis,
    pub deleting: bool,
    pub ready: bool,
    /// Since when it is ready or is not; zero where that is not told.
    pub ready_since: Millis,
    pub scheduled: bool,
    /// Containers that are not ready.
    pub unready: Vec<SmolStr>,
    /// Its containers are ready and it is not: its node is gone, or something else has a say.
    pub cut_off: bool,
    /// Digest of what it was made from, our fields aside.
    pub content: SmolStr,
    /// Its annotations, each as (key, digest of the value).
    pub annotations: Vec<(SmolStr, SmolStr)>,
    /// How its server is, by its own word; none where it was not asked.
    pub health: Option<Health>,
    /// What it says of its configuration; none where it was not asked.
    pub answer: Option<Answer>,
    /// Variables of its containers that a policy may set, as (container, variable).
    pub containers: Containers,
    pub troubles: Vec<Trouble>,
}

/// By which a Deployment tells its ReplicaSets apart.
pub const TEMPLATE_HASH: &str = "pod-template-hash";

/// The controller that a pod names as its owner.
#[derive(Clone, Debug)]
pub struct Maker {
    pub kind: SmolStr,
    pub name: SmolStr,
    pub uid: SmolStr,
    /// [`TEMPLATE_HASH`] of the pod; empty where it has none.
    pub template_hash: SmolStr,
}

impl Maker {
    /// Whether it is the workload, or made by it: labels alone may be another's, too.
    #[must_use]
    pub fn is(&self, kind: Kind, name: &str, uid: &str) -> bool {
        match kind {
            // One of several that the Deployment made: another one's with the same labels has another name.
            Kind::Deployment => self.kind == "ReplicaSet" && *self.name == format!("{name}-{}", self.template_hash),
            Kind::StatefulSet | Kind::DaemonSet => *self.uid == *uid,
        }
    }
}

/// How a server is, by its own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Well,
    /// It says that it is not ready, or takes the question and does not answer.
    Unwell,
    /// Something is there, and what it says, if anything, is not the server's own word: nobody listens, a mesh ends the
    /// connection, a proxy asks for credentials.
    NotHeard,
    /// Nothing comes back from where it should be.
    Unreachable,
    /// There was no time to ask it.
    NotYet,
}

/// A container that does not run as it should, by the kubelet's reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub container: SmolStr,
    pub reason: SmolStr,
    pub exit_code: Option<i32>,
    /// It ended with an error, now or the last time that it ran, and is not ready since.
    pub ended: bool,
    /// How often it ended by itself with an error, as far as is told.
    pub crashes: i32,
    /// When it last ended; zero where it did not.
    pub finished: Millis,
    /// Of a container that prepares the pod: the config maps that it mounts.
    pub prepares: Option<Vec<SmolStr>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_of_another_deployment_with_the_same_labels_is_not_ours() {
        let made_by = |replica_set: &str, hash: &str, deployment: &str| {
            let maker = Maker { kind: "ReplicaSet".into(), name: replica_set.into(), uid: "x".into(), template_hash: hash.into() };
            maker.is(Kind::Deployment, deployment, "y")
        };
        assert!(made_by("kratos-5d4f", "5d4f", "kratos"));
        assert!(!made_by("kratos-copy-5d4f", "5d4f", "kratos"));
        assert!(!made_by("kratos-copy-5d4f", "copy-5d4f", "other"));
        assert!(!made_by("kratos-5d4f", "", "kratos"));
    }
}
