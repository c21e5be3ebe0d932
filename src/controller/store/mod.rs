//! What the watches know, with the indexes that say which policies an object concerns.

pub mod census;
pub mod held;
pub mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::api;
use crate::controller::decode::config_map::ConfigMap;
use crate::controller::decode::revision::Revision;
use crate::controller::store::census::Census;
use crate::controller::store::held::{Held, Id, Named};
use crate::controller::store::table::{Entry, Table, Versioned, Versions, is_older, versioned};
use crate::model::{Key, PolicyObject, Unreadable, Workload, WorkloadId};

/// All that is known of the cluster.
#[derive(Debug, Default)]
pub struct Tables {
    pub policies: Table<PolicyObject>,
    pub workloads: Table<Workload>,
    pub config_maps: Table<ConfigMap>,
    pub revisions: Table<Revision>,
    pub census: Census,
}

impl Tables {
    /// How many objects of each kind concern a policy and cannot be read.
    pub fn unreadable(&self) -> BTreeMap<&'static str, i64> {
        let concerns = |(id, workload): &(&WorkloadId, &Arc<Unreadable>)| {
            workload.label.is_some() || self.policies.is_found_by(&Named::Workload((*id).clone()))
        };
        let workloads = self.workloads.all_unreadable().filter(concerns).map(|(_, found)| found);
        let others = self
            .config_maps
            .all_unreadable()
            .chain(self.revisions.all_unreadable())
            .chain(self.policies.all_unreadable());
        let mut counts = BTreeMap::new();
        workloads
            .chain(others.map(|(_, found)| found))
            .for_each(|found| *counts.entry(found.kind).or_default() += 1);
        counts
    }
}

/// The tables behind a lock.
#[derive(Debug, Default)]
pub struct Cache {
    tables: RwLock<Tables>,
    /// Names of images of identity servers.
    server_images: Arc<[String]>,
}

/// What the cache holds.
pub trait Cached: Held {
    fn table(tables: &Tables) -> &Table<Self>;
    fn table_mut(tables: &mut Tables) -> &mut Table<Self>;
    /// Policies to look at, given what a change of the object with this id concerns.
    fn policies(tables: &Tables, id: &Self::Id, concerned: Vec<Self::By>) -> Vec<Key>;

    /// Without what can matter to no policy where these are the images of servers.
    #[must_use]
    fn of_interest(self, _: &[String]) -> Self {
        self
    }

    /// Counts the change; returns whom it concerns beside them.
    fn count(_: &mut Census, _: Option<&Self>, _: Option<&Self>) -> Option<Key> {
        None
    }
}

impl Cached for PolicyObject {
    fn table(tables: &Tables) -> &Table<Self> {
        &tables.policies
    }

    fn table_mut(tables: &mut Tables) -> &mut Table<Self> {
        &mut tables.policies
    }

    fn policies(tables: &Tables, id: &Key, concerned: Vec<Named>) -> Vec<Key> {
        // Others that name the same may gain or lose it, and what is left of a policy that is gone may have
        // waited for this one.
        let rivals = concerned
            .iter()
            .flat_map(|named| tables.policies.found_by.get(named).into_iter().flatten())
            .cloned();
        let label = |named: &Named| match named {
            Named::Workload(id) => tables.workloads.entries.get(id).map(Entry::refers_to).unwrap_or_default(),
            Named::ConfigMap(_) => Vec::new(),
        };
        rivals.chain(concerned.iter().flat_map(label)).chain([id.clone()]).collect()
    }

    fn count(census: &mut Census, old: Option<&Self>, new: Option<&Self>) -> Option<Key> {
        let speaker = |census: &Census| census.speaker(&old.or(new)?.key.namespace);
        let before = speaker(census);
        census.count_policy(old, new);
        speaker(census).filter(|after| before.as_ref() != Some(after))
    }
}

