//! Whose pods a selector finds, as long as it counts.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use smol_str::SmolStr;
use tokio::time::Instant;

use crate::controller::expiring::Expiring;
use crate::model::{Selected, Workload};

pub fn is_at_rest(workload: &Workload) -> bool {
    workload.replicas == 0
}

/// How long it counts that there are none, as pods are asked anew that proved what they can, and by how much
/// more at most.
pub const FRESH: Duration = Duration::from_secs(600);

pub const JITTER: u64 = 120;

/// How long it counts that pods of others were found, or that it is not known: they may be about to go.
pub const SOON: Duration = Duration::from_secs(30);

/// How long pods may take to be listed where something is to be written.
pub const WHILE_WRITING: Duration = Duration::from_secs(2);

/// Cache of whose pods a selector finds, by the uid of the workload.
#[derive(Debug, Default)]
pub struct Known(Mutex<Expiring<SmolStr, Entry>>);

#[derive(Debug)]
pub struct Entry {
    selected: Selected,
    /// Resource version of the workload when its pods were listed.
    resource_version: SmolStr,
    /// No pod was wanted.
    at_rest: bool,
    /// When somebody has to look again. It counts a little longer.
    until: Instant,
}

impl Known {
    fn all(&self) -> MutexGuard<'_, Expiring<SmolStr, Entry>> {
        self.0.lock()
    }

    /// Returns what was found, as long as it counts.
    pub fn recall(&self, workload: &Workload) -> Selected {
        let all = self.all();
        let entry = all.get(&workload.uid, Instant::now()).map(|(entry, _)| entry);
        let entry = entry.filter(|entry| entry.at_rest == is_at_rest(workload));
        entry.map(|entry| entry.selected.clone()).unwrap_or_default()
    }

    /// Whether somebody has to look again: `alone` where pods are not asked, which brings a list by itself.
    pub fn is_due(&self, workload: &Workload, alone: bool) -> bool {
        let all = self.all();
        let entry = all.get(&workload.uid, Instant::now()).map(|(entry, _)| entry);
        match entry.filter(|entry| entry.at_rest == is_at_rest(workload)) {
            None => true,
            // Whoever takes its place edits it.
            Some(entry) if is_at_rest(workload) && entry.resource_version != workload.resource_version => {
                true
            }
            Some(entry) => Instant::now() >= entry.until && (alone || !entry.selected.is_own()),
        }
    }

    pub fn until(&self, workload: &Workload) -> Option<Instant> {
        Some(self.all().get(&workload.uid, Instant::now())?.0.until)
    }

    /// Forgets what was found for this workload.
    pub fn forget(&self, workload: &Workload) {
        self.all().remove(&workload.uid);
    }

    pub fn keep(&self, workload: &Workload, selected: Selected) {
        let now = Instant::now();
        let mut uid = DefaultHasher::new();
        workload.uid.hash(&mut uid);
        let fresh = FRESH + Duration::from_secs(uid.finish() % JITTER);
        let until = now + if selected.is_own() { fresh } else { SOON };
        let resource_version = workload.resource_version.clone();
        let entry = Entry { selected, resource_version, at_rest: is_at_rest(workload), until };
        self.all().insert(workload.uid.clone(), entry, until + FRESH, now);
    }
}
