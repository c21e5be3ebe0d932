//! What was read of servers' own files, as long as it counts.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use smol_str::SmolStr;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::controller::expiring::Expiring;
use crate::model::Workload;
use crate::server::kratos::Layer;

/// How long what was read counts, and by how much more at most, so that not all are read at once.
pub const FRESH: Duration = Duration::from_secs(600);

pub const JITTER: u64 = 120;

/// How long files that a policy is refused for are good for: less than the time to its next pass.
pub const SOON: Duration = Duration::from_secs(20);

/// More files than any server is given: what there are too many of is not known.
pub const MOST: usize = 16;

pub type Base = Arc<[Layer]>;

/// Cache of servers' own files, by the uid of the workload.
#[derive(Debug)]
pub struct BaseCache {
    state: Mutex<State>,
    /// Permit to read a text that others wrote, one at a time: meanwhile it takes many times its size.
    reading: Arc<Semaphore>,
}

impl Default for BaseCache {
    fn default() -> Self {
        Self { state: Mutex::default(), reading: Arc::new(Semaphore::new(1)) }
    }
}

#[derive(Debug, Default)]
pub struct State {
    read: Expiring<SmolStr, Entry>,
    /// Most servers have the same: it is held once.
    shared: HashMap<u64, Weak<[Layer]>>,
    versions: Expiring<SmolStr, VersionReply>,
}

#[derive(Debug)]
pub struct Entry {
    /// Digest of where the files come from.
    files: u64,
    base: Base,
}

/// What pods of an image said their version is; none where those that were asked said nothing.
#[derive(Debug)]
pub struct VersionReply {
    image: SmolStr,
    version: Option<SmolStr>,
}

impl BaseCache {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Reads a text that others wrote where nobody waits for this thread. None where it cannot be read at
    /// all.
    pub async fn off_runtime<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let turn = self.reading.clone().acquire_owned().await.ok()?;
        let work = move || {
            let read = read();
            drop(turn);
            read
        };
        tokio::task::spawn_blocking(work).await.ok()
    }

    pub fn recall(&self, workload: &Workload, files: u64) -> Option<(Base, Instant)> {
        let state = self.state();
        let (entry, until) = state.read.get(&workload.uid, Instant::now())?;
        (entry.files == files).then(|| (entry.base.clone(), until))
    }

    pub fn keep(&self, workload: &Workload, files: u64, base: Vec<Layer>) -> Base {
        let mut state = self.state();
        let now = Instant::now();
        let base = state.share(base);
        let until = now + FRESH + Duration::from_secs(digest(&workload.uid) % JITTER);
        state.read.insert(workload.uid.clone(), Entry { files, base: base.clone() }, until, now);
        base
    }

    pub fn version(&self, workload: &Workload, image: &str) -> Option<Option<SmolStr>> {
        let state = self.state();
        let (said, _) = state.versions.get(&workload.uid, Instant::now())?;
        (*said.image == *image).then(|| said.version.clone())
    }

    pub fn keep_version(&self, workload: &Workload, image: &SmolStr, version: Option<SmolStr>) {
        let now = Instant::now();
        let until = now + if version.is_some() { FRESH } else { SOON };
        let said = VersionReply { image: image.clone(), version };
        self.state().versions.insert(workload.uid.clone(), said, until, now);
    }

    pub fn expire_soon(&self, uid: &SmolStr) {
        let mut state = self.state();
        let soon = Instant::now() + SOON;
        state.read.end_by(uid, soon);
        state.versions.end_by(uid, soon);
    }
}

impl State {
    fn share(&mut self, base: Vec<Layer>) -> Base {
        let text: Vec<_> = base.iter().map(Layer::canonical).collect();
        let digest = digest(&text);
        if let Some(held) = self.shared.get(&digest).and_then(Weak::upgrade).filter(|held| **held == *base) {
            return held;
        }
        let base: Base = base.into();
        // As many are held as workloads have different ones.
        self.shared.retain(|_, held| held.strong_count() > 0);
        self.shared.insert(digest, Arc::downgrade(&base));
        base
    }
}

pub fn digest(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    /// Who reads, and how many read at once at most.
    #[derive(Default)]
    struct Readers {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    impl Readers {
        #[allow(
            clippy::disallowed_methods,
            reason = "it stands for a text that takes long, and no thread of the runtime reads it"
        )]
        fn read(&self) -> thread::ThreadId {
            self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(50));
            self.now.fetch_sub(1, Ordering::SeqCst);
            thread::current().id()
        }
    }

    /// Also where nobody waits for a text any more: it is read to its end all the same.
    #[tokio::test]
    async fn what_others_wrote_is_read_off_the_runtime_and_one_at_a_time() {
        let (bases, readers) = (BaseCache::default(), Arc::new(Readers::default()));
        let read = || {
            let readers = readers.clone();
            bases.off_runtime(move || readers.read())
        };
        let given_up = tokio::time::timeout(Duration::from_millis(10), read()).await;
        assert!(given_up.is_err(), "whoever waits can do something else meanwhile");
        let (first, second, third) = tokio::join!(read(), read(), read());
        for reader in [first, second, third] {
            assert!(
                reader.is_some_and(|reader| reader != thread::current().id()),
                "the only thread of the runtime read it"
            );
        }
        assert_eq!(readers.most.load(Ordering::SeqCst), 1, "so many were read at once");
    }

    /// Its turn ends with it.
    #[tokio::test]
    async fn a_text_that_cannot_be_read_at_all_keeps_no_other_waiting() {
        let bases = BaseCache::default();
        assert_eq!(bases.off_runtime(|| -> u8 { panic!("it goes too deep") }).await, None);
        assert_eq!(bases.off_runtime(|| 1_u8).await, Some(1));
    }
}
