//! The watches: one task for each kind and namespace, each filling the cache and naming the
//! policies to look at. A watch that fails starts again, with growing pauses, for ever.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Config, DefaultBackoff, Event, InitialListStrategy, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::Context;
use super::cache::Cached;
use super::view::{Seen, Slim};

/// Page of a list on servers without streaming lists: a page is held whole while it is decoded.
const PAGE: u32 = 50;

/// Watches one kind until the process ends.
pub(super) async fn watch<T: Slim + Cached>(
    context: Arc<Context>,
    namespace: Option<String>,
    label: Option<&str>,
    synced: watch::Sender<bool>,
) {
    let api: Api<Seen<T>> = api(&context.client, namespace.as_deref());
    let config = Config { label_selector: label.map(Into::into), ..Config::default() };
    let streaming = Config { initial_list_strategy: InitialListStrategy::StreamingList, ..config.clone() };
    let paged = Config { page_size: Some(PAGE), ..config };
    let mut listed = HashSet::new();
    for config in [streaming, paged] {
        let stream = watcher(api.clone(), config.clone()).backoff(DefaultBackoff::default());
        let mut stream = std::pin::pin!(stream);
        while let Some(event) = stream.next().await {
            let policies = match event {
                Ok(Event::Init) => {
                    listed.clear();
                    context.restarted::<T>();
                    Vec::new()
                }
                Ok(Event::InitApply(seen)) => {
                    listed.insert(seen.value.key().clone());
                    context.cache.put(seen.value)
                }
                Ok(Event::InitDone) => {
                    debug!(kind = T::KIND, namespace, objects = listed.len(), "list complete");
                    let gone = context.cache.keep_only::<T>(namespace.as_deref(), &listed);
                    listed = HashSet::new();
                    synced.send_replace(true);
                    gone
                }
                Ok(Event::Apply(seen)) => context.cache.put(seen.value),
                Ok(Event::Delete(seen)) => context.cache.remove::<T>(seen.value.key()),
                Err(error) if config.initial_list_strategy == InitialListStrategy::StreamingList && refuses_streaming(&error) => {
                    info!(kind = T::KIND, "this API server has no streaming lists: listing in pages");
                    break;
                }
                Err(error) => {
                    warn!(kind = T::KIND, namespace, %error, "watch failed; it starts again");
                    Vec::new()
                }
            };
            for key in policies {
                context.queue.now(key);
            }
        }
    }
}

pub(super) fn api<T: Slim>(client: &Client, namespace: Option<&str>) -> Api<Seen<T>> {
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn refuses_streaming(error: &watcher::Error) -> bool {
    let watcher::Error::WatchStartFailed(kube::Error::Api(status)) = error else { return false };
    (status.code == 400 || status.code == 422) && status.message.contains("sendInitialEvents")
}

/// Resolves when each of the watches has delivered its first list.
pub(super) async fn all_synced(mut watches: Vec<watch::Receiver<bool>>) {
    for synced in &mut watches {
        while !*synced.borrow_and_update() {
            if synced.changed().await.is_err() {
                // The process is ending.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
