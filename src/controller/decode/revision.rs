//! ControllerRevisions that carry our label. They are untrusted: one that is not exactly what
//! this operator would have stored is as if it were not there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use crate::api;
use crate::controller::decode::Slim;
use crate::controller::decode::metadata::{Metadata, Owner};
use crate::model::{Data, Key, Record, digest_in_name, record_name};

/// A record with its place; none where it is not ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    pub key: Key,
    pub policy: SmolStr,
    pub uid: SmolStr,
    pub resource_version: SmolStr,
    /// Seconds since the Unix epoch; zero where that is not told.
    pub created: i64,
    pub record: Option<std::sync::Arc<Record>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Raw {
    metadata: Metadata,
    revision: i64,
    /// Whatever somebody put there, and as deep.
    data: Option<Box<RawValue>>,
}

/// Bytes of a note or of the data that are read: more than any policy comes to.
pub const LARGEST: usize = 64 * 1024;

/// A note that this operator did not write.
struct Unread;

/// Decodes what an annotation says. None where there is no annotation.
fn note<T: DeserializeOwned>(annotation: Option<&str>) -> Result<Option<T>, Unread> {
    let read = |text: &str| serde_json::from_str(Some(text).filter(|text| text.len() <= LARGEST)?).ok();
    annotation.map(|text| read(text).ok_or(Unread)).transpose()
}

fn record(metadata: &Metadata, revision: i64, data: &RawValue) -> Option<Record> {
    let policy = metadata.labels.policy.as_deref()?;
    let is_owner = |owner: &&Owner| owner.controller && owner.kind == api::KIND && owner.name == policy;
    let owner = metadata.owner_references.iter().find(is_owner)?;
    let digest = digest_in_name(&metadata.name)?;
    if metadata.name != record_name(policy, &owner.uid, digest) || data.get().len() > LARGEST {
        return None;
    }
    let (applied, verdict) =
        (note(metadata.annotations.applied.as_deref()), note(metadata.annotations.verdict.as_deref()));
    let unread = [(applied.is_err(), api::APPLIED_ANNOTATION), (verdict.is_err(), api::VERDICT_ANNOTATION)];
    Some(Record {
        name: metadata.name.as_str().into(),
        owner_uid: owner.uid.as_str().into(),
        revision,
        data: Data::read(&serde_json::from_str(data.get()).ok()?, digest)?,
        verdict: verdict.unwrap_or_default(),
        applied: applied.unwrap_or_default().unwrap_or_default(),
        unread: unread.into_iter().find(|(unread, _)| *unread).map(|(_, annotation)| annotation),
    })
}

impl Slim for Revision {
    type Raw = Raw;

    fn from_raw(raw: Raw) -> (ObjectMeta, Self) {
        let Raw { metadata, revision, data } = raw;
        let view = Self {
            key: metadata.key(),
            policy: metadata.labels.policy.as_deref().unwrap_or_default().into(),
            uid: metadata.uid.as_str().into(),
            resource_version: metadata.resource_version.as_str().into(),
            created: metadata.created(),
            record: data.and_then(|data| record(&metadata, revision, &data)).map(std::sync::Arc::new),
        };
        (metadata.identity(), view)
    }
}
