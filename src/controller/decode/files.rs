//! Config maps of others, read by name: their texts, and when they changed last.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use smol_str::SmolStr;

use crate::controller::decode::metadata::Metadata;
use crate::controller::decode::{Slim, millis};
use crate::model::Millis;

#[derive(Clone, Debug)]
pub struct Files {
    pub texts: BTreeMap<SmolStr, String>,
    /// Zero where it is not told.
    pub changed: Millis,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Raw {
    metadata: Metadata,
    // What is binary is no configuration.
    data: BTreeMap<SmolStr, String>,
}

impl Slim for Files {
    type Raw = Raw;

    fn from_raw(raw: Raw) -> (ObjectMeta, Self) {
        let Raw { metadata, data } = raw;
        let changed = metadata.managed_fields.changed.as_deref().map_or(0, millis);
        (metadata.identity(), Self { texts: data, changed })
    }
}
