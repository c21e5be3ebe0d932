//! The decoders of cluster objects, for `crate::fuzz`.
#![allow(clippy::missing_panics_doc, clippy::expect_used, clippy::panic, reason = "these are tests")]

use kube::core::WatchEvent;
use serde_json::value::RawValue;

use crate::controller::decode::config_map::ConfigMap;
use crate::controller::decode::env_source::EnvKeys;
use crate::controller::decode::files::Files;
use crate::controller::decode::mounts::Mounts;
use crate::controller::decode::pod::PodView;
use crate::controller::decode::revision::Revision;
use crate::controller::decode::seen::Seen;
use crate::controller::decode::{Resource, Slim};
use crate::model::{PolicyObject, Workload};
use crate::policy::Kind;

/// More of a name or a path than anybody could use.
const LONGEST: usize = 253;

/// One watch event with this object, taken for each kind that is decoded: whatever is JSON never ends the
/// stream, and what is told of an object that cannot be read is short.
pub fn object(text: &str) {
    is_seen::<PolicyObject>(text);
    is_seen::<Workload>(text);
    is_seen::<PodView>(text);
    is_seen::<ConfigMap>(text);
    is_seen::<Revision>(text);
    is_seen::<Files>(text);
    is_seen::<Mounts>(text);
    is_seen::<EnvKeys>(text);
}

fn is_seen<T: Slim>(text: &str) {
    // What is no JSON by itself could be more than one object inside of an event.
    if serde_json::from_str::<&RawValue>(text).is_err() {
        return;
    }
    let event =
        serde_json::from_str::<WatchEvent<Seen<T>>>(&format!(r#"{{"type":"MODIFIED","object":{text}}}"#));
    let seen = match event {
        Ok(WatchEvent::Modified(seen)) => seen,
        Ok(other) => panic!("{other:?} is read of {text:?}"),
        Err(error) => panic!("{error}: {text:?}"),
    };
    if let Err(unreadable) = seen.value(&Resource::of(Kind::Deployment)) {
        let told = [
            &unreadable.key.namespace,
            &unreadable.key.name,
            &unreadable.uid,
            &unreadable.version,
            &unreadable.field,
        ];
        assert!(
            told.into_iter().chain(&unreadable.label).all(|text| text.chars().count() <= LONGEST),
            "{unreadable:?}"
        );
    }
}
