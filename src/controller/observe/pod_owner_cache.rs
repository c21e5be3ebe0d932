//! Who makes pods, as long as it counts.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use smol_str::SmolStr;
use tokio::time::Instant;

use crate::controller::decode::maker::{KnownBy, Maker, Owner};
use crate::controller::expiring::Expiring;
use crate::model::Workload;
use crate::policy::Kind;

/// How long it counts that the workload is the owner: it stays that until somebody takes the label from the
/// maker.
pub const FRESH: Duration = Duration::from_secs(3_600);

/// How long it counts that a maker is another's, or is not there: the workload may take it over.
pub const SOON: Duration = Duration::from_secs(30);

/// Some of each of ten thousand workloads. Pods name as many as their writers like: what is forgotten is read
/// again.
pub const HELD_AT_MOST: usize = 32_768;

/// Cache of makers of pods.
#[derive(Debug, Default)]
pub struct PodOwners(Mutex<Expiring<Name, Entry, HELD_AT_MOST>>);

/// Key of a maker, all three parts: pods say each of them as they like.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    pub kind: &'static str,
    /// Uid of the maker, or of the workload that the revision belongs to.
    pub uid: SmolStr,
    pub name: SmolStr,
}

#[derive(Debug)]
pub struct Entry {
    maker: Arc<Maker>,
    read: Instant,
}

impl PodOwners {
    fn all(&self) -> MutexGuard<'_, Expiring<Name, Entry, HELD_AT_MOST>> {
        self.0.lock()
    }

    pub fn recall(&self, key: &Name, workload: &Workload) -> Option<Arc<Maker>> {
        let all = self.all();
        let (entry, _) = all.get(key, Instant::now())?;
        let fresh = if entry.maker.is_of(workload) { FRESH } else { SOON };
        (entry.read.elapsed() < fresh).then(|| entry.maker.clone())
    }

    pub fn keep(&self, key: Name, maker: Maker) -> Arc<Maker> {
        let (maker, now) = (Arc::new(maker), Instant::now());
        self.all().insert(key, Entry { maker: maker.clone(), read: now }, now + FRESH, now);
        maker
    }
}

impl Maker {
    pub fn is_of(&self, workload: &Workload) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.uid == workload.uid)
    }

    /// What the name says of a maker that may not be read: a Deployment calls its ReplicaSets by its own name
    /// and a hash. Of the template it says nothing.
    pub fn by_name(name: &str, workload: &Workload) -> Self {
        let hash = name.strip_prefix(&*workload.key.name).and_then(|rest| rest.strip_prefix('-'));
        let is_hash = |hash: &&str| !hash.is_empty() && !hash.contains('-');
        let owner = hash.filter(is_hash).filter(|_| workload.kind == Kind::Deployment).map(|_| Owner {
            kind: workload.kind.to_string().into(),
            name: workload.key.name.clone(),
            uid: workload.uid.clone(),
        });
        Self { owner, known_by: KnownBy::Name, template: None }
    }
}
