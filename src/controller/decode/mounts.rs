//! Which config maps a pod mounts, and nothing else of it: for pods of a whole namespace.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use smol_str::SmolStr;

use crate::controller::decode::Slim;
use crate::controller::decode::metadata::Metadata;
use crate::controller::decode::volumes::{Volumes, mounts};
use crate::model::Bounded;

#[derive(Clone, Debug)]
pub struct Mounts(pub Bounded<SmolStr, 1024>);

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Raw {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Spec {
    volumes: Volumes,
}

impl Slim for Mounts {
    type Raw = Raw;

    fn from_raw(raw: Raw) -> (ObjectMeta, Self) {
        (raw.metadata.identity(), Self(mounts(&raw.spec.volumes)))
    }
}
