//! What the cache holds, and by what it is found.

use std::hash::Hash;

use crate::controller::decode::config_map::ConfigMap;
use crate::controller::decode::revision::Revision;
use crate::model::{Key, PolicyObject, Unreadable, Workload, WorkloadId};
use crate::policy::{Kind, Target};

/// Key under which an object is held.
pub trait Id: Clone + Eq + Hash {
    /// Whether it is one of what a watch of this kind sees in `namespace`, or in all.
    fn is_in(&self, kind: &str, namespace: Option<&str>) -> bool;
    fn of_unreadable(unreadable: &Unreadable) -> Self;
}

/// In a table of one kind.
impl Id for Key {
    fn is_in(&self, _: &str, namespace: Option<&str>) -> bool {
        namespace.is_none_or(|namespace| *self.namespace == *namespace)
    }

    fn of_unreadable(unreadable: &Unreadable) -> Self {
        unreadable.key.clone()
    }
}

impl Id for WorkloadId {
    fn is_in(&self, kind: &str, namespace: Option<&str>) -> bool {
        self.kind.as_str() == kind && self.key.is_in(kind, namespace)
    }

    fn of_unreadable(unreadable: &Unreadable) -> Self {
        Self { kind: Kind::from_word(unreadable.kind).unwrap_or_default(), key: unreadable.key.clone() }
    }
}

/// An object that is held under its id and found by other keys.
pub trait Held: Clone {
    type Id: Id;
    type By: Eq + Hash;

    fn id(&self) -> Self::Id;
    /// What it is found by: workloads and config maps find a policy, the policy finds everything else.
    fn refers_to(&self) -> Vec<Self::By>;
    /// Keys under which an object that cannot be read is found.
    fn unreadable_refers_to(_: &Unreadable) -> Vec<Self::By>;
    /// Whether the change concerns anybody.
    fn same(&self, other: &Self) -> bool;
    /// Uid and resource version.
    fn version(&self) -> Version<'_>;
}

/// Uid and resource version: for telling an answer of ours from an older event about the same object.
pub type Version<'a> = (&'a str, &'a str);

/// Object that a policy names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Named {
    Workload(WorkloadId),
    ConfigMap(Key),
}

impl Held for PolicyObject {
    type Id = Key;
    type By = Named;

    fn id(&self) -> Key {
        self.key.clone()
    }

    fn refers_to(&self) -> Vec<Named> {
        let Ok(spec) = &self.spec else { return Vec::new() };
        let target = |target: &Target| {
            Named::Workload(WorkloadId { kind: target.kind, key: self.key.beside(&target.name) })
        };
        spec.targets.iter().map(target).chain([Named::ConfigMap(self.key.beside(&spec.config_map))]).collect()
    }

    fn unreadable_refers_to(_: &Unreadable) -> Vec<Named> {
        Vec::new()
    }

    fn same(&self, other: &Self) -> bool {
        (self.generation, &self.uid, self.deleting, &self.retry, self.status.digest)
            == (other.generation, &other.uid, other.deleting, &other.retry, other.status.digest)
    }

    fn version(&self) -> Version<'_> {
        (&self.uid, &self.resource_version)
    }
}

/// Returns the policy that the label names.
fn by_label(unreadable: &Unreadable) -> Vec<Key> {
    unreadable.label.iter().map(|name| unreadable.key.beside(name)).collect()
}

impl Held for Workload {
    type Id = WorkloadId;
    type By = Key;

    fn id(&self) -> WorkloadId {
        Self::id(self)
    }

    fn refers_to(&self) -> Vec<Key> {
        self.policy_label.iter().map(|name| self.key.beside(name)).collect()
    }

    fn unreadable_refers_to(unreadable: &Unreadable) -> Vec<Key> {
        by_label(unreadable)
    }

    fn same(&self, other: &Self) -> bool {
        let other = Self { resource_version: self.resource_version.clone(), ..other.clone() };
        *self == other
    }

    fn version(&self) -> Version<'_> {
        (&self.uid, &self.resource_version)
    }
}

impl Held for ConfigMap {
    type Id = Key;
    type By = Key;

    fn id(&self) -> Key {
        self.key.clone()
    }

    fn refers_to(&self) -> Vec<Key> {
        self.view.policy_label.iter().map(|name| self.key.beside(name)).collect()
    }

    fn unreadable_refers_to(unreadable: &Unreadable) -> Vec<Key> {
        by_label(unreadable)
    }

    fn same(&self, other: &Self) -> bool {
        let mut other = other.clone();
        other.view.resource_version = self.view.resource_version.clone();
        *self == other
    }

    fn version(&self) -> Version<'_> {
        (&self.view.uid, &self.view.resource_version)
    }
}

impl Held for Revision {
    type Id = Key;
    type By = Key;

    fn id(&self) -> Key {
        self.key.clone()
    }

    fn refers_to(&self) -> Vec<Key> {
        vec![self.key.beside(&self.policy)]
    }

    fn unreadable_refers_to(unreadable: &Unreadable) -> Vec<Key> {
        by_label(unreadable)
    }

    fn same(&self, other: &Self) -> bool {
        self.record == other.record
    }

    fn version(&self) -> Version<'_> {
        (&self.uid, &self.resource_version)
    }
}
