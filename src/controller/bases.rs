//! What a policy is laid on: the configuration files of its targets, read from config maps, and the
//! version of their servers. Nobody watches either. They are remembered for a while, so that a change of
//! the policy waits for no read.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use kube::Api;
use smol_str::SmolStr;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::view::{Files, PodView, Resource, Seen};
use super::watch::{api, named};
use super::{Context, Error, pods};
use crate::admin;
use crate::api::CONFIG_KEY;
use crate::document::Budget;
use crate::model::{Container, MountedFile, Workload};
use crate::plan::{LeftFile, Observed, beside_ours, left_file, waits_for_version};
use crate::policy::VerificationMode;
use crate::server::kratos::{Layer, Overlay};

/// How long what was read counts, and by how much more at most, so that not all are read at once.
const FRESH: Duration = Duration::from_secs(600);
const JITTER: u64 = 120;
/// The same where a policy is refused for it: less than the time to its next look.
const SOON: Duration = Duration::from_secs(20);
/// More files than any server is given: what there are too many of is not known.
const MOST: usize = 16;
/// How long a pod may take to answer, and how many are asked.
const PATIENCE: Duration = Duration::from_secs(2);
const ASKED: usize = 3;

type Base = Arc<[Layer]>;

/// What was read, by the uid of the workload.
#[derive(Debug)]
pub(super) struct Bases {
    state: Mutex<State>,
    /// One text that others wrote is read at a time: meanwhile it takes many times its size.
    reading: Arc<Semaphore>,
}

impl Default for Bases {
    fn default() -> Self {
        Self { state: Mutex::default(), reading: Arc::new(Semaphore::new(1)) }
    }
}

#[derive(Debug, Default)]
struct State {
    read: HashMap<SmolStr, Entry>,
    /// Most servers have the same: it is held once.
    shared: HashMap<u64, Weak<[Layer]>>,
    versions: HashMap<SmolStr, Said>,
}

#[derive(Debug)]
struct Entry {
    /// Digest of where the files come from.
    files: u64,
    until: Instant,
    base: Base,
}

/// What pods of an image said their version is; none where those that were asked said nothing.
#[derive(Debug)]
struct Said {
    image: SmolStr,
    version: Option<SmolStr>,
    until: Instant,
}

impl Bases {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a text that others wrote where nobody waits for this thread. None where it cannot be read at
    /// all.
    async fn off_runtime<T: Send + 'static>(&self, read: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let turn = self.reading.clone().acquire_owned().await.ok()?;
        let work = move || {
            let read = read();
            drop(turn);
            read
        };
        tokio::task::spawn_blocking(work).await.ok()
    }

    fn recall(&self, workload: &Workload, files: u64) -> Option<(Base, Instant)> {
        let state = self.state();
        let entry = state
            .read
            .get(&workload.uid)
            .filter(|entry| entry.files == files && entry.until > Instant::now())?;
        Some((entry.base.clone(), entry.until))
    }

    fn keep(&self, workload: &Workload, files: u64, base: Vec<Layer>) -> Base {
        let mut state = self.state();
        let now = Instant::now();
        // Seldom enough to cost nothing, often enough to stay within twice what is needed.
        if state.read.len().is_power_of_two() {
            state.read.retain(|_, entry| entry.until > now);
            state.shared.retain(|_, held| held.strong_count() > 0);
        }
        let base = state.share(base);
        let jitter = Duration::from_secs(digest(&workload.uid) % JITTER);
        state
            .read
            .insert(workload.uid.clone(), Entry { files, until: now + FRESH + jitter, base: base.clone() });
        base
    }

    fn version(&self, workload: &Workload, image: &str) -> Option<Option<SmolStr>> {
        let state = self.state();
        let said = state
            .versions
            .get(&workload.uid)
            .filter(|said| *said.image == *image && said.until > Instant::now())?;
        Some(said.version.clone())
    }

    fn keep_version(&self, workload: &Workload, image: &SmolStr, version: Option<SmolStr>) {
        let mut state = self.state();
        let now = Instant::now();
        if state.versions.len().is_power_of_two() {
            state.versions.retain(|_, said| said.until > now);
        }
        let until = now + if version.is_some() { FRESH } else { SOON };
        state.versions.insert(workload.uid.clone(), Said { image: image.clone(), version, until });
    }

    fn hasten(&self, uid: &SmolStr) {
        let mut state = self.state();
        let soon = Instant::now() + SOON;
        if let Some(entry) = state.read.get_mut(uid) {
            entry.until = entry.until.min(soon);
        }
        if let Some(said) = state.versions.get_mut(uid) {
            said.until = said.until.min(soon);
        }
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
        self.shared.insert(digest, Arc::downgrade(&base));
        base
    }
}

