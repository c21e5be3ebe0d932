//! The watches: one task for each kind and namespace, each filling the cache and naming the
//! policies to look at. A watch that fails starts again, with growing pauses, for ever.

pub mod catch_up;
pub mod list;
pub mod namespaces;
pub mod refresh;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use kube::Api;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Config, DefaultBackoff, Event, InitialListStrategy, watcher};
use smol_str::SmolStr;
use tokio::sync::watch as signal;
use tracing::{debug, info, warn};

use crate::controller::context::Context;
use crate::controller::decode::requests::api;
use crate::controller::decode::seen::Seen;
use crate::controller::decode::{Resource, Slim};
use crate::controller::error::words;
use crate::controller::store::Cached;
use crate::controller::store::held::{Held, Id};
use crate::model::{Key, Unreadable};
use crate::policy::Kind;

/// Page of a list on servers without streaming lists: a page is held whole while it is decoded.
const PAGE: u32 = 16;

const SMALLER: u32 = 4;

const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Watches one kind until the process ends.
pub async fn watch<T: Slim + Cached>(
    context: Arc<Context>,
    resource: Resource,
    namespace: Option<SmolStr>,
    label: Option<&str>,
    lists: UnboundedSender<FirstList>,
) {
    let tell = |state| {
        // It fails only when the process ends.
        let _ = lists.unbounded_send(FirstList { namespace: namespace.clone(), kind: resource.kind, state });
    };
    let api: Api<Seen<T>> = api(&context.client, resource, namespace.as_deref());
    let paged = Config { label_selector: label.map(Into::into), page_size: Some(PAGE), ..Config::default() };
    let mut config = Config {
        initial_list_strategy: InitialListStrategy::StreamingList,
        page_size: None,
        ..paged.clone()
    };
    let mut listed = Listing::default();
    let mut pauses = DefaultBackoff::default();
    loop {
        let mut stream = std::pin::pin!(watcher(api.clone(), config.clone()));
        while let Some(event) = stream.next().await {
            let error = match event {
                Ok(event) => {
                    let (begins, is_complete) =
                        (matches!(event, Event::Init), matches!(event, Event::InitDone));
                    let policies = hold(&context, &resource, namespace.as_deref(), &mut listed, event);
                    if is_complete {
                        tell(State::Complete);
                    }
                    if !begins {
                        pauses.reset();
                    }
                    policies.into_iter().for_each(|key| context.queue.now(key));
                    continue;
                }
                // A list follows at once: it is what a pause would keep off.
                Err(error) if is_expired(&error) => continue,
                Err(error) => error,
            };
            if config.initial_list_strategy == InitialListStrategy::StreamingList && refuses_streaming(&error)
            {
                info!(kind = resource.kind, "this API server has no streaming lists: listing in pages");
                config = paged.clone();
                break;
            }
            if is_too_large(&error, config.page_size) {
                let page = config.page_size.unwrap_or(PAGE);
                config.page_size = Some((page / SMALLER).max(1));
                break;
            }
            context.metrics.watch_failed(resource.kind);
            if is_forbidden(&error) {
                tell(State::Forbidden);
            }
            warn!(
                kind = resource.kind,
                namespace = namespace.as_deref(),
                error = words(&error),
                "watch failed; it starts again"
            );
            tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
            // With a list. Meanwhile a backup may have been restored: a watch that goes on from a version
            // that is yet to come brings nothing, and does not say so.
            break;
        }
    }
}

/// Takes in what the watch brings; returns the policies to look at.
fn hold<T: Slim + Cached>(
    context: &Context,
    resource: &Resource,
    namespace: Option<&str>,
    listed: &mut Listing<T::Id>,
    event: Event<Seen<T>>,
) -> Vec<Key> {
    match event {
        Event::Init => {
            *listed = Listing::default();
            context.metrics.lists(resource.kind);
            context.restarted::<T>();
            Vec::new()
        }
        Event::InitApply(seen) => match named_object(context, resource, seen) {
            Some(read) => {
                listed.ids.insert(id_of(&read));
                context.cache.put_listed(read)
            }
            None => {
                listed.is_whole = false;
                Vec::new()
            }
        },
        Event::InitDone => {
            let Listing { ids, is_whole } = std::mem::take(listed);
            debug!(kind = resource.kind, namespace, objects = ids.len(), "list complete");
            // One without a name may be any of those that are missing.
            if is_whole { context.cache.keep_only::<T>(resource.kind, namespace, &ids) } else { Vec::new() }
        }
        Event::Apply(seen) => {
            named_object(context, resource, seen).map(|read| context.cache.put(read)).unwrap_or_default()
        }
        Event::Delete(seen) => named_object(context, resource, seen)
            .map(|read| context.cache.remove::<T>(&id_of(&read)))
            .unwrap_or_default(),
    }
}

