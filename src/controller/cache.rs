//! What the watches know, with the indexes that say which policies an object concerns.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, RwLock};

use smol_str::SmolStr;

use super::begin::{Versions, versioned};
use super::census::Census;
use super::view::config_map::ConfigMap;
use super::view::revision::Revision;
use crate::api;
use crate::plan::{Key, PolicyObject, Workload, WorkloadId};

/// What an object is held under.
pub(super) trait Id: Clone + Eq + Hash {
    /// Whether it is one of what a watch of this kind sees in `namespace`, or in all.
    fn is_in(&self, kind: &str, namespace: Option<&str>) -> bool;
}

/// In a table of one kind.
impl Id for Key {
    fn is_in(&self, _: &str, namespace: Option<&str>) -> bool {
        namespace.is_none_or(|namespace| *self.namespace == *namespace)
    }
}

impl Id for WorkloadId {
    fn is_in(&self, kind: &str, namespace: Option<&str>) -> bool {
        self.kind.as_str() == kind && self.key.is_in(kind, namespace)
    }
}

/// An object that is held under its id and found by other keys.
pub(super) trait Held: Clone {
    type Id: Id;
    type By: Eq + Hash;

    fn id(&self) -> Self::Id;
    /// What it is found by: workloads find a policy, the policy finds everything else.
    fn refers_to(&self) -> Vec<Self::By>;
    /// Whether the change concerns anybody.
    fn same(&self, other: &Self) -> bool;
    /// For telling an answer of ours from an older event about the same object.
    fn version(&self) -> (&str, &str);
}

impl Held for PolicyObject {
    type Id = Key;
    type By = WorkloadId;

    fn id(&self) -> Key {
        self.key.clone()
    }

    fn refers_to(&self) -> Vec<WorkloadId> {
        let targets = self.spec.as_ref().map(|policy| policy.targets.as_slice()).unwrap_or_default();
        targets.iter().map(|target| WorkloadId { kind: target.kind, key: self.key.beside(&target.name) }).collect()
    }

    fn same(&self, other: &Self) -> bool {
        (self.generation, &self.uid, self.deleting, &self.retry, self.status.digest)
            == (other.generation, &other.uid, other.deleting, &other.retry, other.status.digest)
    }

    fn version(&self) -> (&str, &str) {
        (&self.uid, &self.resource_version)
    }
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

    fn same(&self, other: &Self) -> bool {
        let other = Self { resource_version: self.resource_version.clone(), ..other.clone() };
        *self == other
    }