fn digest(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Which files a target has of its own: none where it has no container, or where that cannot be told.
fn files<'a>(
    workload: &'a Workload,
    observed: &Observed,
    index: usize,
) -> Option<Vec<&'a Option<MountedFile>>> {
    let ours = observed.policy.as_ref().and_then(|policy| observed.standing.config_map(policy));
    beside_ours(target_container(workload, observed, index)?, ours.as_deref().unwrap_or_default())
}

fn target_container<'a>(workload: &'a Workload, observed: &Observed, index: usize) -> Option<&'a Container> {
    observed.targets[index].container_in(workload).ok()
}

fn origin(files: &[&Option<MountedFile>]) -> u64 {
    digest(
        &files
            .iter()
            .map(|file| file.as_ref().map(|file| (&*file.config_map, &*file.key)))
            .collect::<Vec<_>>(),
    )
}

/// Puts in what is remembered.
pub(super) fn recall(context: &Context, observed: &mut Observed) {
    for index in 0..observed.targets.len() {
        if let Some(Some((base, _))) = remembered(context, observed, index) {
            observed.targets[index].base = Some(base);
        }
    }
}

/// What is remembered of a target; none where nothing is to be remembered, or nothing is.
fn remembered(context: &Context, observed: &Observed, index: usize) -> Option<Option<(Base, Instant)>> {
    let workload = observed.targets[index].workload.as_ref()?;
    let files = files(workload, observed, index)?;
    Some(context.bases.recall(workload, origin(&files)))
}

/// Reads what each target has, whatever is remembered.
pub(super) async fn read(context: &Context, observed: &mut Observed) -> Result<(), Error> {
    let api = api::<Files>(&context.client, Resource::CONFIG_MAPS, Some(&observed.key.namespace));
    for index in 0..observed.targets.len() {
        let Some(workload) = observed.targets[index].workload.clone() else { continue };
        let Some(files) = files(&workload, observed, index) else { continue };
        let mut base = Vec::new();
        let mut budget = Budget::default();
        for file in files.iter().take(MOST) {
            let text = match file {
                Some(file) => text(&api, &file.config_map, &file.key).await?,
                None => None,
            };
            let layer = match text {
                Some(text) => {
                    let read = move || {
                        let layer = Layer::read(&text, &mut budget);
                        (layer, budget)
                    };
                    let read = context.bases.off_runtime(read).await;
                    let layer;
                    (layer, budget) = read.unwrap_or_else(|| (Layer::unread(), Budget::default()));
                    layer
                }
                None => Layer::unread(),
            };
            base.push(layer);
        }
        if files.len() > MOST {
            base.push(Layer::unread());
        }
        observed.targets[index].base = Some(context.bases.keep(&workload, origin(&files), base));
    }
    Ok(())
}

async fn text(api: &Api<Seen<Files>>, config_map: &str, key: &str) -> Result<Option<String>, Error> {
    let found = match named(api, config_map).await {
        Ok(found) => found,
        // What must not be read is not known, and stops nothing.
        Err(kube::Error::Api(status)) if status.is_forbidden() => None,
        Err(error) => return Err(error.into()),
    };
    // Nor is one that cannot be read.
    let files = found.and_then(|seen| seen.value(&Resource::CONFIG_MAPS).ok());
    Ok(files.and_then(|mut files| files.texts.remove(key)))
}

/// Reads what stands in the config map of the policy that the policy did not write, where a server may read
/// it: any of the namespace.
pub(super) async fn read_left_file(context: &Context, observed: &mut Observed) -> Result<(), Error> {
    let Some(name) = left_file(observed) else { return Ok(()) };
    let mounts =
        |workload: &Workload| workload.key.namespace == observed.key.namespace && workload.may_mount(name);
    let is_target = |workload: &Workload| {
        let mut named = observed
            .targets
            .iter()
            .filter(|view| view.workload.as_ref().is_some_and(|own| own.uid == workload.uid));
        named.any(|view| view.is_free_for(&observed.key.name))
    };
    let (read, by_others) = context.cache.read(|tables| {
        let readers = || tables.workloads.all().filter(|workload| mounts(workload));
        (readers().next().is_some(), readers().any(|workload| !is_target(workload)))
    });
    if read {
        let api = api::<Files>(&context.client, Resource::CONFIG_MAPS, Some(&observed.key.namespace));
        let overlay = match text(&api, name, CONFIG_KEY).await? {
            Some(file) => context.bases.off_runtime(move || Overlay::read(&file)).await.flatten(),
            None => None,
        };
        observed.left_file = overlay.map(|overlay| LeftFile { config_map: name.into(), overlay, by_others });
    }
    Ok(())
}

