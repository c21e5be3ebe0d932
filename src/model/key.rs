//! Names of objects, and times.

use k8s_openapi::jiff::Timestamp;
use smol_str::SmolStr;

use crate::policy::Kind;

/// Milliseconds since the Unix epoch.
pub type Millis = i64;

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub namespace: SmolStr,
    pub name: SmolStr,
}

impl Key {
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Another name in the same namespace.
    #[must_use]
    pub fn beside(&self, name: &SmolStr) -> Self {
        Self { namespace: self.namespace.clone(), name: name.clone() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Kind, namespace and name of a workload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadId {
    pub kind: Kind,
    pub key: Key,
}

/// A time as the API writes it, without what is below a second.
#[must_use]
pub fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
