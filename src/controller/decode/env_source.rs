//! Config maps that a container takes variables from: the names of their keys, and nothing else of them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde::de::IgnoredAny;
use smol_str::SmolStr;

use crate::controller::decode::Slim;
use crate::controller::decode::metadata::Metadata;

#[derive(Clone, Debug)]
pub struct EnvKeys(pub Vec<SmolStr>);

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Raw {
    metadata: Metadata,
    // What is binary becomes no variable.
    data: BTreeMap<SmolStr, IgnoredAny>,
}

impl Slim for EnvKeys {
    type Raw = Raw;

    fn from_raw(raw: Raw) -> (ObjectMeta, Self) {
        (raw.metadata.identity(), Self(raw.data.into_keys().collect()))
    }
}
