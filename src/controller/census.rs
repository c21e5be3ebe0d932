//! Who is in a namespace: its policies by age, and the servers that carry no label of ours. For advice
//! about a namespace, which one of its policies gives.

use std::collections::BTreeSet;

use smol_str::SmolStr;

use crate::plan::{Key, PolicyObject, Workload, WorkloadId};

#[derive(Debug, Default)]
pub(super) struct Census {
    /// As (namespace, seconds since the Unix epoch, name).
    policies: BTreeSet<(SmolStr, i64, SmolStr)>,
    servers: BTreeSet<(SmolStr, WorkloadId)>,
}

impl Census {
    /// The policy that speaks for the namespace: the oldest.
    pub fn speaker(&self, namespace: &SmolStr) -> Option<Key> {
        let (of, _, name) = self.policies.range((namespace.clone(), i64::MIN, SmolStr::default())..).next()?;
        (of == namespace).then(|| Key { namespace: of.clone(), name: name.clone() })
    }

    /// Workloads of the namespace that run a server and carry no label of ours.
    pub fn unlabelled<'a>(&'a self, namespace: &'a SmolStr) -> impl Iterator<Item = &'a WorkloadId> {
        let least = WorkloadId { kind: crate::policy::Kind::ALL[0], key: Key::new("", "") };
        self.servers.range((namespace.clone(), least)..).take_while(move |(of, _)| of == namespace).map(|(_, id)| id)
    }

    pub fn count_policy(&mut self, old: Option<&PolicyObject>, new: Option<&PolicyObject>) {
        // One that is refused or about to go gives no advice.
        let speaks = |policy: &&PolicyObject| policy.spec.is_ok() && !policy.deleting;
        let entry = |policy: &PolicyObject| (policy.key.namespace.clone(), policy.created, policy.key.name.clone());
        let (old, new) = (old.filter(speaks).map(entry), new.filter(speaks).map(entry));
        if old != new {
            old.map(|old| self.policies.remove(&old));
            self.policies.extend(new);
        }
    }

    /// True where that changes who is without a policy.
    pub fn count_workload(&mut self, old: Option<&Workload>, new: Option<&Workload>) -> bool {
        let counts = |workload: &&Workload| {
            let serves = workload.containers.iter().any(|container| container.traits.serves);
            serves && workload.replicas > 0 && !workload.own.policy_label && !workload.deleting
        };
        let entry = |workload: &Workload| (workload.key.namespace.clone(), workload.id());
        let (old, new) = (old.filter(counts).map(entry), new.filter(counts).map(entry));
        let changes = old != new;
        if changes {
            old.map(|old| self.servers.remove(&old));
            self.servers.extend(new);
        }
        changes
    }
}
