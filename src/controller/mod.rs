//! The operator at work: what is watched, which policy is looked at when, and every read and
//! write. Decisions are `plan`'s.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "the shell: clock, client and log enter here"
)]

mod apply;
mod context;
mod decode;
mod error;
mod expiring;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod guards;
mod memory;
mod metrics;
mod observe;
mod preview;
mod probe;
mod queue;
mod reconcile;
mod report;
mod store;
mod watch;

pub use context::Settings;
pub use error::Error;
pub use guards::Probe;
pub use preview::{Effect, Preview, Recorded, foresee, records};

use std::future::Future;
use std::sync::Arc;

use kube::Client;
use smol_str::SmolStr;
use tokio::sync::watch as signal;
use tokio::task::JoinSet;

use crate::api;
use crate::controller::context::Context;
use crate::controller::decode::Resource;
use crate::controller::decode::config_map::ConfigMap;
use crate::controller::decode::revision::Revision;
use crate::model::{PolicyObject, Workload};
use crate::policy::Kind;
use crate::telemetry::metrics::Metrics;

/// How the API server is asked.
pub struct Clients {
    /// It need not be able to write.
    pub reads: Client,
    /// For everything that is written.
    pub writes: Client,
    /// By it is found out whether this operator is confined; none where it has no Lease.
    pub probe: Option<Probe>,
}

/// Runs until `stop` resolves. Work in a namespace begins when its first lists are complete and
/// `leading` is true. `ready` becomes true when the lists are complete wherever the API server lets
/// us read.
///
/// # Errors
/// When a task panics: the process must end, for what it was doing is unknown.
pub async fn run(
    clients: Clients,
    settings: Settings,
    metrics: Arc<Metrics>,
    ready: signal::Sender<bool>,
    leading: signal::Receiver<bool>,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let (queue, requests) = queue::queue();
    let (events, telling) = report::events::events();
    let Clients { reads, writes, probe } = clients;
    let context = Arc::new(Context::new(reads, writes.clone(), settings.clone(), queue, events, metrics));
    metrics::add(&context);
    let mut background = JoinSet::new();
    background.spawn(report::events::tell(writes, telling, settings.instance.clone()));
    background.spawn(guards::watch(context.clone(), probe));
    start_watches(&context, ready, leading, &mut background);
    let looking = context.clone();
    let work = queue::work(requests, stop, move |key| reconcile::reconcile(looking.clone(), key));
    tokio::select! {
        ended = work => Ok(ended?),
        Some(ended) = background.join_next() => Ok(ended?),
    }
}

fn start_watches(
    context: &Arc<Context>,
    ready: signal::Sender<bool>,
    leading: signal::Receiver<bool>,
    tasks: &mut JoinSet<()>,
) {
    let namespaces: Vec<Option<SmolStr>> = match context.settings.namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().map(|namespace| Some(namespace.as_str().into())).collect(),
    };
    let (lists, told) = watch::first_lists();
    for namespace in &namespaces {
        let (context, namespace, label) = (|| context.clone(), || namespace.clone(), Some(api::POLICY_LABEL));
        tasks.spawn(watch::watch::<PolicyObject>(
            context(),
            Resource::POLICIES,
            namespace(),
            None,
            lists.clone(),
        ));
        tasks.spawn(watch::watch::<ConfigMap>(
            context(),
            Resource::CONFIG_MAPS,
            namespace(),
            label,
            lists.clone(),
        ));
        tasks.spawn(watch::watch::<Revision>(
            context(),
            Resource::REVISIONS,
            namespace(),
            label,
            lists.clone(),
        ));
        for &kind in Kind::ALL {
            tasks.spawn(watch::watch::<Workload>(
                context(),
                Resource::of(kind),
                namespace(),
                None,
                lists.clone(),
            ));
        }
    }
    tasks.spawn(watch::catch_up::begin(context.clone(), namespaces.clone(), leading));
    tasks.spawn(watch::open(context.clone(), namespaces, told, ready));
}
