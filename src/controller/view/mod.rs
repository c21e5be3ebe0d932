//! Objects as the watches decode them: straight into the slim values of `plan`. What is dropped
//! here is never held, which is what keeps ten thousand workloads in a few dozen megabytes.

pub(super) mod config_map;
mod deployment;
mod fields;
mod metadata;
mod pod;
mod policy;
pub(super) mod revision;

use std::borrow::Cow;
use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

pub(super) use pod::PodView;
pub(super) use policy::status_digest;

/// A kind that is held as a slim value.
pub(super) trait Slim: Sized + Clone + Debug + Send + Sync + 'static {
    const GROUP: &'static str;
    const VERSION: &'static str;
    const KIND: &'static str;
    const PLURAL: &'static str;
    type Raw: DeserializeOwned;

    /// The value, and the identity that the client library needs.
    fn from_raw(raw: Self::Raw) -> (ObjectMeta, Self);
}

/// A slim value as an object of its kind.
#[derive(Clone, Debug)]
pub(super) struct Seen<T> {
    metadata: ObjectMeta,
    pub(super) value: T,
}

impl<'de, T: Slim> Deserialize<'de> for Seen<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (metadata, value) = T::from_raw(T::Raw::deserialize(deserializer)?);
        Ok(Self { metadata, value })
    }
}

impl<T: Slim> Resource for Seen<T> {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        T::KIND.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        T::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        T::VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        T::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