impl Cached for Workload {
    fn table(tables: &Tables) -> &Table<Self> {
        &tables.workloads
    }

    fn table_mut(tables: &mut Tables) -> &mut Table<Self> {
        &mut tables.workloads
    }

    fn policies(tables: &Tables, id: &WorkloadId, concerned: Vec<Key>) -> Vec<Key> {
        tables
            .policies
            .found_by
            .get(&Named::Workload(id.clone()))
            .into_iter()
            .flatten()
            .cloned()
            .chain(concerned)
            .collect()
    }

    fn of_interest(self, server_images: &[String]) -> Self {
        Self::of_interest(self, server_images)
    }

    fn count(census: &mut Census, old: Option<&Self>, new: Option<&Self>) -> Option<Key> {
        let changes = census.count_workload(old, new);
        census.speaker(&old.or(new)?.key.namespace).filter(|_| changes)
    }
}

impl Cached for ConfigMap {
    fn table(tables: &Tables) -> &Table<Self> {
        &tables.config_maps
    }

    fn table_mut(tables: &mut Tables) -> &mut Table<Self> {
        &mut tables.config_maps
    }

    fn policies(_: &Tables, _: &Key, concerned: Vec<Key>) -> Vec<Key> {
        concerned
    }
}

impl Cached for Revision {
    fn table(tables: &Tables) -> &Table<Self> {
        &tables.revisions
    }

    fn table_mut(tables: &mut Tables) -> &mut Table<Self> {
        &mut tables.revisions
    }

    fn policies(_: &Tables, _: &Key, concerned: Vec<Key>) -> Vec<Key> {
        concerned
    }
}

fn put<T: Cached>(tables: &mut Tables, new: Entry<T>) -> Vec<Key> {
    let id = new.id();
    let old = T::table(tables).get(&id);
    let concerned = T::table_mut(tables).put(new);
    let new = T::table(tables).get(&id);
    let counted = T::count(&mut tables.census, old.as_deref(), new.as_deref());
    concerned
        .map(|concerned| T::policies(tables, &id, concerned))
        .unwrap_or_default()
        .into_iter()
        .chain(counted)
        .collect()
}

fn remove<T: Cached>(tables: &mut Tables, id: &T::Id) -> Vec<Key> {
    let old = T::table(tables).get(id);
    let concerned = T::table_mut(tables).remove(id);
    let counted = T::count(&mut tables.census, old.as_deref(), None);
    T::policies(tables, id, concerned).into_iter().chain(counted).collect()
}

impl Cache {
    pub fn new(server_images: Arc<[String]>) -> Self {
        Self { server_images, ..Self::default() }
    }

    fn entry<T: Cached>(&self, read: Result<T, Arc<Unreadable>>) -> Entry<T> {
        Entry::of(read.map(|object| object.of_interest(&self.server_images)))
    }

    /// Reads several tables at one moment.
    pub fn read<R>(&self, read: impl FnOnce(&Tables) -> R) -> R {
        read(&self.tables.read())
    }

    fn write<R>(&self, write: impl FnOnce(&mut Tables) -> R) -> R {
        write(&mut self.tables.write())
    }

    /// Holds what an event or an answer brings, unless something newer is held; returns the policies to look
    /// at.
    pub fn put<T: Cached>(&self, read: Result<T, Arc<Unreadable>>) -> Vec<Key> {
        let new = self.entry(read);
        self.write(|tables| {
            let held = T::table(tables).entries.get(&new.id());
            if held.is_some_and(|held| is_older(new.version(), held.version())) {
                Vec::new()
            } else {
                put(tables, new)
            }
        })
    }

    /// Holds what a list brings, whatever its version: it says how things are, also where the storage of the
    /// cluster was taken back. Where it was read before an answer of ours, the watch that goes on from it
    /// brings that.
    pub fn put_listed<T: Cached>(&self, read: Result<T, Arc<Unreadable>>) -> Vec<Key> {
        self.write(|tables| put(tables, self.entry(read)))
    }

