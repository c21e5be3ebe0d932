//! Objects of one kind, each found by its id and by what it refers to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use smol_str::SmolStr;

use crate::controller::store::held::{Held, Id, Version};
use crate::model::Unreadable;

/// Entry of a table: an object, or that there is one that cannot be read.
#[derive(Clone, Debug)]
pub enum Entry<T> {
    Object(Arc<T>),
    Unreadable(Arc<Unreadable>),
}

impl<T: Held> Entry<T> {
    pub fn of(read: Result<T, Arc<Unreadable>>) -> Self {
        match read {
            Ok(object) => Self::Object(Arc::new(object)),
            Err(unreadable) => Self::Unreadable(unreadable),
        }
    }

    pub fn id(&self) -> T::Id {
        match self {
            Self::Object(object) => object.id(),
            Self::Unreadable(unreadable) => T::Id::of_unreadable(unreadable),
        }
    }

    pub fn refers_to(&self) -> Vec<T::By> {
        match self {
            Self::Object(object) => object.refers_to(),
            Self::Unreadable(unreadable) => T::unreadable_refers_to(unreadable),
        }
    }

    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Object(own), Self::Object(other)) => own.same(other),
            (Self::Unreadable(own), Self::Unreadable(other)) => {
                (&own.uid, &own.label, &own.field) == (&other.uid, &other.label, &other.field)
            }
            _ => false,
        }
    }

    pub fn version(&self) -> Version<'_> {
        match self {
            Self::Object(object) => object.version(),
            Self::Unreadable(unreadable) => (&unreadable.uid, &unreadable.version),
        }
    }

    fn object(&self) -> Option<&Arc<T>> {
        match self {
            Self::Object(object) => Some(object),
            Self::Unreadable(_) => None,
        }
    }

    fn unreadable(&self) -> Option<&Arc<Unreadable>> {
        match self {
            Self::Object(_) => None,
            Self::Unreadable(unreadable) => Some(unreadable),
        }
    }
}

/// Objects of one type.
#[derive(Debug)]
pub struct Table<T: Held> {
    pub entries: HashMap<T::Id, Entry<T>>,
    pub found_by: HashMap<T::By, Vec<T::Id>>,
    /// Those that cannot be read: as a rule none, and asked for at every look.
    unreadable: HashSet<T::Id>,
}

impl<T: Held> Default for Table<T> {
    fn default() -> Self {
        Self { entries: HashMap::new(), found_by: HashMap::new(), unreadable: HashSet::new() }
    }
}

impl<T: Held> Table<T> {
    /// None where it is not there, and where it cannot be read.
    pub fn get(&self, id: &T::Id) -> Option<Arc<T>> {
        self.entries.get(id)?.object().cloned()
    }

    /// Whether it is there, and be it that it cannot be read.
    pub fn is_there(&self, id: &T::Id) -> bool {
        self.entries.contains_key(id)
    }

    /// What is there and cannot be read.
    pub fn unreadable(&self, id: &T::Id) -> Option<Arc<Unreadable>> {
        self.entries.get(id)?.unreadable().cloned()
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<T>> {
        self.entries.values().filter_map(Entry::object)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn all_unreadable(&self) -> impl Iterator<Item = (&T::Id, &Arc<Unreadable>)> {
        self.unreadable.iter().filter_map(|id| Some((id, self.entries.get(id)?.unreadable()?)))
    }

    pub fn found_by(&self, by: &T::By) -> Vec<Arc<T>> {
        self.found(by).filter_map(Entry::object).cloned().collect()
    }

    pub fn ids_found_by(&self, by: &T::By) -> Vec<T::Id> {
        self.found_by.get(by).cloned().unwrap_or_default()
    }

    pub fn unreadable_found_by(&self, by: &T::By) -> Vec<Arc<Unreadable>> {
        self.found(by).filter_map(Entry::unreadable).cloned().collect()
    }

    fn found(&self, by: &T::By) -> impl Iterator<Item = &Entry<T>> {
        self.found_by.get(by).into_iter().flatten().filter_map(|id| self.entries.get(id))
    }

    pub fn is_found_by(&self, by: &T::By) -> bool {
        self.found_by.contains_key(by)
    }

    pub fn versioned(&self, id: &T::Id) -> Option<Versioned> {
        self.entries.get(id).map(|entry| versioned(entry.version()))
    }

    /// Holds `new` and returns what the change concerns; none where it concerns nobody.
    pub fn put(&mut self, new: Entry<T>) -> Option<Vec<T::By>> {
        let id = new.id();
        let old = self.entries.get(&id).cloned();
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
        if new.unreadable().is_some() {
            self.unreadable.insert(id.clone());
        } else {
            self.unreadable.remove(&id);
        }
        self.entries.insert(id, new);
        concerned
    }

    pub fn remove(&mut self, id: &T::Id) -> Vec<T::By> {
        self.unreadable.remove(id);
        let Some(old) = self.entries.remove(id) else { return Vec::new() };
        self.unlink(id, &old);
        old.refers_to()
    }

    fn unlink(&mut self, id: &T::Id, old: &Entry<T>) {
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

/// Resource versions of one object are ordered numbers on every server that answers numbers, as long as
/// nobody takes its storage back to a backup.
pub fn is_older((new_uid, new): Version<'_>, (old_uid, old): Version<'_>) -> bool {
    new_uid == old_uid && matches!((new.parse::<u64>(), old.parse::<u64>()), (Ok(new), Ok(old)) if new < old)
}

/// Uid and resource version in which an object was seen.
pub type Versioned = (SmolStr, SmolStr);

/// Ids of objects, each with its version.
pub type Versions<I> = HashMap<I, Versioned>;

pub fn versioned((uid, version): Version<'_>) -> Versioned {
    (uid.into(), version.into())
}
