//! Of which object it is enough to know that it is there, and in which version.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use smol_str::SmolStr;

use crate::controller::decode::Slim;
use crate::controller::decode::metadata::Metadata;
use crate::model::Key;

#[derive(Clone, Debug)]
pub struct Listed {
    pub key: Key,
    pub uid: SmolStr,
    pub version: SmolStr,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Raw {
    metadata: Metadata,
}

impl Slim for Listed {
    type Raw = Raw;
    const METADATA_ALONE: bool = true;

    fn from_raw(raw: Raw) -> (ObjectMeta, Self) {
        let Raw { metadata } = raw;
        let listed = Self {
            key: metadata.key(),
            uid: metadata.uid.as_str().into(),
            version: metadata.resource_version.as_str().into(),
        };
        (metadata.identity(), listed)
    }
}
