//! The begin of the work: at once where this operator is alone, else when it is elected.
//!
//! What the leader before wrote last may not have reached the watches of this process, and each
//! watch is late by its own measure: a workload that is known as it is beside a policy that is
//! known as it was would be written back, and rolled twice. So everything but the workloads is
//! listed first, and the watches are waited for. Workloads are written under the version that is
//! known, and need no more.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use kube::Api;
use kube::api::ListParams;
use smol_str::SmolStr;
use tokio::sync::watch as signal;
use tracing::{debug, info, warn};

use super::cache::{Cached, Held};
use super::view::config_map::ConfigMap;
use super::view::revision::Revision;
use super::view::{Resource, Seen, Slim};
use super::watch::api;
use super::{Context, words};
use crate::api;
use crate::plan::PolicyObject;

/// A page is held whole while it is decoded.
const PAGE: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);
/// At the cache, before another list is asked for.
const LOOKS: u32 = 20;

/// Whose turn it is.
pub(super) async fn begin(context: Arc<Context>, namespaces: Vec<Option<SmolStr>>, mut leading: signal::Receiver<bool>) {
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
    let label = Some(api::POLICY_LABEL);
    tokio::join!(
        watched::<PolicyObject>(context, Resource::POLICIES, namespace, None),
        watched::<ConfigMap>(context, Resource::CONFIG_MAPS, namespace, label),
        watched::<Revision>(context, Resource::REVISIONS, namespace, label),
    );
}

/// Waits until the watch has brought all that a list of now has, or there is nothing to be had: then
/// nothing is worked on there either.
async fn watched<T: Slim + Cached>(context: &Context, resource: Resource, namespace: Option<&str>, label: Option<&str>) {
    let api = api::<T>(&context.client, resource, namespace);
    loop {
        let before = context.cache.versions::<T>(resource.kind, namespace);
        match list(&api, resource, label).await {
            Ok(listed) => {
                for _ in 0..LOOKS {
                    if context.cache.has::<T>(&before, &listed) {
                        return;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                // What went meanwhile will never come: a later list does not have it.
                debug!(kind = resource.kind, namespace, "the watch is behind");
            }
            Err(kube::Error::Api(status)) if status.is_forbidden() || status.is_not_found() => return,
            Err(error) => {
                warn!(kind = resource.kind, namespace, error = words(&error), "could not be listed; it is tried again");
                tokio::time::sleep(PAUSE * LOOKS).await;
            }
        }
    }
}

async fn list<T: Slim + Cached>(api: &Api<Seen<T>>, resource: Resource, label: Option<&str>) -> kube::Result<Versions<T>> {
    let mut listed = HashMap::new();
    let mut params = ListParams { label_selector: label.map(Into::into), limit: Some(PAGE), ..ListParams::default() };
    loop {
        let page = api.list(&params).await?;
        listed.extend(page.items.into_iter().map(|seen| versioned(&seen.value(&resource))));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(listed),
        }
    }
}

/// Ids of objects, each with the uid and the version in which it was seen.
pub(super) type Versions<T> = HashMap<<T as Held>::Id, (SmolStr, SmolStr)>;

pub(super) fn versioned<T: Held>(object: &T) -> (T::Id, (SmolStr, SmolStr)) {
    let (uid, version) = object.version();
    (object.id(), (uid.into(), version.into()))
}
