//! Policies. A spec that cannot be decoded is a refused one, so that it stops no other policy.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::api::{self, ConditionType};
use crate::controller::decode::Slim;
use crate::controller::decode::lenient::lenient;
use crate::controller::decode::metadata::Metadata;
use crate::document::hex_digest;
use crate::model::{LastCondition, LastStatus, PolicyObject, bounded};
use crate::plan::{message_digest, read_transition};
use crate::policy::{
    DeletionPolicy, Level, Policy, Rejection, Verification, VerificationMode, parse, parse_verification,
};

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Raw {
    metadata: Metadata,
    spec: Value,
    status: Value,
}

fn spec(name: &str, raw: Value) -> Result<Policy, Vec<Rejection>> {
    let spec: api::MfaPolicySpec = serde_json::from_value(raw).map_err(|error| {
        let message = format!(
            "cannot be read ({}): compare it with kubectl explain mfapolicy.spec",
            bounded(&error.to_string())
        );
        vec![Rejection { field: "spec".into(), message }]
    })?;
    parse(name, &spec)
}

/// Reads `spec.verification` as written, whatever else is wrong. Where it cannot be read, nobody is asked.
fn verification(spec: &Value) -> Verification {
    let read = match spec.get("verification") {
        None | Some(Value::Null) => Ok(None),
        Some(written) => serde_json::from_value(written.clone()).map(Some),
    };
    let off = || Verification { mode: VerificationMode::Off, ..Verification::default() };
    read.ok().and_then(|written| parse_verification(written.as_ref())).unwrap_or_else(off)
}

/// Digest of a status without its times; never zero.
///
/// # Panics
/// Never: strings, numbers and lists are JSON. Without that all statuses would be one, and none were ever
/// written.
pub fn status_digest(status: &api::MfaPolicyStatus) -> u64 {
    let mut timeless = status.clone();
    timeless.conditions.iter_mut().for_each(|condition| condition.last_transition_time.clear());
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(&timeless).expect("a status is JSON").hash(&mut hasher);
    hasher.finish().max(1)
}

fn last_status(raw: Value) -> LastStatus {
    let Ok(mut status) = lenient::<api::MfaPolicyStatus, _>(raw) else { return LastStatus::default() };
    // Conditions of others are theirs.
    status.conditions.retain(|condition| ConditionType::from_word(&condition.type_).is_some());
    if status == api::MfaPolicyStatus::default() {
        return LastStatus::default();
    }
    let last = |condition: &api::Condition| {
        Some(LastCondition {
            type_: ConditionType::from_word(&condition.type_)?,
            status: ["True", "False"].into_iter().find(|word| *word == condition.status).unwrap_or("Unknown"),
            since: condition.last_transition_time.parse::<Timestamp>().ok()?,
        })
    };
    let find =
        |type_: ConditionType| status.conditions.iter().find(|condition| condition.type_ == type_.as_str());
    let ready = find(ConditionType::Ready);
    let digest = |condition: Option<&api::Condition>| {
        condition.map_or(0, |condition| message_digest(&condition.message))
    };
    LastStatus {
        digest: status_digest(&status),
        conditions: status.conditions.iter().filter_map(last).collect(),
        reason: ready.map(|ready| ready.reason.as_str().into()).unwrap_or_default(),
        message: digest(ready),
        overridden: digest(find(ConditionType::Overridden)),
        generation: status.observed_generation.unwrap_or_default(),
        revision: status.revision.as_deref().filter(|revision| revision.len() <= 128).map(Into::into),
        transitions: status.transitions.iter().filter_map(read_transition).collect(),
        running: status
            .required_aal
            .map(|aal| (Level::from_word(&aal.settings), Level::from_word(&aal.whoami))),
    }
}

impl Slim for PolicyObject {
    type Raw = Raw;

    fn from_raw(raw: Raw) -> (ObjectMeta, Self) {
        let Raw { metadata, spec: raw_spec, status } = raw;
        let deletion_policy = match raw_spec.get("deletionPolicy") {
            None | Some(Value::Null) => DeletionPolicy::default(),
            // What cannot be read must not take anything away.
            Some(word) => word.as_str().and_then(DeletionPolicy::from_word).unwrap_or(DeletionPolicy::Retain),
        };
        // Likewise must it not change anything.
        let suspend = !matches!(raw_spec.get("suspend"), None | Some(Value::Null | Value::Bool(false)));
        let unread = verification(&raw_spec);
        let spec = spec(&metadata.name, raw_spec);
        let policy = Self {
            key: metadata.key(),
            uid: metadata.uid.as_str().into(),
            resource_version: metadata.resource_version.as_str().into(),
            generation: metadata.generation,
            created: metadata.created(),
            deleting: metadata.deletion_timestamp.is_some(),
            verification: spec.as_ref().map_or(unread, |policy| policy.verification.clone()),
            spec,
            deletion_policy,
            suspend,
            retry: metadata
                .annotations
                .retry
                .as_deref()
                .map(|value| hex_digest(value, 10))
                .unwrap_or_default()
                .into(),
            manager: metadata.spec_manager().map(|manager| bounded(manager).into()),
            status: last_status(status),
        };
        (metadata.identity(), policy)
    }
}