    /// Holds the answer to a patch in place of what was patched. Where that is gone meanwhile, or
    /// another, the watch has been faster: the answer would bring it back for good.
    pub fn answered<T: Cached>(&self, read: Result<T, Arc<Unreadable>>) -> Vec<Key> {
        let new = self.entry(read);
        self.write(|tables| {
            let held = T::table(tables).entries.get(&new.id()).map(Entry::version);
            let is_newer =
                held.is_some_and(|held| held.0 == new.version().0 && !is_older(new.version(), held));
            if is_newer { put(tables, new) } else { Vec::new() }
        })
    }

    /// Holds what was read of this object, or removes it, if what is held is still what it was `before` that:
    /// else a watch has been faster.
    pub fn refresh<T: Cached>(
        &self,
        id: &T::Id,
        before: &Option<Versioned>,
        read: Option<Result<T, Arc<Unreadable>>>,
    ) -> Vec<Key> {
        self.write(|tables| {
            if T::table(tables).versioned(id) != *before {
                return Vec::new();
            }
            match read {
                Some(read) => put(tables, self.entry(read)),
                None => remove::<T>(tables, id),
            }
        })
    }

    pub fn remove<T: Cached>(&self, id: &T::Id) -> Vec<Key> {
        self.write(|tables| remove::<T>(tables, id))
    }

    /// The version in which this object is held, if it is.
    pub fn version<T: Cached>(&self, id: &T::Id) -> Option<Versioned> {
        self.read(|tables| T::table(tables).versioned(id))
    }

    /// What is held of this kind, in `namespace` or in all, with its versions.
    pub fn versions<T: Cached>(&self, kind: &str, namespace: Option<&str>) -> Versions<T::Id> {
        self.read(|tables| {
            let held = T::table(tables).entries.iter().filter(|(id, _)| id.is_in(kind, namespace));
            held.map(|(id, entry)| (id.clone(), versioned(entry.version()))).collect()
        })
    }

    /// Whether all that was `listed` is held, as it was or newer, and nothing that was held `before`
    /// and is gone.
    pub fn has<T: Cached>(&self, before: &Versions<T::Id>, listed: &Versions<T::Id>) -> bool {
        self.read(|tables| {
            let held = &T::table(tables).entries;
            let is_old = |(id, (uid, version)): (&T::Id, &Versioned)| match held.get(id) {
                Some(held) => held.version().0 != *uid || is_older(held.version(), (uid, version)),
                None => true,
            };
            let gone = before.iter().filter(|(id, _)| !listed.contains_key(id));
            let mut remain = gone.filter(|(id, (uid, version))| {
                held.get(id).is_some_and(|held| held.version() == (uid, version))
            });
            !listed.iter().any(is_old) && remain.next().is_none()
        })
    }

    /// Removes what a fresh list of this kind, in `namespace` or in all, no longer has.
    pub fn keep_only<T: Cached>(
        &self,
        kind: &str,
        namespace: Option<&str>,
        listed: &HashSet<T::Id>,
    ) -> Vec<Key> {
        let gone: Vec<T::Id> = self.read(|tables| {
            let ids = T::table(tables).entries.keys();
            ids.filter(|id| id.is_in(kind, namespace) && !listed.contains(id)).cloned().collect()
        });
        gone.iter().flat_map(|id| self.remove::<T>(id)).collect()
    }

    /// Every policy of `namespace`, or of all, and every policy name that something governed remembers.
    pub fn policies_in(&self, namespace: Option<&str>) -> HashSet<Key> {
        self.read(|tables| {
            let remembered = tables.workloads.found_by.keys().chain(tables.config_maps.found_by.keys());
            let all = tables.policies.entries.keys().chain(remembered);
            all.filter(|key| key.is_in(api::KIND, namespace)).cloned().collect()
        })
    }
}
