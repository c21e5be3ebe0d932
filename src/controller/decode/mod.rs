//! Objects as the watches decode them: straight into the slim values of `plan`. What is dropped
//! here is never held, which is what keeps ten thousand workloads in a few dozen megabytes.

pub mod bounded;
#[cfg(test)]
mod ceilings;
pub mod config_map;
pub mod container;
pub mod content;
pub mod env_source;
pub mod fields;
pub mod files;
#[cfg(test)]
mod law;
pub mod lenient;
pub mod listed;
pub mod maker;
pub mod metadata;
pub mod mounts;
pub mod pod;
pub mod policy;
pub mod requests;
pub mod revision;
pub mod seen;
pub mod surge;
pub mod volumes;
pub mod workload;

use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::api;
use crate::model::Millis;
use crate::policy::Kind;

/// A kind of object as the API server serves it.
#[derive(Clone, Copy, Debug)]
pub struct Resource {
    group: &'static str,
    version: &'static str,
    pub kind: &'static str,
    plural: &'static str,
}

impl Resource {
    pub const POLICIES: Self =
        Self { group: api::GROUP, version: api::VERSION, kind: api::KIND, plural: api::PLURAL };
    pub const CONFIG_MAPS: Self = Self { group: "", version: "v1", kind: "ConfigMap", plural: "configmaps" };
    pub const REVISIONS: Self =
        Self { group: api::APPS, version: "v1", kind: "ControllerRevision", plural: "controllerrevisions" };
    pub const REPLICA_SETS: Self =
        Self { group: api::APPS, version: "v1", kind: "ReplicaSet", plural: "replicasets" };
    pub const PODS: Self = Self { group: "", version: "v1", kind: "Pod", plural: "pods" };

    pub fn of(kind: Kind) -> Self {
        let plural = match kind {
            Kind::Deployment => "deployments",
            Kind::StatefulSet => "statefulsets",
            Kind::DaemonSet => "daemonsets",
        };
        Self { group: api::APPS, version: "v1", kind: kind.as_str(), plural }
    }

    /// Makes the path of the objects of a namespace. Not for the core group.
    pub fn path(&self, namespace: &str) -> String {
        format!("/apis/{}/{}/namespaces/{namespace}/{}", self.group, self.version, self.plural)
    }
}

/// A type that holds of an object what decisions need, and no more.
pub trait Slim: Sized + Clone + Debug + Send + Sync + 'static {
    type Raw: DeserializeOwned;
    /// Whether a list of it asks for nothing but metadata.
    const METADATA_ALONE: bool = false;

    /// The value, and the identity that the client library needs.
    fn from_raw(raw: Self::Raw) -> (ObjectMeta, Self);

    /// Sets the kind: items of a list do not carry it.
    #[must_use]
    fn of_kind(self, _: &str) -> Self {
        self
    }
}

/// A condition in the status of whatever object.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

pub fn holds(conditions: &[Condition], type_: &str) -> bool {
    conditions.iter().any(|condition| condition.type_ == type_ && condition.status == "True")
}

/// A time of the API; zero where it is none.
pub fn millis(text: &str) -> Millis {
    text.parse::<Timestamp>().map_or(0, Timestamp::as_millisecond)
}