/// Progress of a list.
struct Listing<I> {
    ids: HashSet<I>,
    /// Every object had a name.
    is_whole: bool,
}

impl<I> Default for Listing<I> {
    fn default() -> Self {
        Self { ids: HashSet::new(), is_whole: true }
    }
}

/// What was seen, or none of what has no name. Of an object that cannot be read the log tells once.
fn named_object<T: Slim>(
    context: &Context,
    resource: &Resource,
    seen: Seen<T>,
) -> Option<Result<T, Arc<Unreadable>>> {
    let is_nameless = seen.is_nameless();
    let read = seen.value(resource);
    if is_nameless {
        context.metrics.watch_failed(resource.kind);
        if context.memory.tell_once(&format!("nameless {}", resource.kind)) {
            warn!(
                kind = resource.kind,
                "an object has no name that can be read; while it is there, a list takes none of its kind for gone"
            );
        }
        return None;
    }
    if let Err(Unreadable { kind, key, uid, field, .. }) = read.as_ref().map_err(|unreadable| &**unreadable)
        && context.memory.tell_once(&format!("unreadable {kind} {key} {uid} {field}"))
    {
        warn!(kind, object = %key, field = field.as_str(), "it cannot be read: what it holds is not known");
    }
    Some(read)
}

fn id_of<T: Held>(read: &Result<T, Arc<Unreadable>>) -> T::Id {
    match read {
        Ok(object) => object.id(),
        Err(unreadable) => T::Id::of_unreadable(unreadable),
    }
}

fn refuses_streaming(error: &watcher::Error) -> bool {
    let watcher::Error::WatchStartFailed(kube::Error::Api(status)) = error else { return false };
    (status.code == 400 || status.code == 422) && status.message.contains("sendInitialEvents")
}

/// Whether a page was larger than what is read, and can be smaller.
fn is_too_large(error: &watcher::Error, page: Option<u32>) -> bool {
    matches!(error, watcher::Error::InitialListFailed(error) if page != Some(1) && list::is_too_large(error))
}

/// What was known is too old to go on from, after a pause or in the life of every long watch.
fn is_expired(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchError(status) if status.code == 410)
}

fn is_forbidden(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = error else {
        return false;
    };
    matches!(error, kube::Error::Api(status) if status.is_forbidden())
}

/// How many kinds are watched in each namespace: policies, config maps, records and the workloads.
const KINDS: usize = 3 + Kind::ALL.len();

/// News of the first list of one kind in one namespace, or in all.
pub struct FirstList {
    namespace: Option<SmolStr>,
    kind: &'static str,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Complete,
    /// The namespace is gone, and the rights in it with it, or they were never granted.
    Forbidden,
}

pub fn first_lists() -> (UnboundedSender<FirstList>, UnboundedReceiver<FirstList>) {
    unbounded()
}

/// Opens each namespace when its first lists are complete. `ready` becomes true when no namespace
/// is on its way any more and one at least is open: one that is gone must not stop the others.
pub async fn open(
    context: Arc<Context>,
    namespaces: Vec<Option<SmolStr>>,
    mut told: UnboundedReceiver<FirstList>,
    ready: signal::Sender<bool>,
) {
    let mut lists: HashMap<_, HashMap<_, _>> = HashMap::new();
    let complete =
        |kinds: &HashMap<_, _>| kinds.values().filter(|state| **state == State::Complete).count() == KINDS;
    while let Some(FirstList { namespace, kind, state }) = told.next().await {
        let kinds = lists.entry(namespace.clone()).or_default();
        kinds
            .entry(kind)
            .and_modify(|known| *known = if *known == State::Complete { *known } else { state })
            .or_insert(state);
        if complete(kinds) && context.opened.insert(namespace.clone()) {
            let policies = context.cache.policies_in(namespace.as_deref());
            info!(
                namespace = namespace.as_deref(),
                policies = policies.len(),
                "the first lists are complete"
            );
            policies.into_iter().for_each(|key| context.queue.now(key));
        }
        let is_open = |namespace: &_| lists.get(namespace).is_some_and(&complete);
        let is_forbidden = |namespace: &_| {
            lists.get(namespace).is_some_and(|kinds| kinds.values().any(|state| *state == State::Forbidden))
        };
        if namespaces.iter().any(is_open)
            && namespaces.iter().all(|namespace| is_open(namespace) || is_forbidden(namespace))
        {
            ready.send_replace(true);
        }
    }
}