/// Reads where something is not remembered.
pub(super) async fn read_missing(context: &Context, observed: &mut Observed) -> Result<(), Error> {
    if is_remembered(context, observed) { Ok(()) } else { read(context, observed).await }
}

fn is_remembered(context: &Context, observed: &Observed) -> bool {
    (0..observed.targets.len()).all(|index| !matches!(remembered(context, observed, index), Some(None)))
}

/// The same look with everything that is told: what no write waits for is read after them.
pub(super) async fn completed<'a>(
    context: &Context,
    observed: &'a Observed,
) -> Result<Cow<'a, Observed>, Error> {
    let mut complete = Cow::Borrowed(observed);
    if !is_remembered(context, observed) {
        read(context, complete.to_mut()).await?;
    }
    if waits_for_version(&complete) {
        ask_versions_in_time(context, complete.to_mut()).await?;
    }
    Ok(complete)
}

/// How long servers may take to tell their versions, all together.
const ASKING: Duration = Duration::from_secs(5);

/// Asks for versions: those that do not answer hold nobody up.
pub(super) async fn ask_versions_in_time(context: &Context, observed: &mut Observed) -> Result<(), Error> {
    tokio::time::timeout(ASKING, ask_versions(context, observed)).await.unwrap_or(Ok(()))
}

/// Asks pods for the version of each target's server, where it is not remembered.
async fn ask_versions(context: &Context, observed: &mut Observed) -> Result<(), Error> {
    for index in 0..observed.targets.len() {
        let Some(workload) = observed.targets[index].workload.clone() else { continue };
        let Some(container) = target_container(&workload, observed, index) else { continue };
        let version = match context.bases.version(&workload, &container.image) {
            Some(said) => said,
            None if workload.selector.is_none() || observed.verification().mode == VerificationMode::Off => {
                None
            }
            None => match context.asking.room(&workload) {
                Ok(_room) => ask_version(context, observed, &workload, container).await?,
                Err(none) => {
                    observed.unheard.add(&workload, none);
                    None
                }
            },
        };
        observed.targets[index].server_version = version;
    }
    Ok(())
}

/// The first pod that says it, of those whose template names the same image: in the pod itself it may read
/// otherwise.
async fn ask_version(
    context: &Context,
    observed: &Observed,
    workload: &Workload,
    container: &Container,
) -> Result<Option<SmolStr>, Error> {
    let own = pods::of(context, observed, workload).await?.own;
    let port = observed.verification().port;
    let runs = |view: &PodView| {
        view.maker
            .as_ref()
            .and_then(|maker| maker.template.as_ref())
            .is_some_and(|template| template.runs(container))
    };
    let ready = own.iter().filter(|view| view.pod.ready && !view.pod.deleting && runs(view));
    let addresses = ready.filter_map(|view| view.listens(&container.name, &port));
    let addresses: Vec<_> = addresses.take(ASKED).collect();
    let mut version = None;
    for address in &addresses {
        version = admin::version(*address, PATIENCE).await;
        if version.is_some() {
            break;
        }
    }
    // Where nobody could be asked, the first pod that can be is not kept waiting.
    if !addresses.is_empty() {
        context.bases.keep_version(workload, &container.image, version.clone());
    }
    Ok(version)
}

/// What stands in the way of a policy is read anew soon: the correction may be there.
pub(super) fn hasten(context: &Context, observed: &Observed) {
    observed
        .targets
        .iter()
        .filter_map(|view| view.workload.as_ref())
        .for_each(|workload| context.bases.hasten(&workload.uid));
}

/// In which time something that is remembered of the targets grows old.
pub(super) fn grows_old(context: &Context, observed: &Observed) -> Option<Duration> {
    let until = (0..observed.targets.len())
        .filter_map(|index| remembered(context, observed, index)?.map(|(_, until)| until))
        .min();
    Some(until?.saturating_duration_since(Instant::now()))
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
        let (bases, readers) = (Bases::default(), Arc::new(Readers::default()));
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
        let bases = Bases::default();
        assert_eq!(bases.off_runtime(|| -> u8 { panic!("it goes too deep") }).await, None);
        assert_eq!(bases.off_runtime(|| 1_u8).await, Some(1));
    }
}
