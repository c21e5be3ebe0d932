//! Config maps that carry our label.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use crate::controller::decode::Slim;
use crate::controller::decode::bounded::cut;
use crate::controller::decode::metadata::Metadata;
use crate::controller::decode::workload::LONGEST_MEMORY;
use crate::document::hex_digest;
use crate::model::{ConfigMapView, Key};

/// A config map with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMap {
    pub key: Key,
    pub view: ConfigMapView,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Raw {
    metadata: Metadata,
    data: Data,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Data {
    #[serde(rename = "kratos.yaml")]
    file: Option<String>,
}

impl Slim for ConfigMap {
    type Raw = Raw;

    fn from_raw(raw: Raw) -> (ObjectMeta, Self) {
        let Raw { metadata, data } = raw;
        let view = ConfigMapView {
            name: metadata.name.as_str().into(),
            uid: metadata.uid.as_str().into(),
            resource_version: metadata.resource_version.as_str().into(),
            deleting: metadata.deletion_timestamp.is_some(),
            policy_label: metadata.labels.policy.as_deref().map(Into::into),
            governed: metadata.annotations.governed.as_deref().map(|text| cut(text, LONGEST_MEMORY)),
            own: metadata.own_entries().any(|entry| entry.policy_label()),
            // Whether that one still holds it is found out where it matters.
            holder: metadata.labels.policy.as_deref().map(Into::into),
            claimant: false,
            content: data.file.map(|file| hex_digest(&file, 16).into()),
            mounted: false,
        };
        (metadata.identity(), Self { key: metadata.key(), view })
    }
}
