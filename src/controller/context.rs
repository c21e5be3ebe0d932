//! What every part of the controller works with.

use std::any::TypeId;
use std::sync::Arc;

use kube::Client;
use parking_lot::RwLock;
use smol_str::SmolStr;

use crate::model::{Key, Millis, Pauses, PolicyObject};
use crate::telemetry::metrics::Metrics;

/// How the operator is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespaces to work in; empty means all.
    pub namespaces: Vec<String>,
    /// Last path elements of images that count as an identity server.
    pub server_images: Arc<[String]>,
    /// The operator's own workload, which is never governed.
    pub own_deployment: Option<Key>,
    /// Name that events carry as their reporter.
    pub instance: Option<String>,
    /// How long a policy is gone before anything is undone.
    pub pauses: Pauses,
}

pub struct Context {
    /// Reads only.
    pub client: Client,
    /// Sends nothing unless this operator leads.
    pub writer: Client,
    pub settings: Settings,
    pub cache: crate::controller::store::Cache,
    pub memory: crate::controller::memory::state::Memory,
    pub env_from: crate::controller::observe::env_from_cache::Known,
    pub probe_cache: crate::controller::probe::answers::ProbeCache,
    pub queue: crate::controller::queue::Queue,
    pub events: crate::controller::report::events::Events,
    pub metrics: Arc<Metrics>,
    pub crd_uid: CrdUid,
    pub bases: crate::controller::observe::base_cache::BaseCache,
    pub guards: crate::controller::guards::known::Known,
    pub makers: crate::controller::observe::pod_owner_cache::PodOwners,
    pub selected: crate::controller::observe::pod_selection_cache::Known,
    /// Namespaces of which everything is known.
    pub opened: crate::controller::watch::namespaces::Namespaces,
    /// Those in which it is this operator's turn, and what the one before wrote last is known.
    pub begun: crate::controller::watch::namespaces::Namespaces,
}

/// The uid of the definition, as far as it is known.
#[derive(Debug, Default)]
pub struct CrdUid(RwLock<Option<SmolStr>>);

impl CrdUid {
    pub fn known(&self) -> Option<SmolStr> {
        self.0.read().clone()
    }

    pub fn learn(&self, uid: SmolStr) {
        *self.0.write() = Some(uid);
    }

    pub fn forget(&self) {
        *self.0.write() = None;
    }
}

impl Context {
    /// Makes a context that knows nothing yet.
    pub fn new(
        client: Client,
        writer: Client,
        settings: Settings,
        queue: crate::controller::queue::Queue,
        events: crate::controller::report::events::Events,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            client,
            writer,
            memory: crate::controller::memory::state::Memory::new(settings.pauses),
            cache: crate::controller::store::Cache::new(settings.server_images.clone()),
            settings,
            env_from: crate::controller::observe::env_from_cache::Known::default(),
            probe_cache: crate::controller::probe::answers::ProbeCache::default(),
            queue,
            events,
            metrics,
            crd_uid: CrdUid::default(),
            bases: crate::controller::observe::base_cache::BaseCache::default(),
            guards: crate::controller::guards::known::Known::default(),
            makers: crate::controller::observe::pod_owner_cache::PodOwners::default(),
            selected: crate::controller::observe::pod_selection_cache::Known::default(),
            opened: crate::controller::watch::namespaces::Namespaces::default(),
            begun: crate::controller::watch::namespaces::Namespaces::default(),
        }
    }

    pub fn now() -> Millis {
        k8s_openapi::jiff::Timestamp::now().as_millisecond()
    }

    /// How many policies there are.
    pub fn policies(&self) -> usize {
        self.cache.read(|tables| tables.policies.len())
    }

    /// A watch begins anew: after the policies' the definition may be another one.
    pub fn restarted<T: 'static>(&self) {
        if TypeId::of::<T>() == TypeId::of::<PolicyObject>() {
            self.crd_uid.forget();
        }
    }
}
