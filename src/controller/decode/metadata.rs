//! The part of `metadata` that decisions need, the same for every kind.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::controller::decode::fields::{ManagedFields, Managers, OwnEntry};
use crate::model::{Bounded, Key};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub resource_version: String,
    pub generation: i64,
    pub creation_timestamp: Option<String>,
    pub deletion_timestamp: Option<IgnoredAny>,
    pub labels: Labels,
    pub annotations: Annotations,
    pub owner_references: Bounded<Owner, 32>,
    pub managed_fields: Managers,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Labels {
    #[serde(rename = "mfa-operator.dev/policy")]
    pub policy: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Annotations {
    #[serde(rename = "mfa-operator.dev/governed")]
    pub governed: Option<String>,
    #[serde(rename = "mfa-operator.dev/applied")]
    pub applied: Option<String>,
    #[serde(rename = "mfa-operator.dev/allow")]
    pub allow: Option<String>,
    #[serde(rename = "mfa-operator.dev/verdict")]
    pub verdict: Option<String>,
    #[serde(rename = "mfa-operator.dev/retry")]
    pub retry: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Owner {
    pub kind: String,
    pub name: String,
    pub uid: String,
    pub controller: bool,
}

impl Metadata {
    pub fn key(&self) -> Key {
        Key::new(&self.namespace, &self.name)
    }

    /// What the client library needs of an object.
    pub fn identity(&self) -> ObjectMeta {
        ObjectMeta {
            name: Some(self.name.clone()),
            namespace: (!self.namespace.is_empty()).then(|| self.namespace.clone()),
            resource_version: Some(self.resource_version.clone()),
            ..ObjectMeta::default()
        }
    }

    /// Seconds since the Unix epoch; zero where it is missing.
    pub fn created(&self) -> i64 {
        self.creation_timestamp
            .as_deref()
            .and_then(|text| text.parse::<Timestamp>().ok())
            .map_or(0, Timestamp::as_second)
    }

    /// Field manager other than ours that changed the spec last.
    pub fn spec_manager(&self) -> Option<&str> {
        self.managed_fields.spec.as_ref().map(ManagedFields::manager)
    }

    /// Our manager's entries, by apply and by update.
    pub fn own_entries(&self) -> impl Iterator<Item = OwnEntry<'_>> {
        self.managed_fields.own.iter().filter_map(ManagedFields::own)
    }
}
