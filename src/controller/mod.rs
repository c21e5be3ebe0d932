//! The operator at work: what is watched, which policy is looked at when, and every read and
//! write. Decisions are `plan`'s.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "the shell: clock, client and log enter here"
)]

mod apply;
mod ask;
mod bases;
mod begin;
mod cache;
mod census;
mod claimed;
mod env_from;
mod events;
mod examine;
mod foresee;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod guards;
mod list;
mod makers;
mod memory;
mod note;
mod observe;
mod pods;
mod queue;
mod reconcile;
mod refresh;
mod rooms;
mod scrape;
mod selected;
mod tell;
mod view;
mod watch;

use std::any::TypeId;
use std::future::Future;
use std::sync::{Arc, RwLock};

use kube::Client;
use smol_str::SmolStr;
use tokio::sync::watch as signal;
use tokio::task::JoinSet;
use view::Resource;
use view::config_map::ConfigMap;
use view::revision::Revision;

use crate::api;
use crate::model::{Key, Millis, Pauses, PolicyObject, Workload, bounded};
use crate::policy::Kind;
use crate::telemetry::metrics::Metrics;

pub use foresee::{Effect, Foreseen, Recorded, foresee, records};
pub use guards::Probe;

/// How the API server is asked.
pub struct Clients {
    /// It need not be able to write.
    pub reads: Client,
    /// For everything that is written.
    pub writes: Client,
    /// By it is found out whether this operator is confined; none where it has no Lease.
    pub probe: Option<Probe>,
}

/// How the operator is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespaces to work in; empty means all.
    pub namespaces: Vec<String>,
    /// Last path elements of images that count as an identity server.
    pub server_images: Arc<[String]>,
    /// The operator's own workload, which is never governed.
    pub itself: Option<Key>,
    /// Name that events carry as their reporter.
    pub instance: Option<String>,
    /// How long a policy is gone before anything is undone.
    pub pauses: Pauses,
}

/// An error of the world: it backs off and is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Api(#[from] kube::Error),
    #[error("what is to be remembered of the policy is longer than what is read back")]
    TooLong,
    #[error("it changed meanwhile")]
    Stale,
    #[error("the cluster refused a write; the event before this line says why")]
    Refused,
    #[error("the API server did not answer in time")]
    Deadline,
    #[error("the MfaPolicy definition is not there; install crds/mfapolicies.yaml")]
    NotServed,
    #[error("a task failed: {0}")]
    Panic(#[from] tokio::task::JoinError),
}

impl Error {
    /// One word, for counting.
    fn kind(&self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Api(kube::Error::Api(status)) => match status.code {
                401 | 403 => "forbidden",
                400..=499 => "rejected",
                _ => "server",
            },
            Self::Api(kube::Error::Service(_) | kube::Error::HyperError(_)) => "unreachable",
            Self::Stale | Self::TooLong | Self::Refused | Self::Api(_) | Self::NotServed | Self::Panic(_) => {
                "other"
            }
        }
    }
}

struct Context {
    /// Reads only.
    client: Client,
    /// Sends nothing unless this operator leads.
    writer: Client,
    settings: Settings,
    cache: cache::Cache,
    memory: memory::Memory,
    env_from: env_from::Known,
    asking: ask::Asking,
    queue: queue::Queue,
    events: events::Events,
    metrics: Arc<Metrics>,
    crd_uid: CrdUid,
    bases: bases::Bases,
    guards: guards::Known,
    makers: makers::Makers,
    selected: selected::Known,
    /// Namespaces of which everything is known.
    opened: watch::Namespaces,
    /// Those in which it is this operator's turn, and what the one before wrote last is known.
    begun: watch::Namespaces,
}

/// An error for the log: the cluster's words in it may be another's.
fn words(error: &impl std::fmt::Display) -> String {
    bounded(&error.to_string())
}

/// The uid of the definition, as far as it is known.
#[derive(Debug, Default)]
struct CrdUid(RwLock<Option<SmolStr>>);

impl CrdUid {
    fn known(&self) -> Option<SmolStr> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn learn(&self, uid: SmolStr) {
        *self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(uid);
    }

    fn forget(&self) {
        *self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }
}

impl Context {
    /// That knows nothing yet.
    fn new(
        client: Client,
        writer: Client,
        settings: Settings,
        queue: queue::Queue,
        events: events::Events,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            client,
            writer,
            memory: memory::Memory::new(settings.pauses),
            cache: cache::Cache::new(settings.server_images.clone()),
            settings,
            env_from: env_from::Known::default(),
            asking: ask::Asking::default(),
            queue,
            events,
            metrics,
            crd_uid: CrdUid::default(),
            bases: bases::Bases::default(),
            guards: guards::Known::default(),
            makers: makers::Makers::default(),
            selected: selected::Known::default(),
            opened: watch::Namespaces::default(),
            begun: watch::Namespaces::default(),
        }
    }

    fn now() -> Millis {
        k8s_openapi::jiff::Timestamp::now().as_millisecond()
    }

    /// How many policies there are.
    fn policies(&self) -> usize {
        self.cache.read(|tables| tables.policies.len())
    }

    /// A watch begins anew: after the policies' the definition may be another one.
    fn restarted<T: 'static>(&self) {
        if TypeId::of::<T>() == TypeId::of::<PolicyObject>() {
            self.crd_uid.forget();
        }
    }
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
    let (events, telling) = events::events();
    let Clients { reads, writes, probe } = clients;
    let context = Arc::new(Context::new(reads, writes.clone(), settings.clone(), queue, events, metrics));
    scrape::add(&context);
    let mut background = JoinSet::new();
    background.spawn(events::tell(writes, telling, settings.instance.clone()));
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
        for kind in Kind::ALL {
            tasks.spawn(watch::watch::<Workload>(
                context(),
                Resource::of(kind),
                namespace(),
                None,
                lists.clone(),
            ));
        }
    }
    tasks.spawn(begin::begin(context.clone(), namespaces.clone(), leading));
    tasks.spawn(watch::open(context.clone(), namespaces, told, ready));
}
