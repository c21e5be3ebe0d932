//! Who is in a namespace: its policies by age, and the servers that carry no label of ours. For advice
//! about a namespace, which one of its policies gives. And what pods demand, for the metrics.

use std::collections::{BTreeSet, HashMap};

use smol_str::SmolStr;

use crate::model::{Demand, Key, PolicyObject, Workload, WorkloadId};

#[derive(Debug, Default)]
pub struct Census {
    /// Policies as (namespace, seconds since the Unix epoch, name).
    policies: BTreeSet<(SmolStr, i64, SmolStr)>,
    servers: BTreeSet<(SmolStr, WorkloadId)>,
    /// Levels of the workloads that have one from their template.
    demands: HashMap<WorkloadId, Demand>,
}

impl Census {
    /// The policy that speaks for the namespace: the oldest.
    pub fn speaker(&self, namespace: &SmolStr) -> Option<Key> {
        let (of, _, name) =
            self.policies.range((namespace.clone(), i64::MIN, SmolStr::default())..).next()?;
        (of == namespace).then(|| Key { namespace: of.clone(), name: name.clone() })
    }

    /// Workloads of the namespace that run a server and carry no label of ours.
    pub fn unlabelled<'a>(&'a self, namespace: &'a SmolStr) -> impl Iterator<Item = &'a WorkloadId> {
        let least = WorkloadId { kind: crate::policy::Kind::ALL[0], key: Key::new("", "") };
        self.servers
            .range((namespace.clone(), least)..)
            .take_while(move |(of, _)| of == namespace)
            .map(|(_, id)| id)
    }

    /// What the pods of a workload demand.
    pub fn demand(&self, workload: &WorkloadId) -> Demand {
        self.demands.get(workload).cloned().unwrap_or_default()
    }

    fn weigh(&mut self, old: Option<&Workload>, new: Option<&Workload>) {
        if let Some(gone) = old.filter(|old| new.is_none_or(|new| new.uid != old.uid)) {
            self.demands.remove(&gone.id());
        }
        let Some(new) = new else { return };
        // One that had no level is known to have had none.
        let nothing = Demand::default();
        let known = self.demands.get(&new.id()).or(old.map(|_| &nothing));
        let demand = Demand::after(known, new);
        if demand.is_empty() {
            self.demands.remove(&new.id());
        } else {
            self.demands.insert(new.id(), demand);
        }
    }

    pub fn count_policy(&mut self, old: Option<&PolicyObject>, new: Option<&PolicyObject>) {
        // One that is refused or about to go gives no advice.
        let speaks = |policy: &&PolicyObject| policy.spec.is_ok() && !policy.deleting;
        let entry =
            |policy: &PolicyObject| (policy.key.namespace.clone(), policy.created, policy.key.name.clone());
        let (old, new) = (old.filter(speaks).map(entry), new.filter(speaks).map(entry));
        if old != new {
            old.map(|old| self.policies.remove(&old));
            self.policies.extend(new);
        }
    }

    /// True where that changes who is without a policy.
    pub fn count_workload(&mut self, old: Option<&Workload>, new: Option<&Workload>) -> bool {
        self.weigh(old, new);
        let counts = |workload: &&Workload| {
            let serves = workload
                .containers
                .iter()
                .any(|container| container.traits.serves || container.traits.by_image);
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