    fn version(&self) -> (&str, &str) {
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

    fn same(&self, other: &Self) -> bool {
        let mut other = other.clone();
        other.view.resource_version = self.view.resource_version.clone();
        *self == other
    }

    fn version(&self) -> (&str, &str) {
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

    fn same(&self, other: &Self) -> bool {
        self.record == other.record
    }

    fn version(&self) -> (&str, &str) {
        let uid = self.record.as_ref().map_or("", |record| &record.owner_uid);
        (uid, &self.resource_version)
    }
}

/// Objects of one type.
#[derive(Debug)]
pub(super) struct Table<T: Held> {
    objects: HashMap<T::Id, Arc<T>>,
    found_by: HashMap<T::By, Vec<T::Id>>,
}

impl<T: Held> Default for Table<T> {
    fn default() -> Self {
        Self { objects: HashMap::new(), found_by: HashMap::new() }
    }
}

impl<T: Held> Table<T> {
    pub fn get(&self, id: &T::Id) -> Option<Arc<T>> {
        self.objects.get(id).cloned()
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<T>> {
        self.objects.values()
    }

    pub fn len(&self) -> usize {
        self.objects.len()
    }

    pub fn found_by(&self, by: &T::By) -> Vec<Arc<T>> {
        self.found_by.get(by).into_iter().flatten().filter_map(|id| self.get(id)).collect()
    }

    pub fn is_found_by(&self, by: &T::By) -> bool {
        self.found_by.contains_key(by)
    }

    /// Holds `new` and returns what the change concerns; none where it concerns nobody.
    fn put(&mut self, new: T) -> Option<Vec<T::By>> {
        let id = new.id();
        let old = self.objects.get(&id).cloned();
        if let Some(old) = &old
            && is_older(new.version(), old.version())
        {
            return None;
        }
        let concerned = match &old {
            Some(old) if old.same(&new) => None,
            Some(old) => Some(old.refers_to().into_iter().chain(new.refers_to()).collect()),
            None => Some(new.refers_to()),
        };
        if let Some(old) = old {
            self.unlink(&id, &old);
        }
        for reference in new.refers_to() {
            let ids = self.found_by.entry(reference).or_default();
            if !ids.contains(&id) {
                ids.push(id.clone());
            }
        }
        self.objects.insert(id, Arc::new(new));
        concerned
    }

    fn remove(&mut self, id: &T::Id) -> Vec<T::By> {
        let Some(old) = self.objects.remove(id) else { return Vec::new() };
        self.unlink(id, &old);
        old.refers_to()
    }

    fn unlink(&mut self, id: &T::Id, old: &T) {
        for reference in old.refers_to() {
            if let Some(ids) = self.found_by.get_mut(&reference) {
                ids.retain(|held| held != id);
                if ids.is_empty() {
                    self.found_by.remove(&reference);
                }
            }
        }
    }
}

/// Resource versions of one object are ordered numbers on every server that answers numbers.
fn is_older((new_uid, new): (&str, &str), (old_uid, old): (&str, &str)) -> bool {
    new_uid == old_uid && matches!((new.parse::<u64>(), old.parse::<u64>()), (Ok(new), Ok(old)) if new < old)
}

/// All that is known of the cluster.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub policies: Table<PolicyObject>,
    pub workloads: Table<Workload>,
    pub config_maps: Table<ConfigMap>,
    pub revisions: Table<Revision>,
    pub census: Census,
}

/// The tables behind a lock.
#[derive(Debug, Default)]
pub(super) struct Cache(RwLock<Tables>);

/// What the cache holds.
pub(super) trait Cached: Held {
    fn table(tables: &mut Tables) -> &mut Table<Self>;
    /// Policies to look at, given what a change of the object with this id concerns.
    fn policies(tables: &Tables, id: &Self::Id, concerned: Vec<Self::By>) -> Vec<Key>;

    /// Counts the change; returns whom it concerns beside them.
    fn count(_: &mut Census, _: Option<&Self>, _: Option<&Self>) -> Option<Key> {
        None
    }
}

impl Cached for PolicyObject {
    fn table(tables: &mut Tables) -> &mut Table<Self> {
        &mut tables.policies
    }

    fn policies(tables: &Tables, id: &Key, concerned: Vec<WorkloadId>) -> Vec<Key> {
        // Others that name the same workloads may gain or lose them, and what is left of a policy
        // that is gone may have waited for this one.
        let rivals = concerned.iter().flat_map(|workload| tables.policies.found_by.get(workload).into_iter().flatten()).cloned();
        let labels = concerned.iter().filter_map(|workload| tables.workloads.get(workload)).flat_map(|workload| workload.refers_to());
        rivals.chain(labels).chain([id.clone()]).collect()
    }

    fn count(census: &mut Census, old: Option<&Self>, new: Option<&Self>) -> Option<Key> {
        let speaker = |census: &Census| census.speaker(&old.or(new)?.key.namespace);
        let before = speaker(census);
        census.count_policy(old, new);
        speaker(census).filter(|after| before.as_ref() != Some(after))
    }
}

impl Cached for Workload {
    fn table(tables: &mut Tables) -> &mut Table<Self> {
        &mut tables.workloads
    }

    fn policies(tables: &Tables, id: &WorkloadId, concerned: Vec<Key>) -> Vec<Key> {
        tables.policies.found_by.get(id).into_iter().flatten().cloned().chain(concerned).collect()
    }

    fn count(census: &mut Census, old: Option<&Self>, new: Option<&Self>) -> Option<Key> {
        let changes = census.count_workload(old, new);
        census.speaker(&old.or(new)?.key.namespace).filter(|_| changes)
    }
}

impl Cached for ConfigMap {
    fn table(tables: &mut Tables) -> &mut Table<Self> {
        &mut tables.config_maps
    }

    fn policies(_: &Tables, _: &Key, concerned: Vec<Key>) -> Vec<Key> {
        concerned
    }
}

impl Cached for Revision {
    fn table(tables: &mut Tables) -> &mut Table<Self> {
        &mut tables.revisions
    }

    fn policies(_: &Tables, _: &Key, concerned: Vec<Key>) -> Vec<Key> {
        concerned
    }
}

fn put<T: Cached>(tables: &mut Tables, object: T) -> Vec<Key> {
    let id = object.id();
    let old = T::table(tables).get(&id);
    let concerned = T::table(tables).put(object);
    let new = T::table(tables).get(&id);
    let counted = T::count(&mut tables.census, old.as_deref(), new.as_deref());
    concerned.map(|concerned| T::policies(tables, &id, concerned)).unwrap_or_default().into_iter().chain(counted).collect()
}

fn remove<T: Cached>(tables: &mut Tables, id: &T::Id) -> Vec<Key> {
    let old = T::table(tables).get(id);
    let concerned = T::table(tables).remove(id);
    let counted = T::count(&mut tables.census, old.as_deref(), None);
    T::policies(tables, id, concerned).into_iter().chain(counted).collect()
}

impl Cache {
    /// Reads several tables at one moment.
    pub fn read<R>(&self, read: impl FnOnce(&Tables) -> R) -> R {
        read(&self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn write<R>(&self, write: impl FnOnce(&mut Tables) -> R) -> R {
        write(&mut self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Holds an object; returns the policies to look at.
    pub fn put<T: Cached>(&self, object: T) -> Vec<Key> {
        self.write(|tables| put(tables, object))
    }

    /// Holds the answer to a patch in place of what was patched. Where that is gone meanwhile, or
    /// another, the watch has been faster: the answer would bring it back for good.
    pub fn answered<T: Cached>(&self, object: T) -> Vec<Key> {
        self.write(|tables| {
            let held = T::table(tables).get(&object.id()).is_some_and(|held| held.version().0 == object.version().0);
            if held { put(tables, object) } else { Vec::new() }
        })
    }

    pub fn remove<T: Cached>(&self, id: &T::Id) -> Vec<Key> {
        self.write(|tables| remove::<T>(tables, id))
    }

    /// What is held of this kind, in `namespace` or in all, with its versions.
    pub fn versions<T: Cached>(&self, kind: &str, namespace: Option<&str>) -> Versions<T> {
        self.write(|tables| {
            let held = T::table(tables).objects.iter();
            held.filter(|(id, _)| id.is_in(kind, namespace)).map(|(_, object)| versioned(&**object)).collect()
        })
    }

    /// Whether all that was `listed` is held, as it was or newer, and nothing that was held `before`
    /// and is gone.
    pub fn has<T: Cached>(&self, before: &Versions<T>, listed: &Versions<T>) -> bool {
        self.write(|tables| {
            let held = &T::table(tables).objects;
            let is_old = |(id, (uid, version)): (&T::Id, &(SmolStr, SmolStr))| match held.get(id) {
                Some(held) => held.version().0 != *uid || is_older(held.version(), (uid, version)),
                None => true,
            };
            let gone = before.iter().filter(|(id, _)| !listed.contains_key(id));
            let mut remain = gone.filter(|(id, (uid, version))| held.get(id).is_some_and(|held| held.version() == (uid, version)));
            !listed.iter().any(is_old) && remain.next().is_none()
        })
    }

    /// Removes what a fresh list of this kind, in `namespace` or in all, no longer has.
    pub fn keep_only<T: Cached>(&self, kind: &str, namespace: Option<&str>, listed: &HashSet<T::Id>) -> Vec<Key> {
        let gone: Vec<T::Id> = self.write(|tables| {
            let ids = T::table(tables).objects.keys();
            ids.filter(|id| id.is_in(kind, namespace) && !listed.contains(id)).cloned().collect()
        });
        gone.iter().flat_map(|id| self.remove::<T>(id)).collect()
    }

    /// Every policy of `namespace`, or of all, and every policy name that something governed remembers.
    pub fn policies_in(&self, namespace: Option<&str>) -> HashSet<Key> {
        self.read(|tables| {
            let remembered = tables.workloads.found_by.keys().chain(tables.config_maps.found_by.keys());
            let all = tables.policies.objects.keys().chain(remembered);
            all.filter(|key| key.is_in(api::KIND, namespace)).cloned().collect()
        })
    }
}

#[cfg(test)]
mod tests;
