//! The begin of the work: at once where this operator is alone, else when it is elected.
//!
//! What the leader before wrote last may not have reached the watches of this process, and each
//! watch is late by its own measure: a workload that is known as it is beside a policy that is
//! known as it was would be written back, and rolled twice. So everything but the workloads is
//! listed first, and the watches are waited for. Workloads are written under the version that is
//! known, and need no more.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use smol_str::SmolStr;
use tokio::sync::watch as signal;
use tracing::{debug, info, warn};

use crate::api;
use crate::controller::context::Context;
use crate::controller::decode::Resource;
use crate::controller::decode::config_map::ConfigMap;
use crate::controller::decode::revision::Revision;
use crate::controller::error::words;
use crate::controller::store::Cached;
use crate::controller::watch::list::{self, Selection};
use crate::model::{Key, PolicyObject};

const PAUSE: Duration = Duration::from_millis(50);

/// At the cache, before another list is asked for.
const LOOKS: u32 = 20;

/// Waits for the lead and for the watches, then requeues every policy of each namespace.
pub async fn begin(
    context: Arc<Context>,
    namespaces: Vec<Option<SmolStr>>,
    mut leading: signal::Receiver<bool>,
) {
    let alone = *leading.borrow();
    if leading.wait_for(|leads| *leads).await.is_err() {
        return; // the process ends
    }
    // One that cannot be listed holds up none but itself.
    join_all(namespaces.iter().map(|namespace| begin_in(&context, namespace, alone))).await;
    // The process ends with its tasks.
    std::future::pending::<()>().await;
}

async fn begin_in(context: &Context, namespace: &Option<SmolStr>, alone: bool) {
    if !alone {
        catch_up(context, namespace.as_deref()).await;
    }
    context.begun.insert(namespace.clone());
    if !context.opened.is(namespace) {
        return;
    }
    let policies = context.cache.policies_in(namespace.as_deref());
    if !alone {
        info!(namespace = namespace.as_deref(), policies = policies.len(), "everything is looked at once");
    }
    policies.into_iter().for_each(|key| context.queue.now(key));
}

async fn catch_up(context: &Context, namespace: Option<&str>) {
    let of = |resource, labels| Selection { resource, namespace, labels };
    tokio::join!(
        watched::<PolicyObject>(context, of(Resource::POLICIES, "")),
        watched::<ConfigMap>(context, of(Resource::CONFIG_MAPS, api::POLICY_LABEL)),
        watched::<Revision>(context, of(Resource::REVISIONS, api::POLICY_LABEL)),
    );
}

/// Waits until the watch has brought all that a list of now has, or there is nothing to be had: then
/// nothing is worked on there either.
async fn watched<T: Cached<Id = Key>>(context: &Context, selection: Selection<'_>) {
    let Selection { resource: Resource { kind, .. }, namespace, .. } = selection;
    loop {
        let before = context.cache.versions::<T>(kind, namespace);
        match list::versions(&context.client, selection).await {
            Ok(listed) => {
                for _ in 0..LOOKS {
                    if context.cache.has::<T>(&before, &listed) {
                        return;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                // What went meanwhile will never come: a later list does not have it.
                debug!(kind, namespace, "the watch is behind");
            }
            Err(kube::Error::Api(status)) if status.is_forbidden() || status.is_not_found() => return,
            Err(error) => {
                warn!(kind, namespace, error = words(&error), "could not be listed; it is tried again");
                tokio::time::sleep(PAUSE * LOOKS).await;
            }
        }
    }
}
